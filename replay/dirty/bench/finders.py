"""Three who look for a fault of the C, on one clock: the native lane and its two rivals.

* ``replay``: what ``replay faults`` does with a fault of the C, which is the comparing of
  ``replay check --lane native``: the faulty step against the step before, under the
  deviations that it declares.
* ``Hypothesis``: a state machine, and ``libFuzzer``: a harness, both over the faulty and the
  right library of the same step. That is easier: no declared deviation has to be told from
  the fault, and the first difference is one.

The clock is a wall clock, from before what looks for the fault is started until the
difference is told. Each starts a process for every fault: the process apart of the native
lane, a fork that has imported Hypothesis and cffi, the fuzzer itself. When the libraries are
loaded, it is *ready*: from there on it searches. A library that dies, or that computes for
longer than a sound one ever would, is a difference for all three.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.build.compiler import environment
from replay.dirty.faults.judge import Search, compared
from replay.dirty.native.compare import Work
from replay.dirty.native.session import Libraries, session

OURS, HYPOTHESIS, FUZZER = "replay", "Hypothesis", "libFuzzer"

FOUND: Final = 77
"""The status of a rival that found a difference."""

BROKEN: Final = 99
"""The status of a rival that could not search at all."""

MOST_TRACES: Final = 1 << 30
FUZZER_OPTIONS: Final = (
    "-max_len=301", "-rss_limit_mb=4096", "-print_final_stats=0", "-handle_segv=0",
    "-handle_abrt=0", "-handle_bus=0", "-handle_fpe=0", "-handle_ill=0",
)  # fmt: skip
"""Fifty operations at most, as ours have; and who dies does so at once, without a report.
Other ways to grow inputs (-len_control) were not faster."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, as libraries.

    Attributes:
        step: the step of the fault.
        before: the step before it.
        right, faulty: the step without and with the fault.
        fuzzed: the step without the fault, and with it and instrumented for coverage, both
            by clang; None without clang.

    """

    step: int
    before: Path
    right: Path
    faulty: Path
    fuzzed: tuple[Path, Path] | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """How long somebody looked for a fault.

    Attributes:
        found: whether the difference was told in time.
        start: seconds until it was ready.
        seconds: in all.

    """

    found: bool
    start: float
    seconds: float


Finder = Callable[[Mutant, int, float], Look]
"""Looks for a fault, given a seed and the most seconds that it may look."""


def by_lane(mutant: Mutant, seed: int, limit: float) -> Look:
    """The native lane."""
    step = mutant.step
    libraries = Libraries(((step - 1, str(mutant.before)), (step, str(mutant.faulty))))
    search = Search(MOST_TRACES, seed, seconds=limit)
    began = time.monotonic()
    with session(libraries):
        ready = time.monotonic()
        found = compared(Work("native", search.plan(step), libraries), step, search)
        ended = time.monotonic()
    return _look(began, ready, ended, limit, found is not None)


def by_hypothesis(mutant: Mutant, seed: int, limit: float) -> Look:
    """A state machine, in a fork of this process."""
    from replay.dirty.bench import findingtest

    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if not child:
        _be_hypothesis(findingtest, mutant, seed, writing)
    os.close(writing)
    said, late = _said(reading, began + limit)
    ended = time.monotonic()
    if late:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return _told(said, began, ended, limit, 0 if late else status)


def _be_hypothesis(findingtest: Any, mutant: Mutant, seed: int, writing: int) -> None:
    """In the fork: search for ever, and end it with the status of what was found."""
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        paths = [str(mutant.right), str(mutant.faulty)]
        machine = findingtest.prepare(paths, lambda: os._exit(FOUND))
        os.write(writing, b"ready %.9f\n" % time.monotonic())
        findingtest.search(machine, seed)
    finally:
        os._exit(BROKEN)


def by_fuzzer(program: Path) -> Finder:
    """A harness of libFuzzer's that is built."""

    def look(mutant: Mutant, seed: int, limit: float) -> Look:
        assert mutant.fuzzed is not None
        right, faulty = map(str, mutant.fuzzed)
        variables = {**environment(), "RIGHT": right, "FAULTY": faulty}
        with tempfile.TemporaryDirectory(prefix="replay-bench-") as folder:
            began = time.monotonic()
            process = subprocess.Popen(
                [str(program), f"-seed={seed}", *FUZZER_OPTIONS], cwd=folder, env=variables,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert process.stdout is not None
            with process, process.stdout as pipe:
                said, late = _said(os.dup(pipe.fileno()), began + limit)
                ended = time.monotonic()
                if late:
                    process.kill()
            return _told(said, began, ended, limit, 0 if late else process.returncode)

    return look


# --- what the rivals share ------------------------------------------------------------


def _said(reading: int, deadline: float) -> tuple[bytes, bool]:
    """What a process says until it ends, and whether it is late."""
    parts: list[bytes] = []
    with open(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
            part = pipe.read(4096)
            if not part:
                return b"".join(parts), False
            parts.append(part)
    return b"".join(parts), True


def _told(said: bytes, began: float, ended: float, limit: float, status: int) -> Look:
    """What a rival's end means.

    Raises:
        AssertionError: it could not search.

    """
    word, _, rest = said.partition(b" ")
    assert word == b"ready" and status != BROKEN, f"a rival does not run: {said!r}, {status}"
    return _look(began, float(rest.split()[0]), ended, limit, status != 0)


def _look(began: float, ready: float, ended: float, limit: float, found: bool) -> Look:
    seconds = ended - began
    in_time = found and seconds <= limit
    return Look(in_time, min(ready - began, limit), seconds if in_time else limit)


FINDERS: Final[Mapping[str, Finder]] = {OURS: by_lane, HYPOTHESIS: by_hypothesis}
"""Those that need no program; ``by_fuzzer`` needs one."""
