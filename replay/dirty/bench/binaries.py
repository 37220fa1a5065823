"""Section ``elf``: comparing two libraries, beside abidiff.

Both read the same two files, each as a process of its own, in turns: the time is that of
the processor, the memory the most that was resident. They do not do the same work: abidiff
compares types and symbols, ours the code and data as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.dirty.bench.figures import Attainment, Effort, Progress, Spread, Table, ratios
from replay.dirty.bench.libraries import Size, made
from replay.errors import UsageError

SIZES: Final = {"20,000 functions": Size(200), "100 MB": Size(20, 96 << 20)}
QUICK: Final = {"200 functions": Size(2), "4 MB": Size(1, 4 << 20)}
GOAL: Final = 2.0
PEAK: Final = 1 << 30
"""Bytes that a comparison may have resident."""
MISSING: Final = (
    "abidiff was left out: there is no abidiff (Debian and Ubuntu have it in abigail-tools)."
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A run: seconds of processor time, and the most bytes that were resident."""

    seconds: float
    peak: int


@dataclass(frozen=True, slots=True)
class Compared:
    """The runs on one pair of libraries, ``bytes`` each, in turns."""

    name: str
    bytes: int
    ours: tuple[Ran, ...]
    abidiff: tuple[Ran, ...]

    @property
    def ratio(self) -> Spread | None:
        """How many times the time of abidiff."""
        if not self.abidiff:
            return None
        return ratios([r.seconds for r in self.ours], [r.seconds for r in self.abidiff])

    @property
    def peak(self) -> int:
        """The most bytes of any of our runs."""
        return max(ran.peak for ran in self.ours)

    def to_json(self) -> dict[str, Any]:
        """As in the report."""
        found: dict[str, Any] = {"library": self.name, "library_bytes": self.bytes}
        for name, runs in (("ours", self.ours), ("abidiff", self.abidiff)):
            if runs:
                found[f"{name}_seconds"] = Spread.of(r.seconds for r in runs).to_json()
                found[f"{name}_peak_bytes"] = max(r.peak for r in runs)
        if self.ratio:
            found["ratio"] = self.ratio.to_json()
        return found


@dataclass(frozen=True, slots=True)
class BinariesResult:
    """The runs by library; why those of abidiff are missing."""

    measured: tuple[Compared, ...]
    missing: str

    def tables(self) -> Sequence[Table]:
        """A row a library."""
        rows = []
        for m in self.measured:
            theirs = Spread.of(r.seconds for r in m.abidiff).text() if m.abidiff else ""
            most = f"{max(r.peak for r in m.abidiff) >> 20:,}" if m.abidiff else ""
            ours = Spread.of(r.seconds for r in m.ours).text()
            rows.append((m.name, f"{m.bytes >> 20:,}", ours, f"{m.peak >> 20:,}", theirs, most))
        columns = ("library", "MB", "s", "MB resident", "abidiff s", "abidiff MB")
        return (Table("Comparing two builds of a library", columns, tuple(rows)),)

    def verdicts(self) -> Sequence[Attainment]:
        """The goals."""
        found = []
        for m in self.measured:
            if m.ratio:
                goal = f"{m.name}: within {GOAL:.0f} times the time of abidiff"
                found.append(Attainment(goal, m.ratio.text(), m.ratio.median <= GOAL))
            goal = f"{m.name}: at most {PEAK >> 20:,} MB resident"
            found.append(Attainment(goal, f"{m.peak >> 20:,} MB", m.peak <= PEAK))
        return found

    def notes(self) -> Sequence[str]:
        """How it was measured."""
        told = (
            "The libraries are generated; one unit differs. abidiff compares no code. What is "
            "resident in this process itself, which starts the others, is the least that is told."
        )
        return [told, *([self.missing] if self.missing else [])]

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {"libraries": [m.to_json() for m in self.measured]}


def measure(effort: Effort, progress: Progress) -> BinariesResult:
    """Build the libraries and compare them.

    Raises:
        UsageError: the compiler or a comparison fails.
    """
    sizes = QUICK if effort.quick else SIZES
    tool = abidiff()
    found = []
    for at, (name, size) in enumerate(sizes.items()):
        progress(at / len(sizes), name)
        with tempfile.TemporaryDirectory(prefix="replay-bench-") as folder:
            a, b = made(Path(folder), size)
            ours, theirs = [], []
            for _ in range(1 if effort.quick else 3):
                words = [sys.executable, "-m", "replay", "elf", "compare", str(a), str(b)]
                ours.append(ran(words, 2))
                if tool:
                    theirs.append(ran([tool, str(a), str(b)], 3))
            found.append(Compared(name, a.stat().st_size, tuple(ours), tuple(theirs)))
    return BinariesResult(tuple(found), "" if tool else MISSING)


def abidiff() -> str | None:
    """Where abidiff is; None if it is not installed."""
    return shutil.which("abidiff")


def ran(words: Sequence[str], failures: int) -> Ran:
    """Run a comparison to its end; ``failures`` are the bits of its exit code that say it failed.

    Raises:
        UsageError: it fails, rather than find a difference.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode("utf-8", "replace").strip()
    if process.returncode < 0 or process.returncode & failures:
        raise UsageError(f"{words[0]} failed: {text.partition(chr(10))[0]}")
    return Ran(max(used.ru_utime + used.ru_stime, 1e-6), used.ru_maxrss << 10)
