"""Whether two programs do the same on a case, by several runs of each.

What is not the same in two runs of one program is left out: a word of a line, where the line
has as many words each time; the line, where the text has as many lines; else the text. A
file that is not always there is left out too. A crash or hang that only one side ever shows
is a difference, however often it comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TypeAlias

from replay.repo.program.running import HANG, Outcome
from replay.search.verdict import Verdict

END: Final = "end"
_WORDS: Final = re.compile(rb"[\w.+-]+|[^\w.+-]")
_NUMBER: Final = re.compile(rb"0[xX]([0-9a-fA-F]+)|([0-9]+)(?:\.[0-9]+)?")
ADDRESS: Final = "an address"
PROCESS: Final = "a process number"
TIME: Final = "the time"
RANDOM: Final = "random, or memory that was never written"

Runs: TypeAlias = Sequence[Outcome]
Split: TypeAlias = Callable[[bytes], list[bytes]]
Noise: TypeAlias = dict[tuple[str, str], tuple[bytes, bytes]]
"""What is not the same twice: by field and a guess why, with two of its values."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """In what two programs differ on a case.

    Attributes:
        verdict: UNDECLARED, or how the later one ends.
        fields: (what, before, after); None for what is not there.

    """

    verdict: Verdict
    fields: tuple[tuple[str, bytes | None, bytes | None], ...]

    @property
    def kinds(self) -> frozenset[tuple[str, Verdict]]:
        """What differs, and with which verdict."""
        return frozenset((what, self.verdict) for what, _, _ in self.fields)


def compare(before: Runs, after: Runs) -> Divergence | None:
    """In what two programs differ, each given by some runs; None where they do not."""
    old_ends, new_ends = ({run.end for run in runs} for runs in (before, after))
    for ends, others, verdict in (
        (new_ends, old_ends, None), (old_ends, new_ends, Verdict.UNDECLARED),
    ):  # fmt: skip
        bad = {end for end in ends if end == HANG or not end.startswith("status")}
        if bad and not _bad(others):
            end = min(bad)
            shown = verdict or (Verdict.HANG if end == HANG else Verdict.CRASH)
            return Divergence(shown, ((END, *_ends(before, after, end)),))
    if not old_ends & new_ends and len(old_ends) == len(new_ends) == 1:
        whole = (END, before[0].end.encode(), after[0].end.encode())
        return Divergence(Verdict.UNDECLARED, (whole, *_fields(before, after)))
    if len(old_ends) > 1 or len(new_ends) > 1 or HANG in old_ends:
        return None
    fields = tuple(_fields(before, after))
    return Divergence(Verdict.UNDECLARED, fields) if fields else None


def _bad(ends: set[str]) -> bool:
    return any(end == HANG or not end.startswith("status") for end in ends)


def _ends(before: Runs, after: Runs, end: str) -> tuple[bytes, bytes]:
    """How both sides end, with how often where it comes and goes."""

    def told(runs: Runs) -> bytes:
        count = sum(run.end == end for run in runs)
        if not count or count == len(runs):
            return runs[0].end.encode()
        return f"{end} in {count} of {len(runs)} runs".encode()

    return told(before), told(after)


def _fields(before: Runs, after: Runs) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    old, new = [run.fields for run in before], [run.fields for run in after]
    names = dict.fromkeys(name for fields in (*old, *new) for name in fields)
    for name in names:
        ones, others = [one.get(name) for one in old], [one.get(name) for one in new]
        if not agree(ones, others):
            yield name, ones[0], others[0]


def agree(
    before: Sequence[bytes | None], after: Sequence[bytes | None],
    splits: Sequence[Split] | None = None,
) -> bool:  # fmt: skip
    """Whether texts of two programs are alike, but for what varies on either side.

    ``splits`` take a text that varies apart, each further than the one before.
    """
    splits = (_lines, _words) if splits is None else splits
    if set(before) & set(after):
        return True
    if len(set(before)) == len(set(after)) == 1:
        return False
    if None in before or None in after or not splits:
        return True  # what comes and goes is left out, and so is what cannot be taken apart
    split = splits[0]
    ones, others = ([split(text) for text in side if text is not None] for side in (before, after))
    counts = [{len(parts) for parts in side} for side in (ones, others)]
    if len(counts[0]) > 1 or len(counts[1]) > 1:
        return True
    if counts[0] != counts[1]:
        return False
    pairs = zip(zip(*ones, strict=True), zip(*others, strict=True), strict=True)
    return all(agree(old, new, splits[1:]) for old, new in pairs)


def _lines(text: bytes) -> list[bytes]:
    return text.split(b"\n")


def _words(text: bytes) -> list[bytes]:
    return _WORDS.findall(text)


# --- what is not the same twice ---------------------------------------------------------


def noise(runs: Runs) -> Noise:
    """What differs between the runs of one program, with a guess why."""
    found: Noise = {}
    first = runs[0]
    for run in runs[1:]:
        if run.end != first.end:
            found.setdefault((END, ""), (first.end.encode(), run.end.encode()))
            continue
        one, other = first.fields, run.fields
        for name in {**one, **other}:
            old, new = one.get(name), other.get(name)
            if old is None or new is None:
                there = (b"is there", b"is not there")
                found.setdefault((_shape(name), "which files there are"), there)
            elif old != new:
                for values in _unlike(old, new):
                    found.setdefault((name, _kind(values, (first, run))), values)
    return found


def _shape(name: str) -> str:
    """The name of a file without its digits and random part: many stand for one."""
    return re.sub(r"\d+", "N", name)


def _unlike(old: bytes, new: bytes) -> list[tuple[bytes, bytes]]:
    """The words in which two texts differ; the first one alone where they are not as many."""
    ones, others = _words(old), _words(new)
    both = zip_longest(ones, others, fillvalue=b"")
    found = [(one[:40], other[:40]) for one, other in both if one != other]
    return found if len(ones) == len(others) else found[:1]


def _kind(values: tuple[bytes, bytes], runs: Runs) -> str:
    """A guess why two words differ."""
    numbers = [_NUMBER.fullmatch(value) for value in values]
    if all(found and found[1] for found in numbers):
        return ADDRESS
    whole = [int(found[2] or 0) for found in numbers if found]
    if len(whole) == 2:
        if any(number == run.why.pid for number, run in zip(whole, runs, strict=True)):
            return PROCESS
        if all(abs(n - r.why.began) < 100 for n, r in zip(whole, runs, strict=True)):
            return TIME
    return RANDOM
