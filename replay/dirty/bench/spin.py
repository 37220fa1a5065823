"""SPIN on a model of one pair of steps, written by hand in its own language.

``spin -a`` turns the model into a program in C, which a compiler makes fast and which then
searches: three times are to be told, and only the last is that of the search.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.errors import UsageError

MODEL: Final = "pair28.pml"
ALWAYS: Final = (
    "-w", "-DSAFETY", "-DNOREDUCE", "-DNOFAIR", "-DNOCLAIM", "-DNOBOUNDCHECK", "-DMEMLIM=1024",
)  # fmt: skip
"""No cycles, no fairness, no claim; and no partial order, which one process has not."""
BEST: Final = (("-O2",), ("-O3",))
"""What is tried for the fastest. -DCOLLAPSE, which saves memory, makes it slower."""
SMALL: Final = ("-n", "-w18")
"""No list of code that was not reached; a table of hashes that is not larger than it must be."""


@dataclass(frozen=True, slots=True)
class Pan:
    """A search that can be run.

    Attributes:
        program: the file.
        flags: of the compiler, those that differ.
        spin: seconds of processor time that ``spin`` took, and ``cc``: the compiler.

    """

    program: Path
    flags: tuple[str, ...]
    spin: float
    cc: float


@dataclass(frozen=True, slots=True)
class Ran:
    """A search that was run.

    Attributes:
        states: that it stored.
        transitions: from all of them; the first state, which SPIN counts as one, is none.
        errors: assertions that failed; it ends at the first.
        bytes: a state, with what its place in the table takes.
        seconds: of processor time.

    """

    states: int
    transitions: int
    errors: int
    bytes: float
    seconds: float


def missing() -> str:
    """Why SPIN cannot run here; empty where it can."""
    if shutil.which("spin") is None:
        return "SPIN was left out: there is no spin (Debian and Ubuntu have it in spin)."
    try:
        find_compiler()
    except BuildError:
        return "SPIN was left out: there is no C compiler."
    return ""


def model() -> str:
    """The text of the model."""
    return resources.files(__package__).joinpath(MODEL).read_text(encoding="utf-8")


def built(folder: Path, text: str, choices: Sequence[tuple[str, ...]]) -> list[Pan]:
    """The search of a model, made with each of some flags.

    Args:
        folder: an empty one, that stays.
        text: of the model.
        choices: flags of the compiler, beside those that are always given.

    Raises:
        UsageError: SPIN or the compiler refuses.

    """
    (folder / MODEL).write_text(text, encoding="utf-8")
    spin = _called(["spin", "-a", MODEL], folder)[1]
    found = []
    for at, flags in enumerate(choices):
        words = [find_compiler().path, *ALWAYS, *flags, "-o", f"pan{at}", "pan.c"]
        found.append(Pan(folder / f"pan{at}", flags, spin, _called(words, folder)[1]))
    return found


def ran(pan: Pan) -> Ran:
    """Run a search to its end, or to the first assertion that fails.

    Raises:
        UsageError: it does not end as it should.

    """
    text, seconds = _called([str(pan.program), *SMALL], pan.program.parent)
    return Ran(
        int(_figure(text, r"(\d+) states, stored")),
        int(_figure(text, r"(\d+) transitions")) - 1,
        int(_figure(text, r"errors: (\d+)")),
        _figure(text, r"([\d.]+)\s+equivalent memory") * 2**20
        / _figure(text, r"(\d+) states, stored"),
        max(seconds, 1e-6),
    )  # fmt: skip


def _figure(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise UsageError(f"SPIN did not say what it should: no {pattern}")
    return float(found[1])


def _called(words: list[str], folder: Path) -> tuple[str, float]:
    """What a program prints, and the processor time that it and its children take."""

    def spent() -> float:
        used: Any = resource.getrusage(resource.RUSAGE_CHILDREN)
        return float(used.ru_utime + used.ru_stime)

    before = spent()
    done = subprocess.run(
        words, cwd=folder, env=environment(), check=False, text=True, capture_output=True
    )
    if done.returncode:
        first = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise UsageError(f"{words[0]} failed with {done.returncode}: {first}")
    return done.stdout, spent() - before
