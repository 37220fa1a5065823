"""Calls a second and core: the compiled driver beside the other ways to call a library.

All call one small library, a queue of bytes, in the same way: sequences of at most 40
operations on at most two objects, after each the observers of each live object. What is
counted is what is called: operations, and with the observers. Time is processor time, of all
processes that take part.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.dirty.bench.figures import Attainment, Effort, Progress, Table, clock
from replay.errors import UsageError
from replay.repo.bindingfile import parse_binding
from replay.repo.bound import bind
from replay.repo.calls import CallTrace
from replay.repo.driver.pieces import Refused
from replay.repo.driver.run import DriverRunner, opened
from replay.repo.language import CALLS, CallLanguage
from replay.repo.resolving import resolve
from replay.repo.shapes import read_shape
from replay.repo.targets import Target

SPEED_GOAL: Final = 200_000.0
RATIO_GOAL: Final = 50.0
WORKER, FORKS, RESET = "worker", "driver, a fork a trace", "driver, reset"
LONGER: Final = 200
"""Calls of a longer trace: a fork costs what it costs, however many calls follow."""
LONG_WORKER, LONG_FORKS = f"worker, {LONGER} calls a trace", f"driver, a fork for {LONGER} calls"
HYPOTHESIS, FUZZER = "Hypothesis over ctypes", "libFuzzer, by hand"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to call a library, measured.

    Attributes:
        name: which.
        operations: calls of operations, and ``looks``: of observers.
        seconds: of processor time.

    """

    name: str
    operations: int
    looks: int
    seconds: float

    @property
    def calls(self) -> float:
        """Calls a second and core, the observers' too."""
        return (self.operations + self.looks) / self.seconds

    def to_json(self) -> dict[str, Any]:
        """The counts, and what they come to."""
        return {
            "way": self.name, "operations": self.operations, "looks": self.looks,
            "seconds": self.seconds, "operations_a_second": self.operations / self.seconds,
            "calls_a_second": self.calls,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class DriverResult:
    """The ways, the worker first; why one is missing.

    ``encoding`` and ``fork`` are microseconds: to encode a trace, and to run an empty one.
    """

    ways: tuple[Way, ...]
    missing: str
    encoding: float
    fork: float

    def _of(self, name: str) -> Way:
        return next(way for way in self.ways if way.name == name)

    def tables(self) -> Sequence[Table]:
        """Calls a second, and how many times the worker's."""
        worker = self._of(WORKER)
        rows = tuple(
            (way.name, f"{way.operations / way.seconds:,.0f}", f"{way.calls:,.0f}",
             f"{way.calls / worker.calls:.1f}")
            for way in self.ways
        )  # fmt: skip
        columns = ("way", "operations", "with observers", "worker = 1")
        return (Table("Calls a second and core", columns, rows),)

    def verdicts(self) -> Sequence[Attainment]:
        """The goals, each of the driver with a fork a trace."""
        forks, reset, worker = self._of(FORKS), self._of(RESET), self._of(WORKER)
        ratios = [way.calls / worker.calls for way in (forks, reset)]
        longer = self._of(LONG_FORKS).calls / self._of(LONG_WORKER).calls
        return (
            Attainment(
                f"the driver makes at least {SPEED_GOAL:,.0f} calls a second with a fork a trace",
                f"{forks.calls:,.0f}", forks.calls >= SPEED_GOAL,
            ),
            Attainment(
                f"at least {RATIO_GOAL:.0f} times the worker's with a fork a trace",
                f"{ratios[0]:.1f} ({ratios[1]:.0f} with a reset)", ratios[0] >= RATIO_GOAL,
            ),
            Attainment(
                f"the same with traces of {LONGER} calls", f"{longer:.1f}", longer >= RATIO_GOAL
            ),
        )  # fmt: skip

    def notes(self) -> Sequence[str]:
        """What the figures leave out."""
        notes = (
            "The worker and the driver run the same traces; Hypothesis and libFuzzer draw their "
            "own, of the same operations, and both share one process among all of them.",
            f"A fork for a trace without a call takes {self.fork:.0f} µs: nearly all that a trace "
            "in a fork of its own costs.",
            f"Encoding a trace for the driver takes {self.encoding:.0f} µs more, once for all "
            "libraries that run it.",
        )
        return (*notes, self.missing) if self.missing else notes

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "ways": [way.to_json() for way in self.ways], "encoding_microseconds": self.encoding,
            "fork_microseconds": self.fork, "missing": self.missing,
        }  # fmt: skip


def measure(effort: Effort, progress: Progress) -> DriverResult:
    """Measure each way in turn.

    Raises:
        UsageError: there is no C compiler, or no Hypothesis.

    """
    few = effort.quick
    try:
        from replay.dirty.bench.queuetest import call_by_hypothesis
    except ImportError:
        raise UsageError("no hypothesis: install the extra bench") from None
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as place:
        folder = Path(place)
        target, language = _prepared(folder)
        traces = [language.draw(effort.seed, number) for number in range(200 if few else 2000)]
        longer = [language.drawing(LONGER).draw(effort.seed, n) for n in range(len(traces) // 4)]
        progress(0.1, WORKER)
        ways = [_worker(target, traces[: 100 if few else 500])]
        progress(0.3, "driver")
        for name in (FORKS, RESET):
            ways.append(_driver(target, traces, name, 2 if few else 10))
        ways.append(_worker(target, longer[: 20 if few else 100], LONG_WORKER))
        ways.append(_driver(target, longer, LONG_FORKS, 2 if few else 10))
        encoding, fork = _overhead(target, traces)
        progress(0.5, HYPOTHESIS)
        began = clock()
        library = ctypes.CDLL(str(target.library))
        counts = call_by_hypothesis(library, 50 if few else 300, effort.seed)
        ways.append(Way(HYPOTHESIS, *counts, clock() - began))
        progress(0.8, FUZZER)
        fuzzed = _fuzzer(folder, 20_000 if few else 200_000, effort.seed)
        if isinstance(fuzzed, Way):
            ways.append(fuzzed)
    return DriverResult(tuple(ways), "" if isinstance(fuzzed, Way) else fuzzed, encoding, fork)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _prepared(folder: Path) -> tuple[Target, CallLanguage]:
    source, library = folder / "queue.c", folder / "libqueue.so"
    source.write_text(_text("queue.c"), encoding="utf-8")
    try:
        compiler = find_compiler().path
    except BuildError as error:
        raise UsageError(str(error)) from None
    words = [compiler, "-O2", "-g", "-fPIC", "-shared", "-o", str(library), str(source)]
    subprocess.run(words, check=True, env=environment())
    shape = read_shape(library)
    interface = resolve(parse_binding(_text("queue.toml"), "queue.toml"), [shape], _never)
    return Target(bind(interface, shape, {}), library, "queue"), CallLanguage(interface, CALLS)


def _never(*_: object) -> bool:
    """No map holds anywhere."""
    return False


@contextlib.contextmanager
def _children() -> Iterator[Callable[[], float]]:
    """How long children took that were started, and waited for, since."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    yield lambda: spent() - before


def _worker(target: Target, traces: Sequence[CallTrace], name: str = WORKER) -> Way:
    """Its processor time and ours, without what starting it takes."""
    with _children() as spent:
        with target.open(1.0):
            pass
        starting = spent()
    with _children() as spent:
        with target.open(1.0) as runner:
            began = clock()
            runs = [runner.run(trace) for trace in traces]
            ours = clock() - began
        seconds = max(spent() - starting, 1e-6) + ours
    records = [run.record(index) or {} for run in runs for index in range(len(run.records))]
    made = sum("skipped" not in record for record in records)
    return Way(name, made, sum(len(record.get("after", {})) for record in records), seconds)


def _driver(target: Target, traces: Sequence[CallTrace], name: str, rounds: int) -> Way:
    """The driver's own time, and that of its children."""
    with _opened(target, reset=name == RESET) as runner:
        for _ in range(rounds):
            runner.digests(traces)
        tally = runner.tally
    return Way(name, sum(tally.made.values()), tally.looks, tally.seconds)


def _overhead(target: Target, traces: Sequence[CallTrace]) -> tuple[float, float]:
    """Microseconds to encode a trace, and to run one without a call."""
    with _opened(target) as runner:
        began = clock()
        for trace in traces:
            runner.encoder.trace(trace)
        encoding = clock() - began
        runner.digests([()] * len(traces))
        return encoding / len(traces) * 1e6, runner.tally.seconds / len(traces) * 1e6


def _opened(target: Target, *, reset: bool = False) -> DriverRunner:
    try:
        return opened(target, 1.0, reset=reset)
    except Refused as error:
        raise UsageError(f"the driver cannot be measured: {error}") from None


def _fuzzer(folder: Path, runs: int, seed: int) -> Way | str:
    """A harness run by libFuzzer; or why there is none."""
    try:
        clang = find_compiler("clang").path
    except BuildError:
        return "libFuzzer was left out: there is no clang."
    (folder / "fuzz.c").write_text(_text("queuefuzz.c"), encoding="utf-8")
    words = [clang, "-O2", "-w", "-fsanitize=fuzzer", "-o", "fuzz", "fuzz.c", "queue.c"]
    made = subprocess.run(words, cwd=folder, env=environment(), check=False, capture_output=True)
    if made.returncode:
        return (
            "libFuzzer was left out: clang has no runtime for it (Debian and Ubuntu have it in "
            "libclang-rt-14-dev, of your clang's version)."
        )
    with _children() as spent:
        ran = subprocess.run(
            ["./fuzz", f"-runs={runs}", f"-seed={seed}", "-max_len=80", "-len_control=0"],
            cwd=folder, env=environment(), check=False, capture_output=True, text=True,
        )  # fmt: skip
        seconds = spent()
    told = [line.split() for line in ran.stderr.splitlines() if line.startswith("calls ")]
    if ran.returncode or not told:
        return "libFuzzer was left out: its run failed."
    return Way(FUZZER, int(told[-1][1]), int(told[-1][2]), seconds)
