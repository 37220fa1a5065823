"""Transitions a second of the search for states, beside a plain search, and beside SPIN.

All three search the machine of step 28: two pages in one block, words of two bits, with TLB,
code and migration, every operation with all arguments. A *transition* is an operation from
a state. The compiled search walks operations of the same effect once, so it is counted also
by what it walks; and before it can, the effects must be found, which is told beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.dirty.bench import spin
from replay.dirty.bench.figures import (
    Attainment,
    Effort,
    Progress,
    Spread,
    Table,
    clock,
    ratios,
)
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.errors import ExploreError
from replay.dirty.explore.plain import searched
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.search import Request, Verdict, explored
from replay.dirty.explore.tables import Effects
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError

STEP: Final = 28
SCOPE: Final = Scope(2, blocks=(2,))
MEMORY: Final = 1 << 28
RATIO_GOAL: Final = 40.0
AGAIN: Final = 10
"""Searches of a round: one takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The compiled search.

    Attributes:
        states: that it met, ``transitions``: operations from all of them, and ``walked``:
            effects that it walked for them.
        seconds: of a search, a round each.
        tables: seconds that it took to find the effects, and ``comparing``: to compare the
            pair of steps with each other.
        bytes: a state, with tables and set.

    """

    states: int
    transitions: int
    walked: int
    seconds: tuple[float, ...]
    tables: float
    comparing: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Plainly:
    """The plain search: transitions that were made, and seconds a round."""

    transitions: int
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Spun:
    """SPIN's search, with the flags that were fastest, and seconds a round."""

    pan: spin.Pan
    ran: spin.Ran
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ExploreResult:
    """The searches; why SPIN's is missing."""

    ours: Compiled
    plain: Plainly
    spun: Spun | None
    missing: str

    @property
    def over_plain(self) -> Spread:
        """How many times the transitions a second of the plain search."""
        ours = [self.ours.transitions / seconds for seconds in self.ours.seconds]
        theirs = [self.plain.transitions / seconds for seconds in self.plain.seconds]
        return ratios(ours, theirs)

    @property
    def over_spin(self) -> Spread | None:
        """How many times as fast as SPIN's search of the same states."""
        return ratios(self.spun.seconds, self.ours.seconds) if self.spun else None

    def tables(self) -> Sequence[Table]:
        """States, transitions and times, with what was made before."""
        ours = self.ours
        rows = [
            _row("compiled", ours.states, ours.transitions, ours.seconds,
                 ours.tables + ours.comparing, ours.bytes),
            ("plain", "", f"{self.plain.transitions:,}", f"{_best(self.plain.seconds) * 1e3:,.1f}",
             f"{self.plain.transitions / _best(self.plain.seconds) / 1e6:.3f}", "", ""),
        ]  # fmt: skip
        if self.spun:
            pan, ran = self.spun.pan, self.spun.ran
            rows.append(
                _row("SPIN", ran.states, ran.transitions, self.spun.seconds,
                     pan.spin + pan.cc, ran.bytes)
            )  # fmt: skip
        columns = ("search", "states", "transitions", "ms", "million/s", "s before", "bytes/state")
        return (Table("Two pages, one block, all operations", columns, tuple(rows)),)

    def verdicts(self) -> Sequence[Attainment]:
        """The goals."""
        over = self.over_plain
        found = [
            Attainment(
                f"at least {RATIO_GOAL:.0f} times the transitions a second of the plain search",
                over.text(0), over.median >= RATIO_GOAL,
            )
        ]  # fmt: skip
        fast = self.over_spin
        if self.spun and fast:
            ran = self.spun.ran
            found += [
                Attainment("ahead of SPIN's search, as a ratio of times", fast.text(),
                           fast.median > 1),
                Attainment(
                    "states and transitions equal in number to SPIN's",
                    f"{self.ours.states:,} and {ran.states:,}, "
                    f"{self.ours.transitions:,} and {ran.transitions:,}",
                    (self.ours.states, self.ours.transitions) == (ran.states, ran.transitions),
                ),
            ]  # fmt: skip
        return found

    def notes(self) -> Sequence[str]:
        """What the figures rest on."""
        ours = self.ours
        notes = [
            "One thread each, processor time; a search is timed without what is made before.",
            f"Operations of the same effect are walked once: {ours.walked:,} effects for "
            f"{ours.transitions:,} transitions, {ours.walked / _best(ours.seconds) / 1e6:.1f} "
            "million a second.",
            f"Before it, {ours.tables:.2f} s to find the effects of step {STEP}, and "
            f"{ours.comparing:.2f} s to compare it with step {STEP - 1} from every state.",
        ]
        if self.spun:
            pan = self.spun.pan
            flags = " ".join((*pan.flags, *spin.ALWAYS[1:]))
            walks = ours.walked / _best(ours.seconds)
            steps = self.spun.ran.transitions / _best(self.spun.seconds)
            notes.append(
                f"SPIN, flags {flags}: {pan.spin:.2f} s to generate its search, {pan.cc:.2f} s to "
                "compile it. The model has both dirty stores, equal after every operation, and no "
                "replies or notifications. It walks every operation: effects that we walk a "
                f"second are {walks / steps:.1f} times the operations that it walks."
            )
        return (*notes, self.missing) if self.missing else tuple(notes)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        ours, spun, fast = self.ours, self.spun, self.over_spin
        return {
            "compiled": {
                "states": ours.states, "transitions": ours.transitions, "walked": ours.walked,
                "seconds": list(ours.seconds), "tables_seconds": ours.tables,
                "comparing_seconds": ours.comparing, "bytes_a_state": ours.bytes,
            },
            "plain": {
                "transitions": self.plain.transitions, "seconds": list(self.plain.seconds)
            },
            "ratio_plain": self.over_plain.to_json(),
            "spin": spun and {
                "states": spun.ran.states, "transitions": spun.ran.transitions,
                "seconds": list(spun.seconds), "flags": [*spin.ALWAYS, *spun.pan.flags],
                "generating_seconds": spun.pan.spin, "compiling_seconds": spun.pan.cc,
                "bytes_a_state": spun.ran.bytes,
            },
            "ratio_spin": fast and fast.to_json(),
            "missing": self.missing,
        }  # fmt: skip


def _best(seconds: Sequence[float]) -> float:
    return min(seconds)


def _row(
    name: str, states: int, transitions: int, seconds: Sequence[float], before: float, size: float
) -> tuple[str, ...]:
    best = _best(seconds)
    return (
        name, f"{states:,}", f"{transitions:,}", f"{best * 1e3:,.1f}",
        f"{transitions / best / 1e6:,.1f}", f"{before:.1f}", f"{size:.1f}",
    )  # fmt: skip


def measure(effort: Effort, progress: Progress) -> ExploreResult:
    """Make each search ready, then let them take turns.

    Raises:
        UsageError: there is no C compiler.

    """
    progress(0.0, "finding effects")
    began = clock()
    try:
        reached = Reached(Effects.of(SUBJECT.machines()[STEP], SCOPE), {}, 1, MEMORY, cut=False)
    except ExploreError as error:
        raise UsageError(str(error)) from None
    tables = clock() - began
    comparing = _compared()
    missing = "SPIN was left out, as --quick." if effort.quick else spin.missing()
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as place:
        progress(0.2, "compiling SPIN's search")
        pans = [] if missing else spin.built(Path(place), spin.model(), spin.BEST)
        ours, plain = list[float](), list[float]()
        most = 2_000 if effort.quick else 20_000
        spun = [list[spin.Ran]() for _ in pans]
        rounds = 2 if effort.quick else 5
        for number in range(rounds):
            progress(0.4 + 0.6 * number / rounds, "searching")
            ours.append(_searched(reached))
            began = clock()
            searched(SUBJECT.machines()[STEP], SCOPE, most)
            plain.append(clock() - began)
            for runs, pan in zip(spun, pans, strict=True):
                runs.append(spin.ran(pan))
    counts = reached.states, reached.transitions, _walked(reached)
    compiled = Compiled(*counts, tuple(ours), tables, comparing, reached.bytes / reached.states)
    found = [
        Spun(pan, runs[0], tuple(run.seconds for run in runs))
        for pan, runs in zip(pans, spun, strict=True)
    ]
    best = min(found, key=lambda one: _best(one.seconds), default=None)
    return ExploreResult(compiled, Plainly(most, tuple(plain)), best, missing)


def _compared() -> float:
    """Seconds to compare the pair from every state."""
    began = clock()
    (result,) = explored(Request(SUBJECT, SCOPE, share=False), [STEP])
    if result.verdict is not Verdict.PROVED:
        raise UsageError(f"step {STEP} is not proved the same: {result.problem}")
    return clock() - began


def _searched(reached: Reached) -> float:
    """Seconds of a search to its end."""
    began = clock()
    for _ in range(AGAIN):
        reached.resume(reached.layers[:1], fixpoint=False)
        while reached.deeper() is not None:
            pass
    return (clock() - began) / AGAIN


def _walked(reached: Reached) -> int:
    """Effects that a search walks: of each state those of its shape."""
    roots = [len(reached.engine.roots[shape]) for shape in reached.engine.shapes]
    return sum(count * number for count, number in zip(roots, reached.shaped, strict=True))
