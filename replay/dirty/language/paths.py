"""Paths: which operation was made in which situation, and which situations there are.

An operation has features (``language.features``): those of the kinds of its parameters, and
its own where OWN names them. A *path* of it is what some features that matter together,
:data:`TOGETHER`, are at once; a feature that stands in none of these is a path alone. At
some steps the code takes a way that no other has: :data:`WAYS`.

What can never be reached is argued in ``language.never``, entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any, Final, NamedTuple

from replay.dirty.language import features as f
from replay.dirty.language.addresses import OfBlock, OfSection
from replay.dirty.language.features import Before, Feature
from replay.dirty.language.kinds import Client, Length, Size
from replay.dirty.language.operations import OPS, Operation

OWN: Final[Mapping[str, tuple[Feature, ...]]] = {
    "ram_alloc": (f.STORE, f.RAM, f.PLACE, f.TAIL, f.MIGRATION),
    "ram_free": (f.WHICH, f.TLB, f.CODE, f.DIRTY, f.MIGRATION),
    "tlb_flush": (f.ENTRIES,),
    "kvm_log_sync": (
        f.START, f.BITS, f.WORDS, f.LOG_TAIL, f.LOG_END, f.HPRATIO, f.TLB, f.CODE, f.DIRTY,
        f.MIGRATION,
    ),
    "migration_start": (f.BLOCKS, f.STARTS, f.TAILS, f.PENDING, f.ARMED, f.TCG),
    "migration_sync": (f.BLOCKS, f.STARTS, f.TAILS, f.PENDING, f.ARMED, f.TCG),
    "migration_next": (f.SEARCH, f.FOUND, f.STARTS),
    "migration_stop": (f.LEFT,),
}  # fmt: skip
"""The features of operations that have not those of their kinds."""

TOGETHER: Final = (
    ("start", "extent"), ("start", "stop"), ("start", "size"), ("extent", "client"),
    ("extent", "tcg"), ("tlb", "tcg"), ("tlb", "code"), ("tlb", "dirty"), ("client", "dirty"),
    ("dirty", "migration"), ("store", "ram"), ("store", "place"), ("place", "tail"),
    ("store", "migration"), ("which", "tlb"), ("which", "migration"), ("start", "bits"),
    ("start", "hpratio"), ("start", "tail"), ("words", "tail"), ("end", "hpratio"),
    ("end", "bits"), ("starts", "armed"), ("tails", "pending"), ("pending", "armed"),
    ("armed", "tcg"), ("from", "found"), ("way", "hpratio"), ("way", "armed"),
)  # fmt: skip
"""The features whose labels matter together, where an operation has both."""


class Way(NamedTuple):
    """A way through the code that is there from a step on.

    Attributes:
        since: the first step that has it.
        of: the feature that decides whether it is taken.
        label: the label of ``way`` by that feature's; before the step it is "bits" always.

    """

    since: int
    of: str
    label: Mapping[str, str]


_BY_BLOCK: Final = {"words": "words", "pages": "bits", "both": "both"}
WAYS: Final[Mapping[str, Way]] = {
    "kvm_log_sync": Way(37, "start", {"word": "words", "page": "bits"}),
    "migration_start": Way(39, "starts", _BY_BLOCK),
    "migration_sync": Way(39, "starts", _BY_BLOCK),
}
"""The operations whose code goes by words where something starts on one: steps 37 and 39."""


class Path(NamedTuple):
    """A path of an operation: what some of its features are, in the order of its table."""

    op: str
    labels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.op} {' '.join(f'{name}={label}' for name, label in self.labels)}"


class Shape:
    """The features of one operation, and its paths.

    Attributes:
        features: what is asked of it, in order.
        universe: all its paths, whether they can be reached or not.

    """

    def __init__(self, spec: Operation) -> None:
        self.name = spec.name
        self.features = _features(spec)
        self.asks: tuple[Callable[[Before], str], ...] = tuple(x.asks for x in self.features)
        self.way = WAYS.get(spec.name)
        self._touch = _touch(spec)
        self._client = spec.position(Client)
        labels = {feature.name: feature.labels for feature in self.features}
        if self.way:
            labels["way"] = tuple(dict.fromkeys(("bits", *self.way.label.values())))
        groups = [pair for pair in TOGETHER if labels.keys() >= set(pair)]
        paired = {name for pair in groups for name in pair}
        groups += [(name,) for name in labels if name not in paired]  # type: ignore[misc]
        self.groups: list[tuple[str, ...]] = [*groups]
        self.universe = tuple(
            Path(self.name, tuple(zip(group, chosen, strict=True)))
            for group in self.groups
            for chosen in product(*(labels[name] for name in group))
        )

    def look(self, before: Before, args: tuple[Any, ...]) -> tuple[str, ...]:
        """The labels of its features, in order; ``before`` is given its arguments."""
        before.args = args
        before.client = -1 if self._client is None else args[self._client]
        self._touch(before, args)
        return tuple([ask(before) for ask in self.asks])

    def paths(self, found: tuple[str, ...], step: int) -> Iterator[Path]:
        """The paths that labels mean at a step."""
        labels = {x.name: label for x, label in zip(self.features, found, strict=True)}
        if self.way:
            there = step >= self.way.since
            labels["way"] = self.way.label[labels[self.way.of]] if there else "bits"
        for group in self.groups:
            yield Path(self.name, tuple((name, labels[name]) for name in group))


def _features(spec: Operation) -> tuple[Feature, ...]:
    if spec.name in OWN:
        return OWN[spec.name]
    found: list[Feature] = []
    if spec.addressed:
        found += [f.START, f.TLB, f.CODE, f.DIRTY, f.TCG]
    if spec.position(Length) is not None:
        found += [f.STOP, f.EXTENT]
    if spec.position(Size) is not None:
        found.append(f.SIZE)
    if spec.position(Client) is not None:
        found.append(f.CLIENT)
    return (*found, f.MIGRATION)


def _touch(spec: Operation) -> Callable[[Before, tuple[Any, ...]], None]:
    """What says which range an operation touches."""
    if not spec.addressed:
        return lambda before, args: None
    if isinstance(spec.kinds[0], OfBlock):
        return _block
    if isinstance(spec.kinds[0], OfSection):
        return _section
    length = spec.position(Length)
    if length is None:
        return lambda before, args: before.touch(args[0], 1)
    return lambda before, args: before.touch(args[0], args[length])


def _block(before: Before, args: tuple[Any, ...]) -> None:
    before.touch(args[0], 1)
    before.touch(args[0], before.block[1] << before.config.page_bits)


def _section(before: Before, args: tuple[Any, ...]) -> None:
    config = before.config
    before.touch(args[0], args[1] * config.hpratio << config.page_bits)


@cache
def shapes() -> Mapping[str, Shape]:
    """The shape of every operation."""
    return {name: Shape(spec) for name, spec in OPS.items()}
