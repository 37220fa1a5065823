"""Our side of the process apart: requests, answers, and what a death there means here."""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.apart.death import Death
from replay.apart.parent import Apart, Gone
from replay.base.closing import Closing
from replay.build.compile import Built, Outcome
from replay.build.output import neutral
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Run
from replay.dirty.native.decode import decode
from replay.dirty.native.encode import WORD_BITS, Batch, encode
from replay.dirty.native.twins import twins
from replay.errors import DomainError, WorkerError

SERVER: Final = "replay.dirty.native.server"
NEEDS: Final = ("replay.dirty.native.library",)

MOST_OPEN: Final = 4
SANITIZER_PATIENCE: Final = 20.0

SANITIZER_OPTIONS: Final = {
    "ASAN_OPTIONS": "detect_leaks=0:exitcode=86:color=never:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:color=never",
}


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries of some steps: what a worker process needs to open them.

    Attributes:
        paths: (step, path of the library), in the order of steps.
        preload: the sanitizer's runtime if they were built with it.
        word_bits: of the machine words that they were built for.

    """

    paths: tuple[tuple[int, str], ...]
    preload: str = ""
    word_bits: int = WORD_BITS

    @classmethod
    def of(cls, outcomes: Mapping[int, Outcome], word_bits: int = WORD_BITS) -> Libraries:
        """The libraries of those steps that were built."""
        built = [(step, o) for step, o in sorted(outcomes.items()) if isinstance(o, Built)]
        preload = next((outcome.preload for _, outcome in built), "")
        paths = tuple((step, str(outcome.path)) for step, outcome in built)
        return cls(paths, preload, word_bits)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps there are."""
        return tuple(step for step, _ in self.paths)


REFUSAL: Final = Death("crash", "the driver refuses an operation that is inside the domain")


@dataclass(slots=True)
class Digests:
    """A digest a trace at each step, 0 where there is none: it died there, or was not run."""

    steps: dict[int, array[int]] = field(default_factory=dict)
    deaths: dict[tuple[int, int], Death] = field(default_factory=dict)


class Session(Closing):
    """A process that holds libraries, for as long as this is open. For one thread at a time.

    Raises:
        DomainError: a file is no library of this interface.
        WorkerError: the process does not start, or dies, which no step should achieve.

    """

    def __init__(self, libraries: Libraries, limit: float | None = None) -> None:
        """``limit`` replaces the seconds a run may take; see ``Batch.limit``."""
        self.libraries = libraries
        self.limit = limit
        self.broken: dict[int, Death] = {}
        self.twins: dict[int, int] = {}
        self.batch: Batch | None = None
        self.surveyed: tuple[Trace, dict[int, Run]] | None = None
        environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)}
        if libraries.preload:
            environment |= SANITIZER_OPTIONS | {"LD_PRELOAD": libraries.preload}
        self.apart = Apart(SERVER, environment, NEEDS, sanitized=bool(libraries.preload))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        libraries = self.libraries
        paths = {str(int(step)): path for step, path in libraries.paths}
        answer, _ = self.ask("open", limit=5.0, paths=paths)
        for problem in answer["unsound"].values():
            raise DomainError(
                f"{neutral(problem)}; build it with this version's series/tree/driver.c"
            )
        self.broken = {int(step): Death.of(raw, neutral) for step, raw in answer["broken"].items()}
        self.twins = twins(libraries.paths)

    def close(self) -> None:
        """End the process."""
        self.apart.close()

    def ask(self, do: str, payload: bytes = b"", **request: Any) -> tuple[dict[str, Any], bytes]:
        """One request and its answer."""
        try:
            return self.apart.ask({"do": do, **request}, payload)
        except Gone as gone:
            raise WorkerError(_ended(gone.death, self.apart.process.returncode)) from None

    # --- what can be asked ---

    def use(self, batch: Batch) -> float:
        """Hand over a batch, unless it is there; gives the limit for it."""
        if batch.word_bits != self.libraries.word_bits:
            raise DomainError(
                f"the traces have words of {batch.word_bits} bits, the libraries of "
                f"{self.libraries.word_bits}"
            )
        if batch is not self.batch:
            payload = batch.table.tobytes() + batch.rows.tobytes() + batch.words.tobytes()
            self.ask("batch", payload, traces=batch.count, rows=batch.ops)
            self.batch = batch
        if self.limit is not None:
            return self.limit
        return batch.limit * (SANITIZER_PATIENCE if self.libraries.preload else 1)

    def digests(
        self, batch: Batch, steps: Sequence[int], every: int = 1, in_domain: bool = False
    ) -> Digests:
        """A digest of each trace at each step. Equal digests: the same was observed.

        Of 2^64 pairs of traces of which something else was observed one has equal digests.
        With ``every`` 1 the whole state enters after each operation; with more, a
        difference of page sets that heals before it is looked at is missed.

        Of steps whose libraries are the same code (see ``twins``) the first asked for is run,
        and its digests and deaths are those of the others.

        With ``in_domain`` all traces are known to be ones that the C supports: that a step
        refuses an operation is then a crash of it.

        Raises:
            DomainError: an operation that the C does not support, with its place.

        """
        limit = self.use(batch)
        alike = self.alike(steps)
        answer, data = self.ask("digests", steps=list(alike), every=every, limit=limit)
        size = 8 * batch.count
        ran = {first: array("Q", data[i * size : (i + 1) * size]) for i, first in enumerate(alike)}
        of = {step: first for first, same in alike.items() for step in same}
        result = Digests()
        for step in steps:
            if step in self.broken:
                result.steps[step] = array("Q", bytes(size))
                result.deaths[step, 0] = self.broken[step]
            else:
                result.steps[step] = ran[of[step]]
        for raw in answer["deaths"]:
            refused = "refused" in raw
            if refused and batch.traces and not in_domain:
                # Says which operation is refused, as an error.
                self.records(batch, [(raw["step"], raw["trace"])])
            death = REFUSAL if refused else Death.of(raw, neutral)
            result.deaths |= {(step, raw["trace"]): death for step in alike[raw["step"]]}
        return result

    def alike(self, steps: Sequence[int]) -> dict[int, list[int]]:
        """The steps that can be run, by the first that is the same code as they are."""
        first: dict[int, int] = {}
        found: dict[int, list[int]] = {}
        for step in steps:
            if step not in self.broken:
                found.setdefault(first.setdefault(self.twins[step], step), []).append(step)
        return found

    def records(
        self, batch: Batch, which: Sequence[tuple[int, int]], in_domain: bool = False
    ) -> list[Run]:
        """Everything observed, for each (step, trace) of a batch; ``in_domain`` as above.

        Where the library died the last record has the status "crash" or "hang".

        Raises:
            DomainError: an operation that the C does not support, with its place.

        """
        limit = self.use(batch)
        sound = [pair for pair in which if pair[0] not in self.broken]
        answer, data = self.ask("record", which=sound, limit=limit)
        ends = iter(answer["ends"])
        runs, at = [], 0
        for step, number in which:
            trace = batch.traces[number]
            end: dict[str, Any] = {"size": 0} if step in self.broken else next(ends)
            if "full" in end or ("refused" in end and not in_domain):
                raise DomainError(_refusal(step, trace, end))
            death = self.broken.get(step)
            if "refused" in end:
                death = REFUSAL
            elif "death" in end:
                death = Death.of(end["death"], neutral)
            raw = data[at : at + end["size"]]
            at += end["size"]
            words, cause = (death.words(), death.cause) if death else ("", "")
            runs.append(decode(trace, step, raw, words, cause))
        return runs

    def survey(self, trace: Trace) -> dict[int, Run]:
        """A trace at all steps; runs with equal digests are recorded once and shared."""
        if self.surveyed and self.surveyed[0] is trace:
            return self.surveyed[1]
        batch = encode([trace], self.libraries.word_bits)
        found = self.digests(batch, self.libraries.steps)
        first: dict[tuple[int, int], int] = {}
        for step in self.libraries.steps:
            digest = found.steps[step][0]
            first.setdefault((digest, 0 if digest else step), step)
        which = list(first.values())
        runs = self.records(batch, [(step, 0) for step in which])
        by_step = dict(zip(which, runs, strict=True))
        result = {}
        for step in self.libraries.steps:
            digest = found.steps[step][0]
            run = by_step[first[digest, 0 if digest else step]]
            result[step] = type(run)(trace, step, run.records)
        self.surveyed = (trace, result)
        return result


def _ended(death: Death, code: int) -> str:
    """What it means that the process which holds the libraries did not answer."""
    said = death.report.strip() if death.status is not None else ""
    last = neutral(said.splitlines()[-1]) if said else ""
    return (
        f"the process that holds the libraries ended with status {code}: "
        f"{last or 'it was killed, perhaps for want of memory'}"
    )


def _refusal(step: int, trace: Trace, end: Mapping[str, Any]) -> str:
    index = end.get("refused", end.get("full", 0))
    where = f"step {step}: trace {trace.name!r}, operation {index} ({trace.ops[index].name})"
    if "full" in end:
        return f"{where}: what is observed does not fit into a GiB; use a smaller machine"
    return (
        f"{where}: the C does not support it; a log, or a range, may reach 2048 pages past the "
        "end of RAM at most"
    )


_open: dict[Libraries, Session] = {}


def can_run(libraries: Libraries, trace: Trace) -> bool:
    """Whether the C can run a trace: its machine, its words and its operations."""
    try:
        session(libraries).digests(encode([trace]), libraries.steps[:1])
    except DomainError:
        return False
    return True


def session(libraries: Libraries) -> Session:
    """The session of these libraries in this process; opened when first asked for.

    The few asked for last stay open.
    """
    found = _open.pop(libraries, None)
    if found is None or not found.apart.alive:
        while len(_open) >= MOST_OPEN:
            _open.pop(next(iter(_open))).close()
        found = Session(libraries)
    _open[libraries] = found
    return found
