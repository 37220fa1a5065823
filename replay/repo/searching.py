"""``replay verify --bisect``: the commits that changed something, without building them all.

The ends of the range are compared first, on random traces or on one that is given. Where
they differ, the traces that tell them apart, some of each kind of difference, are followed
by a binary search: a stretch of commits whose ends show the same is taken to be the same
within, and any other is halved, down to each commit at which something changed. Only what
is asked is built. At last each such commit is compared with the one before it, and the
trace shortened for the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from replay.repo.agreeing import agree
from replay.repo.binding import Binding, Interface
from replay.repo.bindingfile import read_binding
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace, read_calls
from replay.repo.campaign import SHARE, Sampling
from replay.repo.checking import Checker
from replay.repo.expected import Expected
from replay.repo.expecting import Expecting, expecting
from replay.repo.following import (
    AT_ENDS,
    METHOD,
    MOST_REPEATS,
    SUSPECTED,
    Choosing,
    Kind,
    Seen,
    Witnessed,
    Witnesses,
)
from replay.repo.git import Commit
from replay.repo.judging import judge, unjudged
from replay.repo.opening import DRAFTED, History, Request, opened, workspace
from replay.repo.resolving import resolve
from replay.repo.results import Counterexample, JudgedCommit, Report, unseen
from replay.repo.showing import value_text
from replay.repo.targets import Prepared, Progress, Target, bound_to, drafted, mining, prepare
from replay.repo.verify import report
from replay.search.bisect import Answer, Bisection, Probe
from replay.search.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed: after the commit of one place, and up to that of another.

    Those between the two could not be judged. ``kinds`` is in what they differ.
    """

    after: int
    place: int
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """The outcome of a search.

    Attributes:
        report: on each commit that changed something and the one before it; on the ends of
            the range where these do not differ or could not be compared.
        commits: of the range, its start first; a probe's step counts in them.
        found: the probes and what came of them; None when nothing was searched.
        changes: what was found, in order.

    """

    report: Report
    commits: Sequence[Commit]
    found: Bisection | None = None
    changes: tuple[Change, ...] = ()


def search(request: Request, progress: Progress = lambda done, total, text: None) -> Search:
    """Search a range of commits; errors as of :func:`replay.repo.verify.verify`.

    Where the ends differ the report does not pass.
    """
    binding = read_binding(request.binding) if request.binding else None
    strict = request.trace is None
    with workspace() as place, expecting(request.expect, strict) as expect:
        history = opened(request, binding, place)
        expected = expect(history.commits, history.store)
        return _search(request, history, binding, expected, progress)


def _search(
    request: Request, history: History, binding: Binding | None, expected: Expecting,
    progress: Progress,
) -> Search:  # fmt: skip
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
        searching = _Searching(request, history, interface, checker, progress, built, expected)
        first = searching.judged(ends, given)
        following = searching.followed(first, given)
        found = Search(first, commits) if following is None else searching.search(following)
    return replace(found, report=unseen(found.report, expected.entries, expected.notes))


@dataclass(slots=True)
class _Following:
    """A search among commits, which are known by what the witnesses show there.

    Attributes:
        witnesses: what is followed.
        seen: at each commit that was asked; None where it cannot be judged.
        probes: in the order in which they were asked.

    """

    witnesses: Witnesses
    seen: dict[int, Seen | None]
    probes: list[Probe]


@dataclass(slots=True)
class _Searching:
    """A search under way; commits are named by their places in the history.

    Attributes:
        built: the trees that were built, and ``bound``: those bound to the interface.
        expected: what is declared of the commits.

    """

    request: Request
    history: History
    interface: Interface
    checker: Checker
    progress: Progress
    built: dict[int, Prepared]
    expected: Expecting
    bound: dict[int, Prepared] = field(default_factory=dict)

    def prepared(self, place: int) -> Prepared:
        """A commit, built when it is first asked for."""
        if place not in self.built:
            tree = self.history.commits[place].tree
            (self.built[place],) = prepare(self.history.builder, [tree], 1, self.progress)
        if place not in self.bound:
            built, holds = self.built[place], self.history.at(place)
            self.bound[place] = bound_to(self.interface, built, holds, lenient=True)
        return self.bound[place]

    def sampling(self, given: CallTrace | None) -> Sampling:
        """Random traces, or one that is given."""
        return self.request.sampling(self.interface, given)

    def judged(self, places: Sequence[int], given: CallTrace | None) -> Report:
        """The report on some commits, on random traces or on one that is given."""
        request = self.request
        prepared = [self.prepared(place) for place in places]
        judged = judge(
            self.checker, self.sampling(given), prepared, request.budget, self.progress,
            sources=self.history.sources(places), declared=self.declared(places),
        )  # fmt: skip
        return report(request, self.history, places, judged, self.interface, given=True)

    def declared(self, places: Sequence[int]) -> list[Expected | None]:
        """What is declared of some commits, each beside the one before it among them."""
        prepared = [self.prepared(place) for place in places]
        return self.expected.declared(self.interface, places, prepared)

    # --- what is followed ------------------------------------------------------------

    def followed(self, first: Report, given: CallTrace | None) -> _Following | None:
        """What tells the ends apart; None where nothing does, or they cannot be called."""
        last = len(self.history.commits) - 1
        old, new = (self.prepared(place).target for place in (0, last))
        if old is None or new is None or old.key == new.key:
            return None
        try:
            traces = self._chosen(first.rows[-1], given, old, new)
            witnesses = Witnesses(self.checker, traces)
            ends = witnesses.look(old), witnesses.look(new)
            if first.rows[-1].verdict.passes or ends[0].ended or ends[1].ended:
                ends = witnesses.look(old, AT_ENDS), witnesses.look(new, AT_ENDS)
            if not witnesses.settle(ends):
                # What comes and goes was hardly seen: look longer.
                ends = witnesses.look(old, MOST_REPEATS), witnesses.look(new, MOST_REPEATS)
                witnesses.settle(ends)
        except Unbound:
            return None
        found = witnesses.differences(*ends)
        if not found:
            return None
        probes = [Probe(0, Answer.GOOD), Probe(last, Answer.BAD, _note(found))]
        following = _Following(witnesses, dict(zip((0, last), ends, strict=True)), probes)
        for probe in probes:
            self.tell(probe)
        return following

    def _chosen(
        self, row: JudgedCommit, given: CallTrace | None, old: Target, new: Target
    ) -> list[CallTrace]:
        """Traces that tell the ends apart; where none is known to, some that may yet."""
        sampling = self.sampling(given)
        names = sampling.wanted or old.bound.names & new.bound.names
        if not names <= old.bound.names & new.bound.names:
            raise Unbound("an operation of the trace is missing")
        count = min(sampling.count, SUSPECTED) if row.verdict.passes else sampling.count
        choosing, declared = Choosing(), self.declared((0, len(self.history.commits) - 1))[-1]
        for start in range(0, count, SHARE) if names else ():
            numbers = range(start, min(start + SHARE, count))
            traces = [sampling.trace(names, number) for number in numbers]
            self.progress(start, count, "collecting what differs")
            if not row.verdict.passes:
                told = [self.checker.digests(side, traces) for side in (old, new)]
                both = zip(traces, *told, strict=True)
                traces = [trace for trace, *two in both if not agree(*two)]
            runs = [self.checker.run_all(side, traces) for side in (old, new)]
            choosing.add(traces, *runs)
            if declared is not None:  # what a declared difference stands before
                choosing.add(traces, *declared.applied_to_all(traces, *runs))
        shortest = [row.example.trace] if row.example is not None else []
        return list(dict.fromkeys((*shortest, *choosing.chosen())))

    # --- the search ------------------------------------------------------------------

    def search(self, following: _Following) -> Search:
        """Each commit at which something changed that is followed."""
        commits, last = self.history.commits, len(self.history.commits) - 1
        found: list[tuple[Change, dict[Kind, Witnessed]]] = []
        spans = [(0, last)]
        while spans:
            low, high = spans.pop()
            differences = self._between(following, low, high)
            if not differences:
                continue
            middle = self._middle(following, low, high)
            if middle is None:
                found.append((Change(low, high, tuple(differences)), differences))
            else:
                spans += [(middle, high), (low, middle)]
        changes = tuple(change for change, _ in found)
        bisection = Bisection(
            METHOD,
            guilty=tuple(one.place for one in changes if one.place == one.after + 1),
            suspects=tuple(
                place
                for one in changes
                if one.place > one.after + 1
                for place in range(one.after + 1, one.place + 1)
            ),
            probes=following.probes,
        )
        self.history = self._told(following, changes)
        reports = [self._confirmed(*both, following) for both in found]
        return Search(_joined(reports), commits, bisection, changes)

    def _between(self, following: _Following, low: int, high: int) -> dict[Kind, Witnessed]:
        before, after = following.seen[low], following.seen[high]
        assert before is not None and after is not None
        return following.witnesses.differences(before, after)

    def _middle(self, following: _Following, low: int, high: int) -> int | None:
        """A commit between two that can be judged, as near the middle as there is one."""
        between = range(low + 1, high)
        for place in sorted(between, key=lambda place: (abs(2 * place - low - high), place)):
            if place not in following.seen:
                probe = self._ask(following, place)
                following.probes.append(probe)
                self.tell(probe)
            if following.seen[place] is not None:
                return place
        return None

    def _ask(self, following: _Following, place: int) -> Probe:
        """What the witnesses show at a commit: as at the start of the range, or else."""
        following.seen[place] = None
        prepared = self.prepared(place)
        target = prepared.target
        if target is None:
            assert prepared.obstacle is not None
            said = prepared.obstacle.reason or prepared.obstacle.verdict.value
            return Probe(place, Answer.SKIP, said)
        try:
            seen = following.witnesses.look(target)
        except Unbound as error:
            return Probe(place, Answer.SKIP, f"it cannot be loaded: {error}")
        if not seen.runs:
            wanted = {call.op for trace in following.witnesses.traces for call in trace}
            lacking = ", ".join(sorted(wanted - target.bound.names))
            return Probe(place, Answer.SKIP, f"it has no {lacking}" if lacking else "it hangs")
        following.seen[place] = seen
        found = self._between(following, 0, place)
        return Probe(place, Answer.BAD if found else Answer.GOOD, _note(found))

    def tell(self, probe: Probe) -> None:
        """Say what was asked."""
        short = self.history.commits[probe.step].short
        self.progress(0, 0, f"{short} is {probe.answer.value}")

    # --- what is said ----------------------------------------------------------------

    def _told(self, following: _Following, changes: Sequence[Change]) -> History:
        """The history with a note on what each commit changed, and on what none did."""
        history, commits = self.history, self.history.commits
        for change in changes:
            name = commits[change.place].short
            if change.place > change.after + 1:
                name = f"one of {commits[change.after + 1].short} to {name}"
            history = history.noting(f"{name} changed {_words(change.kinds)}")
        followed = {kind for change in changes for kind in change.kinds}
        left = [
            kind for kind in self._between(following, 0, len(commits) - 1) if kind not in followed
        ]
        if left:
            history = history.noting(
                f"other traces tell the ends apart in another way, which no commit above was "
                f"seen to bring: {_words(left)}"
            )
        return history

    def _confirmed(
        self, change: Change, found: dict[Kind, Witnessed], following: _Following
    ) -> Report:
        """The report on a commit that changed something, and on those up to it."""
        kind, shown = min(found.items(), key=lambda one: one[0].verdict is Verdict.UNDECLARED)
        places = range(change.after, change.place + 1)
        # One trace may show what is declared alone.
        judged = self.judged(places, None) if any(self.declared(places)) else None
        if judged is not None and judged.rows[-1].differs:
            return judged
        judged = self.judged(places, shown.trace)
        judged = replace(judged, traces=1, ops=len(shown.trace))
        row = judged.rows[-1]
        if not row.differs:
            ends = following.seen[change.after], following.seen[change.place]
            row = _observed(row, kind, shown, *ends)
        return replace(judged, rows=(*judged.rows[:-1], row))


def _words(kinds: Sequence[Kind]) -> str:
    return "; ".join(kind.words for kind in kinds)


def _note(found: dict[Kind, Witnessed]) -> str:
    """One difference from the start, in a few words."""
    if not found:
        return ""
    what, old, new = next(iter(found.values())).divergence.fields[0]
    return f"{what}: start {value_text(old)}, here {value_text(new)}"


def _observed(
    row: JudgedCommit, kind: Kind, shown: Witnessed, before: Seen | None, after: Seen | None
) -> JudgedCommit:
    """What the search saw of a commit, where running one trace again shows less."""
    assert before is not None and after is not None
    verdict = kind.verdict if after.ended.get(kind) else Verdict.UNDECLARED
    reason = f"{kind.words}, on some traces, whenever they are run"
    if kind.verdict is not Verdict.UNDECLARED:
        reason = (
            f"{kind.words} in {after.ended.get(kind, 0)} of {after.repeats} processes; before "
            f"in {before.ended.get(kind, 0)} of {before.repeats}: it comes and goes"
        )
    example = Counterexample(
        f"commit-1-{verdict.value.rpartition(' ')[2]}", shown.trace, shown.before, shown.after,
        shown.divergence, False,
    )  # fmt: skip
    return replace(
        row, verdict=verdict, reason=reason, traces=max(row.traces, 1), example=example,
        differing=max(row.differing, 1),
    )  # fmt: skip


def _joined(reports: Sequence[Report]) -> Report:
    """One report of several: a commit that one ends with and the next starts from is told once."""
    rows: list[JudgedCommit] = []
    for one in reports:
        told = bool(rows) and rows[-1].commit.id == one.rows[0].commit.id
        for row in one.rows[told:]:
            example = row.example
            if example is not None:
                kind = example.name.rpartition("-")[2]
                example = replace(example, name=f"commit-{len(rows)}-{kind}")
            rows.append(replace(row, example=example))
    patches = {commit: ids for one in reports for commit, ids in one.patches.items()}
    return replace(reports[0], rows=tuple(rows), patches=patches)
