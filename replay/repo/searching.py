"""``replay verify --bisect``: the commit that changed something, without building them all.

The ends of the range are compared first, on random traces or on one that is given. If
they differ, a binary search asks of single commits whether that trace still shows what
it shows at the start; only these are built. It takes for granted that the trace, once it
shows something else, goes on to do so: then the commit found is the first. At last this
commit is compared with the one before it, and the trace shortened for the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from replay.bisect import Answer, Bisection, Probe, binary_search
from replay.repo.binding import Mapping as Rule
from replay.repo.bindingfile import read_binding
from replay.repo.bound import Unbound
from replay.repo.building import Outcome
from replay.repo.calls import CallTrace, read_calls
from replay.repo.checking import Checker
from replay.repo.git import Commit
from replay.repo.pairing import Subject
from replay.repo.reporting import value_text
from replay.repo.resolving import resolve
from replay.repo.results import Report, Row, compare
from replay.repo.runner import Run
from replay.repo.subjects import Progress, bind_rows, build_rows, drafted, inspect_rows
from replay.repo.verify import Request, opened, workspace


@dataclass(slots=True)
class Search:
    """The outcome of a search.

    Attributes:
        report: on the guilty commit and the one before it; on the ends of the range where
            these do not differ or could not be compared.
        commits: of the range, its start first; a probe's step counts in them.
        found: the probes and what came of them; None when nothing was searched.

    """

    report: Report
    commits: list[Commit]
    found: Bisection | None = None

    @property
    def suspects(self) -> list[Commit]:
        """The commits among which the guilty one is, where some could not be judged."""
        return [self.commits[i] for i in self.found.suspects] if self.found else []


def search(request: Request, progress: Progress = lambda done, total, text: None) -> Search:
    """Search a range of commits; errors as of :func:`replay.repo.verify.verify`."""
    with workspace() as place:
        site = _Site(request, place, progress)
        return site.search()


@dataclass(slots=True)
class _Site:
    request: Request
    place: Path
    progress: Progress
    rows: list[Row] = field(init=False)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def search(self) -> Search:
        request, progress = self.request, self.progress
        binding = read_binding(request.binding) if request.binding else None
        self.rows, applies, builder, notes = opened(request, binding, self.place)
        commits = [row.commit for row in self.rows]
        last = len(self.rows) - 1
        ends = [self.rows[0], self.rows[-1]]
        report = Report(ends, None, request.seed, request.traces, request.ops, {}, notes)

        def holds(rule: Rule, index: int) -> bool:
            return commits[index].id in applies.get(rule.key, frozenset())

        def built(index: int) -> list[Row]:
            self.outcomes |= build_rows(builder, [self.rows[index]], 1, progress)
            return [self.rows[index]]

        self.outcomes |= build_rows(builder, ends, request.jobs, progress)
        shapes = inspect_rows(ends, self.outcomes)
        if not all(shapes):
            report.notes.append("both ends of the range have to be built: nothing was searched")
            return Search(report, commits)
        if binding is None:
            binding = drafted(shapes)
            report.notes.append("no --binding: one was drafted from the library; see replay init")
        plan = report.plan = resolve(
            binding, shapes, lambda rule, end: holds(rule, last if end else 0)
        )
        subjects: dict[int, Subject | None] = {}

        def subject(index: int) -> Subject | None:
            if index not in subjects:
                picked = [self.rows[index]] if index in (0, last) else built(index)
                shape = inspect_rows(picked, self.outcomes)
                (subjects[index],) = bind_rows(
                    plan, picked, shape, self.outcomes, lambda rule, _: holds(rule, index)
                )
            return subjects[index]

        given = read_calls(request.trace, plan) if request.trace else None
        with Checker(request.jobs, plan, request.call_limit) as checker:
            self.judge(checker, report, [subject(0), subject(last)], given)
            shown = self.rows[-1].example
            if shown is None:
                return Search(report, commits)
            probing = _Probing(checker, subject, shown.trace, self.rows, progress)
            found = binary_search(probing.ask, 0, last, probing.tell)
            first, guilty = _last_good(found), (found.guilty or found.suspects)[-1]
            rows = self.rows[first : guilty + 1]
            result = Report(rows, plan, request.seed, 1, len(shown.trace), {}, notes)
            between = [subject(index) for index in range(first, guilty + 1)]
            self.judge(checker, result, between, shown.trace)
        return Search(result, commits, found)

    def judge(
        self, checker: Checker, report: Report, subjects: list[Subject | None],
        trace: CallTrace | None,
    ) -> None:  # fmt: skip
        """Judge the rows of a report, and shorten the trace for them."""
        checker.judge(
            report, subjects, traces=self.request.traces, ops=self.request.ops,
            budget=self.request.budget, trace=trace, shorten=True, progress=self.progress,
        )  # fmt: skip


@dataclass(slots=True)
class _Probing:
    """Whether a trace shows at a commit what it shows at the start."""

    checker: Checker
    subject: Callable[[int], Subject | None]
    trace: CallTrace
    rows: list[Row]
    progress: Progress
    wanted: Run | None = None

    def ask(self, index: int) -> tuple[Answer, str]:
        """Good where it does, bad where it does not."""
        subject = self.subject(index)
        if subject is None:
            return Answer.SKIP, self.rows[index].reason or self.rows[index].verdict.value
        lacking = {call.op for call in self.trace} - subject.bound.names
        if lacking:
            return Answer.SKIP, f"it has no {', '.join(sorted(lacking))}"
        try:
            (run,) = self.checker.run_all(subject, [self.trace])
        except Unbound as error:
            return Answer.SKIP, f"it cannot be loaded: {error}"
        assert run is not None
        if self.wanted is None:
            self.wanted = run  # the start is asked first
        difference = compare(self.wanted, run)
        if difference is None:
            return Answer.GOOD, ""
        what, old, new = difference.fields[0]
        return Answer.BAD, f"{what}: start {value_text(old)}, here {value_text(new)}"

    def tell(self, probe: Probe) -> None:
        """Say what was asked."""
        self.progress(0, 0, f"{self.rows[probe.step].commit.short} is {probe.answer.value}")


def _last_good(found: Bisection) -> int:
    bad = (found.guilty or found.suspects)[-1]
    return max(p.step for p in found.probes if p.answer is Answer.GOOD and p.step < bad)
