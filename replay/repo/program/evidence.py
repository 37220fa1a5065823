"""What a verdict on two programs rests on: how many runs ended, showed something, or failed.

A comparison of nothing is no pass: where every run fails at once with the same words, or all
show the same, a pair is not decided, with the reason and the cure.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from replay.base.style import listed
from replay.repo.program.case import Case, quoted
from replay.repo.program.running import HANG, Outcome
from replay.repo.program.seeing import ERR, OUT
from replay.search.verdict import Verdict

LEAST: Final = 0.5
"""The part of the runs that has to end on both sides."""
ALIKE: Final = 0.9
"""The part of the runs that may fail in one and the same way."""
MOST_WORDS: Final = 160
MOST_LOOKED: Final = 1 << 14
"""Bytes of a text whose lines are told apart by their kind, and"""
MOST_KIND: Final = 120
"""bytes of such a line, without its numbers and words."""
_NUMBER: Final = re.compile(rb"\d+")
_WORD: Final = re.compile(rb"[^\W\d]+")
_AGAIN: Final = re.compile(rb"(\S+\s*?)\1+")
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
class Given:
    """What runs were given: digests of the different arguments, standard inputs, and files."""

    args: set[str] = field(default_factory=set)
    stdin: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)

    def add(self, case: Case) -> None:
        """Count a case."""
        self.args.add(_digest(case.args))
        self.stdin.add(_digest(case.stdin))
        self.files.add(_digest(case.files))

    def merge(self, other: Given) -> None:
        """Add what others were given."""
        self.args |= other.args
        self.stdin |= other.stdin
        self.files |= other.files

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many different ones; 0 where none was ever given."""
        nothing = Case()
        pairs = (self.args, nothing.args), (self.stdin, nothing.stdin), (self.files, nothing.files)
        args, stdin, files = (
            0 if every <= {_digest(empty)} else len(every) for every, empty in pairs
        )
        return args, stdin, files

    @property
    def varied(self) -> bool:
        """Whether any two were given something else."""
        return max(len(self.args), len(self.stdin), len(self.files)) > 1

    @property
    def text(self) -> str:
        """In words: ``no arguments, 7 standard inputs, no files``."""
        words = (
            ("no arguments", "the same arguments", "{} lists of arguments"),
            ("no standard input", "the same standard input", "{} standard inputs"),
            ("no files", "the same files", "{} sets of files"),
        )
        return ", ".join(
            said[min(count, 2)].format(count)
            for said, count in zip(words, self.counts, strict=True)
        )


@dataclass(slots=True)
class Evidence:
    """What runs showed of a pair.

    Attributes:
        identical: the programs are the same files, which is a proof: nothing is run.
        runs: cases that were run on both sides.
        ended: those that came to an end on both, with whatever status.
        ends: how often both ended alike, by how.
        output: those of which something was seen on both beside that.
        worked: those that did not fail on both, or showed more than error output.
        failed: those that failed in the same way on both, by how.
        lost: cases that were not run, after too many hangs.
        given: what they were given.
        shown: digests of the different things that were seen.
        kinds: the same without numbers and words: of the kinds of ends, of lines of output, and
            of files.
        steady: of the runs that were repeated, those that showed something twice the same,
            and ``repeated``: how many there were; ``firm``: digests of what was so.
        noisy: whether anything was not the same twice.

    """

    identical: bool = False
    runs: int = 0
    ended: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    output: int = 0
    worked: int = 0
    failed: Counter[Failure] = field(default_factory=Counter)
    lost: int = 0
    given: Given = field(default_factory=Given)
    shown: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    steady: int = 0
    repeated: int = 0
    firm: set[str] = field(default_factory=set)
    noisy: bool = False

    def add(self, case: Case, before: Outcome | None, after: Outcome | None) -> None:
        """Count the two runs of a case."""
        if before is None or after is None:
            self.lost += 1
            return
        self.runs += 1
        self.given.add(case)
        self.ended += not _stuck(before) and not _stuck(after)
        self.output += bool(before.seen) and bool(after.seen)
        failed = before.failed and after.failed
        self.worked += not failed or any(name != ERR for name, _ in before.seen)
        self.shown.add(_digest((before.end, before.seen)))
        self.kinds |= kinds(before) | kinds(after)
        if before.end == after.end:
            self.ends[before.end] += 1
        if before.failed and before.end == after.end:
            old, new = failure(before), failure(after)
            self.failed[old if old == new else Failure(before.end, "")] += 1

    def repeat(self, runs: list[Outcome]) -> None:
        """Count a case that was run again."""
        self.repeated += 1
        texts = [{(name, line) for name, text in run.seen for line in text.split(b"\n") if line}
                 for run in runs]  # fmt: skip
        same = set.intersection(*texts)
        self.noisy = self.noisy or any(run != runs[0] for run in runs)
        self.steady += not any(texts) or bool(same)
        self.firm.add(_digest((runs[0].end, sorted(same))))

    def merge(self, other: Evidence) -> None:
        """Add what other cases showed."""
        self.runs += other.runs
        self.ended += other.ended
        self.ends += other.ends
        self.output += other.output
        self.worked += other.worked
        self.failed += other.failed
        self.lost += other.lost
        self.given.merge(other.given)
        self.shown |= other.shown
        self.kinds |= other.kinds
        self.steady += other.steady
        self.repeated += other.repeated
        self.firm |= other.firm
        self.noisy = self.noisy or other.noisy

    def failures(self) -> list[tuple[Failure, int]]:
        """How runs failed alike, the most frequent first."""
        return sorted(self.failed.items(), key=lambda one: (-one[1], one[0]))


def _stuck(outcome: Outcome) -> bool:
    return outcome.crashed or outcome.end == HANG


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:24]


def kinds(outcome: Outcome) -> set[str]:
    """Digests of the kinds of what is seen of a run: numbers and words stand for each other."""
    found = {_digest(outcome.end)}
    for name, text in outcome.seen:
        kind = _NUMBER.sub(b"0", name.encode())
        for line in text[:MOST_LOOKED].split(b"\n"):
            plain = _NUMBER.sub(b"0", _WORD.sub(b"w", line))[:MOST_KIND]
            found.add(_digest((kind, _AGAIN.sub(rb"\1", plain))))
    return found


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
    if not evidence.runs:
        return "no run could be compared"
    if not given and (reason := _failing(evidence)):
        return reason
    if not evidence.output and len(evidence.shown) < 2:
        return f"nothing is seen of any run but its end ({_only(evidence)}); {CURE}"
    if evidence.repeated and not evidence.steady:
        return "nothing that it shows is the same twice"
    return "" if given else _all_alike(evidence)


def _failing(evidence: Evidence) -> str:
    """That too many runs did not end, or did not do what the program is for."""
    runs = evidence.runs
    if evidence.ended < LEAST * (runs + evidence.lost):
        return f"only {evidence.ended} of {runs + evidence.lost} runs ended on both sides; {CURE}"
    failures = evidence.failures()
    if failures and failures[0][1] >= ALIKE * runs:
        how, count = failures[0]
        return f"{count} of {runs} runs fail in the same way on both sides ({how.text}); {CURE}"
    if not evidence.worked:
        some = listed([how.text for how, _ in failures], 2)
        return f"all {runs} runs fail, and show error output alone ({some}); {CURE}"
    return ""


def _all_alike(evidence: Evidence) -> str:
    """That every run shows the same, whatever it is given."""
    if evidence.runs < 2:
        return ""
    if not evidence.given.varied:
        return f"all {evidence.runs} runs are given the same; {CURE}"
    if len(evidence.shown) == 1:
        return (
            f"all {evidence.runs} runs show the same ({_only(evidence)}), whatever they are "
            f"given: {evidence.given.text}; {CURE}"
        )
    if evidence.noisy and evidence.repeated > 1 and len(evidence.firm) == 1:
        return (
            f"all runs show the same, but for what is not the same twice; given were "
            f"{evidence.given.text}; {CURE}"
        )
    return ""


def _only(evidence: Evidence) -> str:
    return next(iter(evidence.ends), "status 0")


def value_text(value: bytes | None) -> str:
    """What was seen, as a report shows it."""
    return "nothing" if value is None else quoted(value, 160)
