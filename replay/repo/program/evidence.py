"""What a verdict on two programs rests on: how many runs ended, showed something, or failed.

A comparison of nothing is no pass: where every run fails at once with the same words, or
nothing is seen, a pair is not decided, with the reason and the cure.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from replay.repo.program.case import quoted
from replay.repo.program.running import ERR, HANG, OUT, Outcome
from replay.search.verdict import Verdict

LEAST: Final = 0.5
"""The part of the runs that has to end on both sides."""
ALIKE: Final = 0.9
"""The part of the runs that may fail in one and the same way."""
MOST_WORDS: Final = 160
CURE: Final = "say with --inputs what it is to be given (replay init --program drafts such a file)"


class Failure(NamedTuple):
    """How runs of both sides failed: the status or signal, and what was said."""

    end: str
    said: str

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.end}: {self.said}" if self.said else self.end


@dataclass(slots=True)
class Evidence:
    """What runs showed of a pair.

    Attributes:
        identical: the programs are the same files, which is a proof: nothing is run.
        runs: cases that were run on both sides.
        ended: those that came to an end on both, with whatever status.
        output: those of which something was seen on both beside that.
        failed: those that failed in the same way on both, by how.
        lost: cases that were not run, after too many hangs.
        shown: digests of the different things that were seen.
        steady: of the runs that were repeated, those that showed something twice the same,
            and ``repeated``: how many there were.

    """

    identical: bool = False
    runs: int = 0
    ended: int = 0
    output: int = 0
    failed: Counter[Failure] = field(default_factory=Counter)
    lost: int = 0
    shown: set[bytes] = field(default_factory=set)
    steady: int = 0
    repeated: int = 0

    def add(self, before: Outcome | None, after: Outcome | None) -> None:
        """Count the two runs of a case."""
        if before is None or after is None:
            self.lost += 1
            return
        self.runs += 1
        self.ended += not _stuck(before) and not _stuck(after)
        self.output += bool(before.seen) and bool(after.seen)
        self.shown.add(_digest(before))
        if before.failed and before.end == after.end:
            old, new = failure(before), failure(after)
            self.failed[old if old == new else Failure(before.end, "")] += 1

    def repeat(self, runs: list[Outcome]) -> None:
        """Count a case that was run again."""
        self.repeated += 1
        texts = [{(name, line) for name, text in run.seen for line in text.split(b"\n") if line}
                 for run in runs]  # fmt: skip
        self.steady += not any(texts) or bool(set.intersection(*texts))

    def merge(self, other: Evidence) -> None:
        """Add what other cases showed."""
        self.runs += other.runs
        self.ended += other.ended
        self.output += other.output
        self.failed += other.failed
        self.lost += other.lost
        self.shown |= other.shown
        self.steady += other.steady
        self.repeated += other.repeated

    def failures(self) -> list[tuple[Failure, int]]:
        """How runs failed alike, the most frequent first."""
        return sorted(self.failed.items(), key=lambda one: (-one[1], one[0]))


def _stuck(outcome: Outcome) -> bool:
    return outcome.crashed or outcome.end == HANG


def _digest(outcome: Outcome) -> bytes:
    return hashlib.sha256(repr((outcome.end, outcome.seen)).encode()).digest()[:12]


def failure(outcome: Outcome) -> Failure:
    """How a run failed, with the first line that it said, without its numbers."""
    fields = outcome.fields
    lines = (fields.get(ERR) or fields.get(OUT) or b"").split(b"\n")
    first = next((line.strip() for line in lines if line.strip()), b"")
    said = re.sub(rb"\d+", b"N", first).decode("utf-8", "backslashreplace")[:MOST_WORDS]
    return Failure(outcome.end, said)


def decide(evidence: Evidence, given: bool) -> tuple[Verdict, str]:
    """The verdict on a pair on which nothing differs, and why it is not decided.

    ``given``: a single case that somebody chose, which may fail as it likes.
    """
    if evidence.identical:
        return Verdict.SAME, ""
    reason = _too_little(evidence, given)
    return (Verdict.UNDECIDED, reason) if reason else (Verdict.SAME, "")


def _too_little(evidence: Evidence, given: bool) -> str:
    runs = evidence.runs
    if not runs:
        return "no run could be compared"
    if not given and evidence.ended < LEAST * (runs + evidence.lost):
        return f"only {evidence.ended} of {runs + evidence.lost} runs ended on both sides; {CURE}"
    failures = evidence.failures()
    if not given and failures and failures[0][1] >= ALIKE * runs:
        how, count = failures[0]
        return f"{count} of {runs} runs fail in the same way on both sides ({how.text}); {CURE}"
    if not evidence.output and len(evidence.shown) < 2:
        return f"nothing is seen of any run but its end ({_only(evidence)}); {CURE}"
    if evidence.repeated and not evidence.steady:
        return "nothing that it shows is the same twice"
    return ""


def _only(evidence: Evidence) -> str:
    failures = evidence.failures()
    return failures[0][0].end if failures else "status 0"


def value_text(value: bytes | None) -> str:
    """What was seen, as a report shows it."""
    return "nothing" if value is None else quoted(value, 160)
