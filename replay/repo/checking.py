"""Traces on the libraries of all commits: run, compared pair by pair, and shortened.

A library runs each trace once, however many commits have it. Work is handed out a library
at a time and taken back in order, so the report does not depend on the number of jobs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

from replay.base.pool import result_of
from replay.repo.binding import Plan
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.errors import RepoError
from replay.repo.generating import generate
from replay.repo.pairing import Names, Pair, Subject, neighbours, sides
from replay.repo.results import Example, Report, Row, Verdict, against_model, compare
from replay.repo.runner import ModelError, Run, Runner
from replay.repo.shrinking import shrink

SHARE: Final = 250
"""Traces whose runs are in memory at once."""
MOST_HANGS: Final = 3
"""Hangs of a library in a share after which it is not asked further."""
SHRUNK_LIMIT: Final = 0.25
"""Seconds of processor time after which a candidate counts as hanging."""
SHRUNK_ROWS: Final = 8
"""Commits whose example is shortened; of more, the rest show theirs as found."""

T = TypeVar("T")
Runs: TypeAlias = list[Run | None]


@dataclass(slots=True)
class Checker:
    """Workers for a plan; use it in a ``with`` statement, which leaves none behind."""

    jobs: int
    plan: Plan
    cpu: float
    running: set[Runner] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False
    executor: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.executor = ThreadPoolExecutor(self.jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with self.lock:
            self.stopped = True
            for runner in self.running:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(runner.process.pid, signal.SIGKILL)
        self.executor.shutdown(wait=True, cancel_futures=True)

    @contextlib.contextmanager
    def opened(self, subject: Subject) -> Iterator[Runner]:
        """A worker that is ended when the checker is left."""
        if self.stopped:
            raise Unbound("stopped")
        runner = subject.open(self.cpu)
        try:
            with runner:
                with self.lock:
                    self.running.add(runner)
                    # Ctrl-C may have come while it started: then nobody else ends it.
                    if self.stopped:
                        raise Unbound("stopped")
                yield runner
        finally:
            with self.lock:
                self.running.discard(runner)

    def each(self, work: Callable[[T], None], items: Sequence[T]) -> None:
        """Do something with each item, several at a time; the first failure is raised."""
        for future in [self.executor.submit(work, item) for item in items]:
            result_of(future)

    # --- judging ----------------------------------------------------------------------

    def judge(
        self,
        report: Report,
        subjects: list[Subject | None],
        *,
        traces: int,
        ops: int,
        budget: int,
        trace: CallTrace | None = None,
        model: tuple[Path, str] | None = None,
        shorten: bool = False,
        progress: Callable[[float, float, str], None],
    ) -> None:
        """Give each row of a report its verdict, against the last one that has a subject.

        A trace that is given is shown as it is, unless it is to be shortened, too.
        """
        self.load(report.rows, subjects)
        numbers = range(1) if trace is not None else range(traces)

        def traces_of(names: Names, number: int) -> CallTrace:
            return trace or generate(self.plan.only(names), report.seed, number, ops)

        wanted = frozenset(call.op for call in trace) if trace is not None else frozenset()
        pairs = neighbours(report.rows, subjects, wanted)
        judged = self.with_model(pairs, report.rows, subjects, model, wanted)
        self.run_pairs(judged, numbers, traces_of, report, progress)
        shown = [pair for pair in judged if pair.difference is not None]
        left = budget if trace is None or shorten else 0

        def conclude(pair: Pair) -> None:
            few = shown.index(pair) < SHRUNK_ROWS
            self.conclude(report, pair, traces_of, left if few else 0)

        progress(0, 0, "shortening examples")
        for pair in judged:
            if pair.differs is compare:
                pair.row.traces, pair.row.differing = pair.traces, len(pair.differing)
                pair.row.verdict = Verdict.SAME if pair.traces else Verdict.NOT_JUDGED
                pair.row.reason = "" if pair.traces else "no trace could be compared"
            else:
                pair.row.model = len(pair.differing)
        self.each(conclude, shown)

    def load(self, rows: list[Row], subjects: list[Subject | None]) -> None:
        """See that each library loads; a row whose does not gets its verdict."""
        problems: dict[str, str] = {}
        known = {subject.key: subject for subject in subjects if subject is not None}

        def one(subject: Subject) -> None:
            try:
                with self.opened(subject):
                    pass
            except Unbound as error:
                problems[subject.key] = str(error)

        self.each(one, list(known.values()))
        for index, (row, subject) in enumerate(zip(rows, subjects, strict=True)):
            if subject is not None and subject.key in problems:
                said = problems[subject.key].replace(str(subject.library), "the library")
                row.verdict, row.reason = Verdict.NOT_JUDGED, f"it cannot be loaded: {said}"
                subjects[index] = None

    def with_model(
        self, pairs: list[Pair], rows: list[Row], subjects: list[Subject | None],
        model: tuple[Path, str] | None, wanted: Names,
    ) -> list[Pair]:  # fmt: skip
        """The pairs to compare, those with the reference model included."""
        if model is None:
            return pairs
        path, name = model
        names = {id(pair.row): pair.names for pair in pairs}
        found = []
        for row, subject in zip(rows, subjects, strict=True):
            if subject is not None and wanted <= subject.bound.names:
                whole = Subject(subject.bound, path.resolve(), f"model {path}", model=name)
                fit = names.get(id(row), subject.bound.names)
                found.append(Pair(row, whole, subject, fit, against_model))
        try:
            if found:
                with self.opened(found[0].before):
                    pass
        except Unbound as error:
            raise RepoError(f"--model {path}:{name}: {error}") from None
        return [*pairs, *found]

    def run_pairs(
        self, pairs: list[Pair], numbers: range, traces_of: Callable[[Names, int], CallTrace],
        report: Report, progress: Callable[[float, float, str], None],
    ) -> None:  # fmt: skip
        """Run all traces on all that take part, and compare."""
        for start in range(0, len(numbers), SHARE):
            share = numbers[start : start + SHARE]
            self.run_share(pairs, share, traces_of, report)
            done = share[-1] + 1
            progress(done, len(numbers), f"{done} of {len(numbers)} traces")

    def run_share(
        self, pairs: list[Pair], share: Sequence[int],
        traces_of: Callable[[Names, int], CallTrace], report: Report,
    ) -> None:  # fmt: skip
        """Run a share of the traces on all that take part, and compare."""
        needed: dict[tuple[str, Names], Subject] = {}
        for pair in pairs:
            for subject in (pair.before, pair.after):
                needed.setdefault((subject.key, pair.names), subject)
        traces = {
            names: [traces_of(names, number) for number in share]
            for names in dict.fromkeys(names for _, names in needed)
        }
        for kept in traces.values():
            counted = Counter(call.op for trace in kept for call in trace)
            for name, count in counted.items():
                report.calls[name] = report.calls.get(name, 0) + count
        runs: dict[tuple[str, Names], Runs] = {}

        def one(key: tuple[str, Names]) -> None:
            runs[key] = self.run_all(needed[key], traces[key[1]])

        self.each(one, list(needed))
        for pair in pairs:
            before = runs[(pair.before.key, pair.names)]
            after = runs[(pair.after.key, pair.names)]
            for number, old, new in zip(share, before, after, strict=True):
                pair.add(number, old, new)

    def run_all(self, subject: Subject, traces: Sequence[CallTrace]) -> Runs:
        """The runs of traces; None for those after too many hangs."""
        runs: Runs = []
        hangs = 0
        with self.opened(subject) as runner:
            for trace in traces:
                if hangs >= MOST_HANGS:
                    runs.append(None)
                    continue
                try:
                    run = runner.run(trace)
                except ModelError as error:
                    raise RepoError(f"the model failed: {error}") from None
                hangs += run.end == "hang"
                runs.append(run)
        return runs

    # --- the example of a finding -----------------------------------------------------

    def conclude(
        self, report: Report, pair: Pair, traces_of: Callable[[Names, int], CallTrace], budget: int
    ) -> None:
        """Shorten the example of a pair that differs, and give the row its verdict."""
        assert pair.soonest is not None
        number = report.rows.index(pair.row)
        what = "model" if pair.differs is against_model else ""
        example = self.example(pair, traces_of(pair.names, pair.soonest), budget)
        if isinstance(example, str):
            pair.row.verdict = Verdict.NOT_JUDGED
            pair.row.reason = f"it is not deterministic: {example}"
            return
        assert pair.difference is not None
        verdict = pair.difference.verdict
        name = f"commit-{number}-{what or verdict.value.rpartition(' ')[2]}"
        if what:
            pair.row.model_example = replace(example, name=name, sides=("model", "commit"))
        else:
            pair.row.verdict, pair.row.example = verdict, replace(example, name=name)

    def example(
        self, pair: Pair, trace: CallTrace, budget: int, unlike: Pair | None = None
    ) -> Example | str:
        """A trace on which a pair differs, shortened; or how one of the two is not repeatable.

        With ``unlike`` the trace stays one on which that pair does not differ.
        """
        with contextlib.ExitStack() as stack:
            old, new = (stack.enter_context(self.opened(s)) for s in (pair.before, pair.after))
            others = [stack.enter_context(self.opened(s)) for s in sides(unlike)]
            unstable = _unstable(old, trace) or _unstable(new, trace)
            if unstable:
                return unstable
            before, after = old.run(trace), new.run(trace)
            difference = pair.differs(before, after)
            if difference is None:
                return "a trace that differed does not when it is run again"
            verdict = difference.verdict
            limit = SHRUNK_LIMIT if verdict is Verdict.HANG else None

            def holds(candidate: CallTrace) -> bool:
                try:
                    runs = old.run(candidate, limit), new.run(candidate, limit)
                except ModelError:
                    return False
                found = pair.differs(*runs)
                if found is None or found.verdict is not verdict:
                    return False
                return not others or compare(*(o.run(candidate, limit) for o in others)) is None

            shrunk = shrink(trace, self.plan, holds, budget) if budget else None
            if shrunk is not None:
                before, after = old.run(shrunk.trace), new.run(shrunk.trace)
                found = pair.differs(before, after)
                if found is not None and found.verdict is verdict:
                    return Example("", shrunk.trace, before, after, found, shrunk.complete)
                # Shown only under the short limit of shrinking.
                before, after = old.run(trace), new.run(trace)
        return Example("", trace, before, after, difference, budget == 0 and len(trace) == 1)


def _unstable(runner: Runner, trace: CallTrace) -> str:
    """How two runs of the same library differ; empty where they do not."""
    first = runner.run(trace)
    for _ in range(2):
        found = compare(first, runner.run(trace))
        if found is not None:
            what, one, other = found.fields[0]
            return f"call {found.index + 1} of one trace: {what} {one!r}, then {other!r}"
    return ""
