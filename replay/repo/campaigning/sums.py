"""What a campaign on commits has done so far, pair by pair, and which pairs are run next.

The traces come in rounds, each of as many as all before it, up to ``LARGEST``. A pair that
differs is run no further: which pairs a round has is known when the one before the last is
merged, so that no worker has to wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from replay.campaign.sums import Row as StateRow
from replay.campaign.sums import Sums
from replay.repo.calls import CallTrace
from replay.repo.campaigning.asked import Row, request_of
from replay.repo.campaigning.work import PairsBatch
from replay.repo.coded import decode, encode
from replay.repo.hanging import Hanging
from replay.repo.masks import Field
from replay.repo.opening import FIRST
from replay.repo.tallies import PairTally
from replay.repo.watching import Firsts

LARGEST: Final = 320 * FIRST
"""Traces of a round at most."""
RANGES: Final = 8
"""Ranges into which a round is cut, at least."""
MOST: Final = 4000
"""Traces of a range times pairs, at most: some seconds of work."""
LEAST: Final = 100
"""Traces of a range, at least: of fewer, starting what runs them costs most of the time."""

Noise = dict[int, dict[Field, str]]


@dataclass(frozen=True, slots=True)
class Learned:
    """What the first round learned, from which all others go on.

    Attributes:
        hanging: what is left out of the traces of each pair.
        noise: what is not the same twice, by the number of the target.
        bred: traces that have numbers below 0, see ``replay.repo.recalling``.
        early: what these reached, by the number of the pair.

    """

    hanging: tuple[Hanging, ...] = ()
    noise: Noise = field(default_factory=dict)
    bred: dict[int, CallTrace] = field(default_factory=dict)
    early: dict[int, Firsts] = field(default_factory=dict)


@dataclass(slots=True)
class PairSums(Sums):
    """What a campaign on commits has done so far.

    Attributes:
        asked: the request as plain values, and the folder of the examples.
        made: what it rests on, see ``asked.made_of``.
        commits: of the range.
        open: whether a pair may be run further, in their order.
        end: the traces from 0 to here are done; 0 until the first round is.
        ops: calls that were drawn.
        seconds: that it ran.
        tallies: what was seen of each pair.
        noise: what is not the same twice, by the number of the target.
        learned: by the first round; None before that is done.
        lines: of the changed lines, how many were executed of how many; None where that is
            not known.
        look: tells the lines, where there is what it takes.

    """

    kind: ClassVar[str] = "commits"

    asked: dict[str, Any]
    made: str
    commits: tuple[Row, ...] = ()
    open: tuple[bool, ...] = ()
    end: int = 0
    ops: int = 0
    seconds: float = 0.0
    tallies: list[PairTally] = field(default_factory=list)
    noise: Noise = field(default_factory=dict)
    learned: Learned | None = None
    lines: tuple[int, int] | None = None
    look: Callable[[], tuple[int, int] | None] | None = None
    _changed: set[int] = field(default_factory=set)
    _new: bool = False

    # --- what stands in the state ----------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """The request, and the commits with their pairs."""
        commits = encode(self.commits, tuple[Row, ...])
        return {**self.asked, "commits": commits, "open": list(self.open)}

    @classmethod
    def of(cls, about: Mapping[str, Any], made: str) -> Self:
        """Nothing done yet."""
        commits: tuple[Row, ...] = decode(about["commits"], tuple[Row, ...])
        opened = tuple(bool(one) for one in about["open"])
        asked = {name: about[name] for name in ("request", "save")}
        request_of(asked["request"], 1)  # it is one
        return cls(asked, made, commits, opened)

    def rows(self) -> Iterator[StateRow]:
        """The pairs that have changed; what was learned first, once."""
        for number in sorted(self._changed):
            tally = json.dumps(encode(self.tallies[number], PairTally))
            yield StateRow("pair", f"{number:06}", tally)
        if self._changed:
            self.lines = self.look() if self.look is not None else self.lines
            yield StateRow("lines", "", json.dumps(self.lines))
            yield StateRow("noise", "", json.dumps(encode(self.noise, Noise)))
        if self._new:
            yield StateRow("learned", "", json.dumps(encode(self.learned, Learned)))

    def written(self) -> None:
        """What has changed is in the state."""
        self._changed, self._new = set(), False

    def take(self, rows: Iterable[StateRow]) -> None:
        """What stands in a state."""
        for part, _, value in rows:
            values = json.loads(value)
            if part == "pair":
                self.tallies.append(decode(values, PairTally))
            elif part == "lines":
                self.lines = None if values is None else (values[0], values[1])
            elif part == "noise":
                self.noise = decode(values, Noise)
            elif part == "learned":
                self.learned = decode(values, Learned)

    # --- the traces ------------------------------------------------------------------------

    def begin(self, learned: Learned, tallies: Iterable[PairTally], end: int) -> None:
        """Take the first round, of so many traces."""
        self.learned, self.tallies, self.end = learned, list(tallies), end
        self.noise = {number: dict(fields) for number, fields in learned.noise.items()}
        self.ops = sum(one.evidence.calls[1] for one in self.tallies)
        self._changed, self._new = set(range(len(self.tallies))), True

    def cut(self, first: int) -> int:
        """The end of the range that this trace is in; a round is made of whole ones."""
        start, end = round_of(first)
        most = max(MOST // max(len(self.open), 1), LEAST)
        size = max(min((end - start) // RANGES, most), min(FIRST, most))
        return min(start + ((first - start) // size + 1) * size, end)

    def lead(self, first: int) -> tuple[int, ...] | None:
        """The pairs that had shown no difference when the round before the last was done."""
        start, _ = round_of(first)
        known = max(round_of(start - 1)[0], FIRST) if start else FIRST
        if self.learned is None or self.end < min(known, first):
            return None
        waiting = tuple(
            number for number, tally in enumerate(self.tallies)
            if self.open[number] and not any(one < known for one in tally.differing)
        )  # fmt: skip
        return waiting or None

    def merge(self, batch: PairsBatch) -> None:
        """Add the range that comes next."""
        assert batch.numbers.start == self.end, "ranges are merged in their order"
        for number, tally in batch.tallies.items():
            self.tallies[number].merge(tally)
        for target, fields in batch.noise.items():
            known = self.noise.setdefault(target, {})
            for what, why in fields.items():
                known.setdefault(what, why)
        self._changed |= batch.tallies.keys()
        self.end, self.ops = batch.numbers.stop, self.ops + batch.ops

    # --- what it comes to ------------------------------------------------------------------

    def differences(self) -> int:
        """The pairs that differ."""
        return sum(bool(tally.differing) for tally in self.tallies)

    def reached(self) -> str:
        """The changed lines that were executed."""
        found = self.look() if self.look is not None else self.lines
        return "changed lines unknown" if found is None else f"{found[0]}/{found[1]} changed lines"


def round_of(number: int) -> tuple[int, int]:
    """The round that a trace is in, as the number of its first trace and the end."""
    start, end = 0, FIRST
    while number >= end:
        if end - start >= LARGEST:
            start += (number - start) // LARGEST * LARGEST
            return start, start + LARGEST
        start, end = end, end + min(end, LARGEST)
    return start, end
