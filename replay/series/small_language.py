"""Traces of operations on numbers as a language of the search; see ``series.small``.

{"format": "replay-trace/1", "name": "step-3-difference"}
{"op": "add", "n": 4}
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from replay.base.jsonlines import Place, check_keys, decode, nearest, read_lines, shown
from replay.errors import SeriesError, TraceError
from replay.search.language import Pass
from replay.search.shrink import Shrinker, leave_out, shortest_prefix

FORMAT: Final = "replay-trace/1"

Words: TypeAlias = Mapping[str, Mapping[str, range]]
"""Operation to its parameters, each with the numbers that it takes."""


class SmallOp(NamedTuple):
    """An operation and its numbers, in the order of its parameters."""

    name: str
    args: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class SmallTrace:
    """A named sequence of operations."""

    ops: tuple[SmallOp, ...]
    name: str = ""

    def renamed(self, name: str) -> SmallTrace:
        """The same trace under another name."""
        return replace(self, name=name)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": self.name, "ops": [[op.name, *op.args] for op in self.ops]}

    def peculiar(self) -> list[str]:
        """Nothing: all machines are alike."""
        return []


def _smaller_numbers(shrinker: Shrinker[SmallTrace]) -> None:
    """Each number as near to the least one of its range as it goes."""
    language = shrinker.language
    assert isinstance(language, SmallLanguage)
    for index in range(shrinker.length):
        op = shrinker.best.ops[index]
        for place, values in enumerate(language.words[op.name].values()):
            for value in values[: values.index(shrinker.best.ops[index].args[place])]:
                if shrinker.consider(_with(shrinker.best, index, place, value)):
                    break


def _with(trace: SmallTrace, index: int, place: int, value: int) -> SmallTrace:
    op = trace.ops[index]
    changed = SmallOp(op.name, (*op.args[:place], value, *op.args[place + 1 :]))
    return replace(trace, ops=(*trace.ops[:index], changed, *trace.ops[index + 1 :]))


@dataclass(frozen=True, slots=True)
class SmallLanguage:
    """Traces of operations on numbers; see ``search.language``."""

    words: Words
    ops: int = 12
    begin: ClassVar[tuple[Pass, ...]] = (shortest_prefix,)
    passes: ClassVar[tuple[Pass, ...]] = (leave_out, _smaller_numbers)

    def __post_init__(self) -> None:
        """That there is something to draw.

        Raises:
            SeriesError: no operation, a parameter that takes no number, or no length.

        """
        if not self.words or self.ops < 1:
            raise SeriesError("words has no operation, or traces have none: nothing to compare")
        for name, parameters in self.words.items():
            for key, values in parameters.items():
                if not isinstance(values, range) or not values:
                    raise SeriesError(
                        f"words: {name}: {key} is {values!r}; it takes a range of numbers that "
                        "is not empty, as range(1, 13)"
                    )

    def drawing(self, ops: int) -> SmallLanguage:
        """The same, with traces of so many operations."""
        return replace(self, ops=ops)

    def draw(self, seed: int, number: int) -> SmallTrace:
        """A trace of ``ops`` operations; numbers are often those at the ends of their range."""
        rng = random.Random(f"small/1/{seed}/{number}")
        names = list(self.words)
        ops = []
        for _ in range(self.ops):
            name = rng.choice(names)
            ops.append(SmallOp(name, tuple(_drawn(rng, v) for v in self.words[name].values())))
        return SmallTrace(tuple(ops), f"seed-{seed}-{number}")

    def length(self, trace: SmallTrace) -> int:
        """Its operations."""
        return len(trace.ops)

    def without(self, trace: SmallTrace, gone: AbstractSet[int]) -> SmallTrace:
        """The other operations: any sequence of them is valid."""
        kept = (op for index, op in enumerate(trace.ops) if index not in gone)
        return replace(trace, ops=tuple(kept))

    def normal(self, trace: SmallTrace) -> SmallTrace:
        """As it is."""
        return trace

    def is_valid(self, trace: SmallTrace) -> bool:
        """Whether every number is in its range."""
        return all(
            op.name in self.words
            and len(op.args) == len(self.words[op.name])
            and all(a in v for a, v in zip(op.args, self.words[op.name].values(), strict=True))
            for op in trace.ops
        )

    def size(self, trace: SmallTrace) -> Any:
        """By length, then by the places of the numbers in their ranges."""
        order = {name: place for place, name in enumerate(self.words)}
        places = [
            [v.index(a) for a, v in zip(op.args, self.words[op.name].values(), strict=True)]
            for op in trace.ops
        ]
        named = [order[op.name] for op in trace.ops]
        return (
            len(trace.ops),
            sum(map(sum, places)),
            tuple(zip(named, map(tuple, places), strict=True)),
        )

    def to_text(self, trace: SmallTrace, name: str) -> str:
        """As a file of the format ``replay-trace/1``."""
        lines: list[dict[str, Any]] = [{"format": FORMAT, "name": name}]
        for op in trace.ops:
            lines.append({"op": op.name, **dict(zip(self.words[op.name], op.args, strict=True))})
        return "".join(json.dumps(line) + "\n" for line in lines)

    def read(self, path: Path) -> SmallTrace:
        """The trace in a file.

        Raises:
            TraceError: it is none; the message names the line and the cure.

        """
        name, ops = "", []
        for line in read_lines(path):
            place = Place(path, line.number)
            value = decode(line, place)
            if line.number == 1:
                if value.get("format") != FORMAT:
                    place.fail(f'the first line must be {{"format": "{FORMAT}", "name": …}}')
                name = str(value.get("name", ""))
                continue
            ops.append(self._op(value, place))
        if not ops:
            raise TraceError("the trace has no operations", path)
        return SmallTrace(tuple(ops), name)

    def _op(self, value: dict[str, Any], place: Place) -> SmallOp:
        name = value.get("op")
        if not isinstance(name, str) or name not in self.words:
            place.fail(f"no operation {shown(name)}{nearest(str(name), self.words)}")
        check_keys(value, ("op", *self.words[name]), (), name, place)
        for key, values in self.words[name].items():
            if type(value[key]) is not int or value[key] not in values:
                place.fail(f"{name}: {key} is {shown(value[key])}; it must be in {values}")
        return SmallOp(name, tuple(value[key] for key in self.words[name]))


def _drawn(rng: random.Random, values: range) -> int:
    ends = (values[0], values[-1])
    return rng.choice(ends) if rng.random() < 0.3 else rng.choice(values)
