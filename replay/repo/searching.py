"""``replay verify --bisect``: the commit that changed something, without building them all.

The ends of the range are compared first, on random traces or on one that is given. If
they differ, a binary search asks of single commits whether that trace still shows what
it shows at the start; only these are built. It takes for granted that the trace, once it
shows something else, goes on to do so: then the commit found is the first. At last this
commit is compared with the one before it, and the trace shortened for the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from replay.repo.binding import Mapping as Rule
from replay.repo.bindingfile import read_binding
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace, read_calls
from replay.repo.checking import Checker
from replay.repo.git import Commit
from replay.repo.pairing import Subject
from replay.repo.resolving import resolve
from replay.repo.results import Report, Row, compare
from replay.repo.runner import Run
from replay.repo.showing import value_text
from replay.repo.subjects import Progress, bind_rows, build_rows, drafted, inspect_rows
from replay.repo.verify import Request, opened, workspace
from replay.search.bisect import Answer, Bisection, Probe, binary_search


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


def search(request: Request, progress: Progress = lambda done, total, text: None) -> Search:
    """Search a range of commits; errors as of :func:`replay.repo.verify.verify`."""
    with workspace() as place:
        return _search(request, place, progress)


def _search(request: Request, place: Path, progress: Progress) -> Search:
    binding = read_binding(request.binding) if request.binding else None
    rows, applies, builder, notes = opened(request, binding, place)
    commits = [row.commit for row in rows]
    last = len(rows) - 1
    ends = [rows[0], rows[-1]]
    report = Report(ends, None, request.seed, request.traces, request.ops, {}, notes)

    def holds(rule: Rule, index: int) -> bool:
        return commits[index].id in applies.get(rule.key, frozenset())

    outcomes = build_rows(builder, ends, request.jobs, progress)
    shapes = inspect_rows(ends, outcomes)
    if not all(shapes):
        report.notes.append("both ends of the range have to be built: nothing was searched")
        return Search(report, commits)
    if binding is None:
        binding = drafted(shapes)
        report.notes.append("no --binding: one was drafted from the library; see replay init")
    plan = report.plan = resolve(binding, shapes, lambda rule, end: holds(rule, end * last))
    known = dict(zip((0, last), shapes, strict=True))

    @cache
    def subject(index: int) -> Subject | None:
        one = [rows[index]]
        if index not in known:
            outcomes.update(build_rows(builder, one, 1, progress))
            (known[index],) = inspect_rows(one, outcomes)
        (found,) = bind_rows(
            plan, one, [known[index]], outcomes, lambda rule, _: holds(rule, index)
        )
        return found

    given = read_calls(request.trace, plan) if request.trace else None
    with Checker(request.jobs, plan, request.call_limit) as checker:

        def judge(report: Report, indices: Iterable[int], trace: CallTrace | None) -> None:
            checker.judge(
                report, [subject(index) for index in indices], traces=request.traces,
                ops=request.ops, budget=request.budget, trace=trace, shorten=True,
                progress=progress,
            )  # fmt: skip

        judge(report, (0, last), given)
        shown = rows[-1].example
        if shown is None:
            return Search(report, commits)
        probing = _Probing(checker, subject, shown.trace, rows, progress)
        found = binary_search(probing.ask, 0, last, probing.tell)
        guilty = (found.guilty or found.suspects)[-1]
        between = range(_last_good(found, guilty), guilty + 1)
        asked = [rows[index] for index in between]
        result = Report(asked, plan, request.seed, 1, len(shown.trace), {}, notes)
        judge(result, between, shown.trace)
    return Search(result, commits, found)


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


def _last_good(found: Bisection, bad: int) -> int:
    return max(p.step for p in found.probes if p.answer is Answer.GOOD and p.step < bad)
