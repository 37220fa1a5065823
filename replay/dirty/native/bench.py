"""What the native lane costs, measured side by side; ``costs`` measures the steps' own claim.

Everything runs in this process, with the libraries bound by ctypes: it is for a series
that is known to be sound. All times are seconds of processor time; the sides of a ratio
take turns, and each figure is the median over the rounds.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import statistics
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from refmodels import FOLD
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.native.compare import native_profile
from replay.dirty.native.encode import Batch, encode
from replay.dirty.native.library import Library
from replay.dirty.native.session import Libraries
from replay.dirty.native.stream import encode_streams, stream
from replay.dirty.native.twins import twins
from replay.errors import UsageError

clock: Final = time.process_time

STREAM: Final = 16_000
"""Operations of a stream: what fits into a processor's cache with its digests."""


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """Nanoseconds an operation at a step, mean of all steps, by what is done beside it.

    Attributes:
        workload: what was run.
        bare: no digest.
        sparse: a digest of each operation, the state in it after each 16th.
        sound: the state in it after each operation, which is the lane's default.
        shared: the same, run once where steps are the same code: the lane as it is.

    """

    workload: str
    bare: float
    sparse: float
    sound: float
    shared: float

    @property
    def sparse_ratio(self) -> float:
        """Over the bare loop."""
        return self.sparse / self.bare

    @property
    def sound_ratio(self) -> float:
        """Over the bare loop, missing nothing."""
        return self.sound / self.bare

    @property
    def shared_ratio(self) -> float:
        """What the lane costs, over the bare loop of all steps."""
        return self.shared / self.bare


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Nanoseconds an operation over all steps together: generate once, run all, compare.

    What is run is what the lane runs, the same code once; ``bare`` is all steps.
    """

    every: int
    bare: float
    generate: float
    run: float
    compare: float

    @property
    def share(self) -> float:
        """The bare loop's share of the whole; the goal is 0.7."""
        return self.bare / (self.generate + self.run + self.compare)


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Nanoseconds an operation at a step: the lane, and a call of the library for each.

    Each side resets the machine for every trace.

    Attributes:
        lane: in batches, with digests (every 16th the state), the same code run once.
        sound: the same with the state after each.
        ctypes: a call by ctypes an operation, which gives its digest with the state in it.
        cffi: the same by cffi, NaN where it is not installed.
        python: the Python models of all steps, each executing everything.
        shared: the Python models, a step executing only what it may do otherwise.

    """

    workload: str
    lane: float
    sound: float
    ctypes: float
    cffi: float
    python: float
    shared: float


class OpenLibraries:
    """The libraries of all steps in this process, and a batch with room for its digests."""

    def __init__(self, libraries: Libraries) -> None:
        self.steps = {step: Library(path) for step, path in libraries.paths}
        self.paths = dict(libraries.paths)
        places = {step: place for place, step in enumerate(self.steps)}
        self.twins = [places[first] for first in twins(libraries.paths).values()]
        """The place of the first step that is the same code, for each step."""

    def run(
        self, batch: Batch, digests: array[int] | None, every: int = 16, share: bool = False
    ) -> float:
        """Run a batch at all steps: seconds. ``digests``: one a trace and step, in order.

        With ``share`` the same code is run once, as the lane does.
        """
        table, rows, words = (a.buffer_info()[0] for a in (batch.table, batch.rows, batch.words))
        first = digests.buffer_info()[0] if digests is not None else 0
        size = 8 * batch.count
        began = clock()
        for place, library in enumerate(self.steps.values()):
            out = first + place * size if first else 0
            if share and self.twins[place] != place:
                ctypes.memmove(out, first + self.twins[place] * size, size)
                continue
            library.digest_every(every)
            if library.run_traces(table, batch.count, rows, words, out) != batch.count:
                raise AssertionError("a batch of the benchmark is outside the domain")
        return clock() - began

    def room(self, batch: Batch) -> array[int]:
        """An array for the digests of a batch at all steps."""
        return array("Q", bytes(8 * batch.count * len(self.steps)))


def short_traces(seed: int = 1, count: int = 320) -> Batch:
    """What a campaign runs: traces of 50 operations."""
    profile = native_profile(Profile())
    return encode([generate(seed, number, profile) for number in range(count)])


def a_stream(seed: int = 1) -> Batch:
    """One long trace."""
    return encode_streams([stream(seed, 0, STREAM)])


def a_light_stream(seed: int = 1) -> Batch:
    """One long trace of the cheapest operations."""
    return encode_streams([stream(seed, 0, STREAM, light=True)])


WORKLOADS: Final[Mapping[str, Callable[[int], Batch]]] = {
    "traces of 50 operations": short_traces,
    f"a stream of {STREAM} operations": a_stream,
    f"a stream of {STREAM} light operations": a_light_stream,
}


def measure_lane(libraries: Libraries, seed: int = 1, rounds: int = 9) -> list[LaneFigures]:
    """The lane against the bare C loop, on each workload, over all steps."""
    bound = OpenLibraries(libraries)
    results = []
    for name, make in WORKLOADS.items():
        batch = make(seed)
        out = bound.room(batch)
        times: dict[str, list[float]] = {"bare": [], "sparse": [], "sound": [], "shared": []}
        for _ in range(rounds):
            times["bare"].append(bound.run(batch, None))
            times["sparse"].append(bound.run(batch, out, 16))
            times["sound"].append(bound.run(batch, out, 1))
            times["shared"].append(bound.run(batch, out, 1, share=True))
        each = 1e9 / (batch.ops * len(bound.steps))
        results.append(
            LaneFigures(name, **{k: statistics.median(v) * each for k, v in times.items()})
        )
    return results


def measure_end_to_end(
    libraries: Libraries, seed: int = 1, rounds: int = 9, every: int = 16
) -> EndToEnd:
    """Streams made, run at all steps and compared, against just running them."""
    bound = OpenLibraries(libraries)
    out = bound.room(a_stream(seed))
    times: list[tuple[float, ...]] = []
    for number in range(rounds):
        began = clock()
        batch = encode_streams([stream(seed, number, STREAM)])
        made = clock() - began
        ran = bound.run(batch, out, every, share=True)
        began = clock()
        differing = compared(out, batch.count)
        took = clock() - began
        if 27 in bound.steps and 27 not in {list(bound.steps)[place] for place in differing}:
            raise AssertionError("step 27 does not differ on a stream that sets ranges")
        times.append((bound.run(batch, None), made, ran, took))
    each = 1e9 / STREAM
    medians = [statistics.median(column) * each for column in zip(*times, strict=True)]
    return EndToEnd(every, *medians)


def compared(digests: array[int], count: int) -> list[int]:
    """The places of the steps whose digests are not all those of the step before."""
    data = memoryview(digests).cast("B")
    size = 8 * count
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [place for place in range(1, len(parts)) if parts[place] != parts[place - 1]]


def measure_calls(
    libraries: Libraries, seed: int = 1, rounds: int = 5, traces: int = 60
) -> list[CallFigures]:
    """The lane against a call for each operation, and against the Python models."""
    bound = OpenLibraries(libraries)
    profile = native_profile(Profile())
    made = {
        "traces of 50 operations": [generate(seed, n, profile) for n in range(traces)],
        "a stream of 2000 operations": [stream(seed, 0, 2000).trace()],
        "a stream of 2000 light operations": [stream(seed, 0, 2000, light=True).trace()],
    }
    steps = tuple(bound.steps)
    results = []
    for name, which in made.items():
        batch = encode(which)
        out = bound.room(batch)

        sides: dict[str, Callable[[], float]] = {
            "lane": partial(bound.run, batch, out, 16, share=True),
            "sound": partial(bound.run, batch, out, 1, share=True),
            "ctypes": partial(_by_ctypes, bound, batch),
            "cffi": partial(_by_cffi, bound, batch),
        }
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, run in sides.items():
                times[side].append(run())
        each = 1e9 / (batch.ops * len(steps))
        medians = {side: statistics.median(values) * each for side, values in times.items()}
        alone, shared = (_by_python(which, steps, share) * each for share in (False, True))
        results.append(CallFigures(name, **medians, python=alone, shared=shared))
    return results


def _by_python(traces: Sequence[Trace], steps: Sequence[int], share: bool) -> float:
    """The Python models of all steps."""
    classes = FOLD.variant({}, FOLD.last)
    began = clock()
    for trace in traces:
        run_steps(classes, trace, steps, share)
    return clock() - began


def _by_ctypes(bound: OpenLibraries, batch: Batch) -> float:
    """A call an operation by ctypes, as plain as it goes."""
    rows, words = (a.buffer_info()[0] for a in (batch.rows, batch.words))
    digest = array("Q", [0])
    out = digest.buffer_info()[0]
    spent = 0.0
    for library in bound.steps.values():
        library.digest_every(16)
        run = library.handle.dirty_run
        for at in range(batch.count):
            first, count, hpratio, tcg = batch.table[4 * at : 4 * at + 4]
            began = clock()
            library.reset(hpratio, bool(tcg))
            for row in range(rows + 32 * first, rows + 32 * (first + count), 32):
                if run(row, 1, words, out, None) != 1:
                    break
            spent += clock() - began
    return spent


DECLARATIONS: Final = """
    int64_t dirty_run(void *ops, size_t n, void *words, void *digests, void *results);
    int dirty_reset(int64_t hpratio, int tcg);
"""


def _by_cffi(bound: OpenLibraries, batch: Batch) -> float:
    """The same by cffi (its ABI mode, which needs no compiler); NaN without cffi."""
    if importlib.util.find_spec("cffi") is None:
        return float("nan")
    ffi = importlib.import_module("cffi").FFI()
    ffi.cdef(DECLARATIONS)
    rows = ffi.from_buffer(batch.rows)
    words = ffi.from_buffer(batch.words) if batch.words else ffi.NULL
    out = ffi.new("uint64_t[1]")
    spent = 0.0
    for path in bound.paths.values():
        library = ffi.dlopen(path)
        run, null = library.dirty_run, ffi.NULL
        for at in range(batch.count):
            first, count, hpratio, tcg = batch.table[4 * at : 4 * at + 4]
            began = clock()
            library.dirty_reset(hpratio, tcg)
            for row in range(32 * first, 32 * (first + count), 32):
                if run(rows + row, 1, words, out, null) != 1:
                    break
            spent += clock() - began
    return spent


def need_all(libraries: Libraries) -> Libraries:
    """The libraries, if all 40 steps are there.

    Raises:
        UsageError: some are missing.

    """
    if libraries.steps != tuple(range(40)):
        raise UsageError("the benchmark needs all 40 steps built")
    return libraries
