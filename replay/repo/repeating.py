"""Whether a library does the same twice: in other processes, with other addresses and rubbish.

A trace is run again in processes of their own: the library, the heap and the stack lie at
other addresses, fresh memory and the stack hold other bytes, and where the library asks
the time, a second has passed. What differs from the first run is no behaviour to compare,
and is left out of the comparison of a pair; the rest is compared.

All traces that differ are repeated, of those that hang two, and the first few of the others, so
that what is left out does not depend on which of them happened to differ.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from elftools.elf.elffile import ELFFile

from replay.elf.errors import reading
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.checking import Checker, Runs, limited
from replay.repo.driver.limits import Limits
from replay.repo.driver.run import Digest
from replay.repo.exported import DataObject
from replay.repo.masks import Field, Mask, kind_of, not_repeated
from replay.repo.onesided import observing, one_sided, parts
from replay.repo.pairing import Pair
from replay.repo.runner import FILLS, Run
from replay.repo.targets import Target

SAMPLE: Final = 3
"""Traces of a share that are repeated though nothing differs."""
REPEATS: Final = 3
"""Times that a trace is repeated; of many that differ, those after ``FULL`` once."""
FULL: Final = 32
CONFIRMED: Final = 3
"""Traces that differ after all which are repeated with every fill: a bit of an address is
the same by chance every other time."""
HUNG: Final = 2
"""Traces that hang on a side which are repeated: each repetition takes as long as a hang does."""
TURNS: Final = 16
MOST_HANGS: Final = 1
"""Hangs after which a process is asked no further."""

_CLOCKS: Final = frozenset(
    ("time", "gettimeofday", "clock_gettime", "clock", "times", "ftime", "timespec_get")
)

Side: TypeAlias = tuple[Target, Runs]
Due: TypeAlias = dict[int, list[int]]
"""The places of traces, by the number of the fill with which they are run again."""


@dataclass(slots=True)
class Repeater:
    """Repeats traces, and knows what is not the same twice.

    Attributes:
        checker: runs them.
        spread: over the checker's threads; not from one of them.
        noise: by the key of a target: the fields, each with a guess why.

    """

    checker: Checker
    spread: bool = True
    noise: dict[str, dict[Field, str]] = field(default_factory=dict)
    _base: dict[str, dict[CallTrace, int]] = field(default_factory=dict)
    _done: dict[str, set[tuple[CallTrace, int]]] = field(default_factory=dict)
    _ticked: set[str] = field(default_factory=set)

    def mask(self, pair: Pair) -> Mask:
        """What is left out of the comparison of a pair, as far as is known now."""
        before, after = (self.noise.get(side.key, {}) for side in (pair.before, pair.after))
        # A call that crashes now and then on one side only is a difference.
        fields = {
            what: kind
            for what, kind in (before | after).items()
            if what.key != "end" or (what in before and what in after)
        }
        old, new = pair.before.bound, pair.after.bound
        alone = one_sided(old.ops, new.ops) | observing(old.observers, new.observers)
        return Mask(
            fields, _in_one(old.data, new.data), pair.expected, alone,
            parts(old.observers, new.observers),
        )  # fmt: skip

    def learn(self, pair: Pair, traces: Sequence[CallTrace], before: Runs, after: Runs) -> Mask:
        """Learn from traces that ran on both of a pair what to leave out.

        Every trace that differs nevertheless was run again in other processes, but for most of
        those that hang.

        Raises:
            WorkerError: a worker could not be started, or was killed.

        """
        if pair.before.key == pair.after.key:
            return self.mask(pair)
        sides = [(t, r) for t, r in ((pair.before, before), (pair.after, after)) if not t.model]
        both = [
            (at, trace, old, new)
            for at, (trace, old, new) in enumerate(zip(traces, before, after, strict=True))
            if old is not None and new is not None
        ]
        hung = [at for at, _, *runs in both if any(run.end == "hang" for run in runs)]
        spared = frozenset(hung[HUNG:])
        differing = [at for at, *_ in both[:SAMPLE] if at not in spared]
        for target, _ in sides:
            self._know(target, [traces[at] for at in differing])
        self._tick([target for target, _ in sides])
        due = dict.fromkeys(range(1, REPEATS + 1), differing)
        for _ in range(TURNS):
            self._repeat(sides, traces, due)
            mask = self.mask(pair)
            differing = [
                at for at, trace, *runs in both if pair.differs(*mask.applied(trace, *runs))
            ]
            due = self._due(sides, traces, [at for at in differing if at not in spared])
            if not due:
                break
        return self.mask(pair)

    def _due(
        self, sides: Sequence[Side], traces: Sequence[CallTrace], differing: Sequence[int]
    ) -> Due:
        """Which traces that differ are still to be run again."""
        fills = range(1, REPEATS + 1)
        due = {fill: self._new(sides, traces, differing[:FULL], fill) for fill in fills}
        due[1] += self._new(sides, traces, differing[FULL:], 1)
        if not any(due.values()):
            few = differing[:CONFIRMED]
            every = range(1, len(FILLS))
            due = {fill: self._new(sides, traces, few, fill) for fill in every}
        return {fill: places for fill, places in due.items() if places}

    def _new(
        self, sides: Sequence[Side], traces: Sequence[CallTrace], places: Sequence[int], fill: int
    ) -> list[int]:
        return [
            at for at in places
            if any((traces[at], fill) not in self._done.get(t.key, ()) for t, _ in sides)
        ]  # fmt: skip

    def _repeat(self, sides: Sequence[Side], traces: Sequence[CallTrace], due: Due) -> None:
        """Run traces again on both sides, and note what is not as it was.

        A target that is in two pairs runs none again that it ran for the other.
        """
        tasks = []
        for target, runs in sides:
            done = self._done.setdefault(target.key, set())
            for fill, places in due.items():
                new = [at for at in places if (traces[at], fill) not in done]
                done.update((traces[at], fill) for at in new)
                if new:
                    task = target, [(traces[at], runs[at]) for at in new], fill
                    tasks.append(((target, runs, new), task))
        one_by_one = ((tag, self._again(task)) for tag, task in tasks)
        ran = self.checker.threads.map(self._again, tasks) if self.spread else one_by_one
        for (target, runs, places), (fill, again) in ran:
            noise = self.noise.setdefault(target.key, {})
            for at, run in zip(places, again, strict=True):
                first = runs[at]
                if first is None or run is None or run == first:
                    continue
                for what, values in not_repeated(traces[at], first, run).items():
                    noise.setdefault(what, kind_of(values, FILLS[fill]))

    def _again(
        self, task: tuple[Target, Sequence[tuple[CallTrace, Run | None]], int]
    ) -> tuple[int, Runs]:
        """Traces in one more process; None for those after a hang.

        What the driver shows to be the same again is as it was.
        """
        target, asked, fill = task
        runs = [run for _, run in asked]
        places = self._unlike(target, [trace for trace, _ in asked], fill)
        if not places:
            return fill, runs
        limits = Limits(self.checker.cpu, self.checker.usual(target.key, "worker"))
        with contextlib.ExitStack() as stack:
            try:
                runner = stack.enter_context(self.checker.opened(target, fill))
            except Unbound:
                # It loads in some processes only: what those show has been compared.
                return fill, [None] * len(asked)
            for place in places:
                trace, first = asked[place]
                hung = first is not None and first.end == "hang"
                runs[place] = (
                    limited(limits, runner, target, trace, hung)
                    if limits.hangs < MOST_HANGS else None
                )  # fmt: skip
        return fill, runs

    def _unlike(self, target: Target, traces: Sequence[CallTrace], fill: int) -> list[int]:
        """The traces that show something else in one more process, or may."""
        base = self._know(target, traces)
        again = self.checker.digests(target, traces, fill, spread=1)
        return [
            place for place, (trace, digest) in enumerate(zip(traces, again, strict=True))
            if digest is None or base.get(trace) != digest.value
        ]  # fmt: skip

    def _know(self, target: Target, traces: Sequence[CallTrace]) -> dict[CallTrace, int]:
        """The digests of traces as they were first run, as far as they can be told."""
        base = self._base.setdefault(target.key, {})
        new = [trace for trace in traces if trace not in base]
        self.told(target, zip(new, self.checker.digests(target, new, spread=1), strict=True))
        return base

    def told(self, target: Target, digests: Iterable[tuple[CallTrace, Digest | None]]) -> None:
        """Take the digests of traces that were run, with which those of repeats are compared."""
        base = self._base.setdefault(target.key, {})
        for trace, digest in digests:
            if digest is not None:
                base.setdefault(trace, digest.value)

    def _tick(self, targets: Sequence[Target]) -> None:
        """Let a second pass where a library asks the time, which often has no finer grain."""
        asking = [one for one in targets if one.key not in self._ticked and _asks_time(one.library)]
        self._ticked.update(one.key for one in targets)
        if asking:
            time.sleep(1.01 - time.time() % 1)


def with_repeats(
    checker: Checker, pair: Pair, trace: CallTrace, before: Run, after: Run, mask: Mask
) -> Mask:
    """A mask with what one trace alone shows not to be the same twice."""
    found = Repeater(checker, spread=False).learn(pair, [trace], [before], [after])
    return replace(
        mask, fields={**mask.fields, **found.fields}, absent=mask.absent | found.absent
    )  # fmt: skip


def _asks_time(library: Path) -> bool:
    """Whether a library calls one of the functions that tell the time."""
    with library.open("rb") as file, reading(library, "the dynamic symbols"):
        elf: Any = ELFFile(file)
        table = elf.get_section_by_name(".dynsym")
        names = {symbol.name for symbol in table.iter_symbols()} if table is not None else set()
    return not names.isdisjoint(_CLOCKS)


def _in_one(before: Sequence[DataObject], after: Sequence[DataObject]) -> frozenset[str]:
    """The paths of data that only one of two libraries has.

    Where an object has other members, its digest says nothing either.
    """
    old, new = ({one.name: one.paths for one in side} for side in (before, after))
    found: set[str] = set()
    for name in old.keys() | new.keys():
        one, two = old.get(name, frozenset()), new.get(name, frozenset())
        if one != two:
            found |= {name, *(one ^ two)}
    return frozenset(found)
