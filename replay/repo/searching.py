"""``replay verify --bisect``: the commit that changed something, without building them all.

The ends of the range are compared first, on random traces or on one that is given. If
they differ, a binary search asks of single commits whether that trace still shows what
it shows at the start; only these are built. It takes for granted that the trace, once it
shows something else, goes on to do so: then the commit found is the first. At last this
commit is compared with the one before it, and the trace shortened for the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from replay.repo.binding import Binding, Interface
from replay.repo.bindingfile import read_binding
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace, read_calls
from replay.repo.campaign import Sampling
from replay.repo.checking import Checker
from replay.repo.git import Commit
from replay.repo.judging import judge, unjudged
from replay.repo.resolving import resolve
from replay.repo.results import Report, compare
from replay.repo.runner import Run
from replay.repo.showing import value_text
from replay.repo.targets import Prepared, Progress, bound_to, drafted, mining, prepare
from replay.repo.verify import DRAFTED, History, Request, opened, report, workspace
from replay.search.bisect import Answer, Bisection, Probe, binary_search


@dataclass(frozen=True, slots=True)
class Search:
    """The outcome of a search.

    Attributes:
        report: on the guilty commit and the one before it; on the ends of the range where
            these do not differ or could not be compared.
        commits: of the range, its start first; a probe's step counts in them.
        found: the probes and what came of them; None when nothing was searched.

    """

    report: Report
    commits: Sequence[Commit]
    found: Bisection | None = None


def search(request: Request, progress: Progress = lambda done, total, text: None) -> Search:
    """Search a range of commits; errors as of :func:`replay.repo.verify.verify`."""
    binding = read_binding(request.binding) if request.binding else None
    with workspace() as place:
        return _search(request, opened(request, binding, place), binding, progress)


def _search(
    request: Request, history: History, binding: Binding | None, progress: Progress
) -> Search:
    commits = history.commits
    ends = (0, len(commits) - 1)
    trees = [commits[place].tree for place in ends]
    prepared = prepare(history.builder, trees, request.jobs, progress)
    if any(one.shape is None for one in prepared):
        history = history.noting("both ends of the range have to be built: nothing was searched")
        return Search(report(request, history, ends, unjudged(prepared), None), commits)
    if binding is None:
        binding, history = drafted(prepared), history.noting(DRAFTED)
    interface = resolve(
        binding, [one.shape for one in prepared], lambda rule, end: history.holds(rule, ends[end])
    )
    interface = mining(interface, prepared)
    given = read_calls(request.trace, interface) if request.trace else None
    built = dict(zip(ends, prepared, strict=True))
    with Checker(request.jobs, request.call_limit) as checker:
        searching = _Searching(request, history, interface, checker, progress, built)
        first = searching.judged(ends, given)
        shown = first.rows[-1].example
        if shown is None:
            return Search(first, commits)
        return searching.search(shown.trace)


@dataclass(slots=True)
class _Searching:
    """A search under way; commits are named by their places in the history.

    Attributes:
        built: the trees that were built, and ``bound``: those bound to the interface.

    """

    request: Request
    history: History
    interface: Interface
    checker: Checker
    progress: Progress
    built: dict[int, Prepared]
    bound: dict[int, Prepared] = field(default_factory=dict)

    def prepared(self, place: int) -> Prepared:
        """A commit, built when it is first asked for."""
        if place not in self.built:
            tree = self.history.commits[place].tree
            (self.built[place],) = prepare(self.history.builder, [tree], 1, self.progress)
        if place not in self.bound:
            built, holds = self.built[place], self.history.at(place)
            self.bound[place] = bound_to(self.interface, built, holds)
        return self.bound[place]

    def judged(self, places: Sequence[int], given: CallTrace | None) -> Report:
        """The report on some commits, on random traces or on one that is given."""
        request = self.request
        sampling = Sampling(self.interface, request.seed, request.traces, request.ops, given)
        prepared = [self.prepared(place) for place in places]
        judged = judge(self.checker, sampling, prepared, request.budget, self.progress)
        return report(request, self.history, places, judged, self.interface)

    def search(self, trace: CallTrace) -> Search:
        """The first commit at which a trace shows something else than at the start."""
        commits = self.history.commits
        probing = _Probing(self.checker, self.prepared, trace, commits, self.progress)
        found = binary_search(probing.ask, 0, len(commits) - 1, probing.tell)
        guilty = (found.guilty or found.suspects)[-1]
        between = range(_last_good(found, guilty), guilty + 1)
        result = self.judged(between, trace)
        return Search(replace(result, traces=1, ops=len(trace)), commits, found)


@dataclass(slots=True)
class _Probing:
    """Whether a trace shows at a commit what it shows at the start."""

    checker: Checker
    prepared: Callable[[int], Prepared]
    trace: CallTrace
    commits: Sequence[Commit]
    progress: Progress
    wanted: Run | None = None

    def ask(self, place: int) -> tuple[Answer, str]:
        """Good where it does, bad where it does not."""
        prepared = self.prepared(place)
        target = prepared.target
        if target is None:
            assert prepared.obstacle is not None
            return Answer.SKIP, prepared.obstacle.reason or prepared.obstacle.verdict.value
        lacking = {call.op for call in self.trace} - target.bound.names
        if lacking:
            return Answer.SKIP, f"it has no {', '.join(sorted(lacking))}"
        try:
            (run,) = self.checker.run_all(target, [self.trace])
        except Unbound as error:
            return Answer.SKIP, f"it cannot be loaded: {error}"
        assert run is not None
        if self.wanted is None:
            self.wanted = run  # the start is asked first
        divergence = compare(self.wanted, run)
        if divergence is None:
            return Answer.GOOD, ""
        what, old, new = divergence.fields[0]
        return Answer.BAD, f"{what}: start {value_text(old)}, here {value_text(new)}"

    def tell(self, probe: Probe) -> None:
        """Say what was asked."""
        self.progress(0, 0, f"{self.commits[probe.step].short} is {probe.answer.value}")


def _last_good(found: Bisection, bad: int) -> int:
    return max(p.step for p in found.probes if p.answer is Answer.GOOD and p.step < bad)
