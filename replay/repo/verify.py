"""``replay verify``: every commit of a range built, called, and compared with the one before.

The result is a function of the repository, the request and the machine's compiler; the
number of jobs makes no difference. Nothing is written but the cache of builds and a
temporary folder, which is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from replay.repo.behaviour import FAILING
from replay.repo.binding import Binding, Interface
from replay.repo.bindingfile import read_binding
from replay.repo.calls import read_calls
from replay.repo.checking import Checker
from replay.repo.expecting import Expecting, expecting, patch_ids
from replay.repo.git import Commit
from replay.repo.judging import Judged, judge, unjudged
from replay.repo.kept import Kept, repository_id
from replay.repo.keys import Question
from replay.repo.onesided import changes
from replay.repo.opening import DRAFTED, FIRST, TIMED, History, Request, opened, workspace
from replay.repo.pairing import Standing
from replay.repo.past import Past
from replay.repo.prove.judged import proved
from replay.repo.prove.proving import Prover
from replay.repo.recalling import Recall
from replay.repo.remembered import Memory
from replay.repo.resolving import resolve
from replay.repo.results import Counterexample, JudgedCommit, PairResult, Report
from replay.repo.rounds import Rounds
from replay.repo.settling import settled, told
from replay.repo.targets import Prepared, Progress, bound_to, drafted, mining, prepare
from replay.search.verdict import Verdict

Begin: TypeAlias = Callable[[Sequence[Commit], str], Rounds]
"""Is told the commits and what is asked of each, as a digest; gives the rounds of traces."""


def verify(
    request: Request, progress: Progress = lambda done, total, text: None,
    begin: Begin | None = None,
) -> Report:  # fmt: skip
    """Verify a range of commits.

    Args:
        request: what to verify.
        progress: called with how much is done.
        begin: the rounds of a campaign; None for those that the request asks for.

    Raises:
        RepoError: no such repository, range or library path.
        BindingError: the binding is wrong, or does not fit the library.
        ExpectError: what is declared is wrong, or fits no commit, or a rule of it fails.
        TraceError: the trace file does not fit the binding.
        WorkerError: a worker could not be started, or was killed.

    """
    binding = read_binding(request.binding) if request.binding else None
    with workspace() as place, expecting(request.expect, request.trace is None) as expect:
        history = opened(request, binding, place)
        expected = expect(history.commits, history.store)
        trees = [commit.tree for commit in history.commits]
        prepared = prepare(history.builder, trees, request.jobs, progress)
        if all(one.shape is None for one in prepared):
            history = history.noting("no commit could be built and read: nothing was compared")
            return report(request, history, range(len(trees)), unjudged(prepared), None)
        return _compared(request, history, binding, prepared, expected, progress, begin)


def _compared(
    request: Request, history: History, binding: Binding | None, prepared: Sequence[Prepared],
    expected: Expecting, progress: Progress, begin: Begin | None,
) -> Report:  # fmt: skip
    """The report on commits of which some can be called."""
    if binding is None:
        binding, history = drafted(prepared), history.noting(DRAFTED)
    interface = resolve(binding, [one.shape for one in prepared], history.holds)
    interface = mining(interface, prepared)
    places = range(len(prepared))
    bound = [
        bound_to(interface, one, history.at(at), lenient=True) for at, one in enumerate(prepared)
    ]
    given = read_calls(request.trace, interface) if request.trace else None
    sampling = request.sampling(interface, given)
    declared = expected.declared(interface, places, prepared)
    if request.seconds is not None and given is None:
        history = history.noting(TIMED)
    question = _question(request, interface)
    recall = _recall(request, history, question, begin is not None)
    rounds = begin(history.commits, question.digest()) if begin is not None else None
    with Checker(request.jobs, request.call_limit) as checker:
        judged = judge(
            checker, sampling, bound, 0 if given else request.budget, progress, request.model,
            history.sources(places), recall, declared, rounds,
        )  # fmt: skip
        if request.prove and given is None:
            trees = [commit.tree for commit in history.commits]
            prover = Prover(history.builder, interface, request.jobs)
            judged = proved(judged, prover, trees, checker, sampling, progress)
    for note in (*_remembered(judged), *recall.notes, *expected.notes):
        history = history.noting(note)
    return report(request, history, places, judged, interface, given is not None)


def _question(request: Request, interface: Interface) -> Question:
    """What is asked of each pair."""
    effort = f"rounds from {FIRST}" if request.traces is None else f"{request.traces}"
    return Question(
        interface, request.seed, effort, request.ops, request.budget, request.call_limit
    )


def _recall(request: Request, history: History, question: Question, lasting: bool) -> Recall:
    """What earlier runs found; nothing for a single trace, no verdict where a clock decides."""
    if request.trace is not None:
        return Recall()
    base = history.commits[0].id
    kept = Kept.open(
        repository_id(request.repo, history.store, base), request.library, question.interface,
        request.fresh,
    )  # fmt: skip
    timed = request.seconds is not None or lasting
    return Recall(Memory.of(question, timed, request.fresh), kept)


def _remembered(judged: Judged) -> list[str]:
    """That verdicts are an earlier run's."""
    if not judged.remembered:
        return []
    many = sum(not one.evidence.identical for one in judged.neighbours.values())
    return [
        f"{len(judged.remembered)} of {many} verdicts are those of an earlier run on the same "
        "code; --fresh judges anew"
    ]


# --- from the values of the stages ----------------------------------------------------


def report(
    request: Request, history: History, places: Sequence[int], judged: Judged,
    interface: Interface | None, given: bool = False,
) -> Report:  # fmt: skip
    """On the commits of these places, judged in this order; ``given`` as in ``settled``."""
    commits = [history.commits[place] for place in places]
    remarks = [history.remarks[place] for place in places]
    rows = tuple(_row(at, commits, remarks[at], judged, given) for at in range(len(commits)))
    return Report(
        rows, interface, request.seed, request.traces or FIRST, request.ops, judged.calls,
        history.notes, judged.left_out,
        patch_ids([row.commit for row in rows if row.verdict.is_guilty], history.store),
    )  # fmt: skip


def _row(
    at: int, commits: Sequence[Commit], remarks: Sequence[str], judged: Judged, given: bool
) -> JudgedCommit:
    """What was found about one of these commits."""
    prepared, standing = judged.prepared[at], judged.standings[at]
    found, model = judged.neighbours.get(at), judged.model.get(at)
    verdict, reason = standing.verdict, standing.reason
    if found is not None:
        verdict, reason = found.verdict, found.reason
    for result in (found, model):
        if result is not None and isinstance(result.shown, str):
            verdict, reason = Verdict.NOT_JUDGED, f"it is not deterministic: {result.shown}"
    declared = told(standing.pair.expected if standing.pair else None, found)
    if found is not None:
        verdict, reason = settled(verdict, reason, declared, found.traces, given)
    changed = changes(prepared, judged.prepared[standing.against or 0])
    row = JudgedCommit(
        commits[at],
        verdict,
        reason,
        prepared.obstacle.output if prepared.obstacle else "",
        None if standing.against is None else commits[standing.against],
        found.traces if found else 0,
        found.differing if found else 0,
        model.differing if model else None,
        (*remarks, *prepared.notes, *_skipped(standing, commits), *_left_out(found), *changed),
        found.evidence if found else None,
        _named(found, f"commit-{at}-{verdict.word}", ("before", "after")),
        _named(model, f"commit-{at}-model", ("model", "commit")),
        prepared.built is not None and prepared.built.cached,
        found.reach if found else None,
        declared,
        found.kinds if found else frozenset(),
        judged.proofs.get(at),
    )
    past = judged.past.get(at)
    return row if past is None else _beside(row, past, at, commits)


def _beside(row: JudgedCommit, past: Past, at: int, commits: Sequence[Commit]) -> JudgedCommit:
    """A row behind a crash, with what shows beside the last commit that did not crash."""
    good, example = commits[past.against], row.example
    many = f"it differs on {past.differing} of {past.traces} traces"
    note = f"beside {good.short}, the last that did not crash or hang: " + (
        many if past.differing else f"no difference on {past.traces} traces"
    )
    gone = example is not None and example.divergence.fields[0][0] in ("crash", "hang")
    if past.shown is None or row.verdict is not Verdict.UNDECLARED or not gone:
        return replace(row, notes=(*row.notes, note))
    # That the crash is gone needs no example: what it hid does.
    between = ", ".join(commit.short for commit in commits[past.against + 1 : at])
    note = f"{note}, as shown; it may have come with {between}"
    return replace(
        row, against=good, traces=past.traces, differing=past.fresh, notes=(*row.notes, note),
        example=replace(past.shown, name=f"commit-{at}-difference"),
    )  # fmt: skip


def _left_out(found: PairResult | None) -> list[str]:
    """What the comparison with the neighbour does not speak of."""
    if found is None:
        return []
    # Where nothing at all is observed, the reason says it.
    known = () if found.verdict is Verdict.UNDECIDED else found.unseen
    unseen = [f"nothing is observed of {name}" for name in known if name != FAILING]
    return [*found.notes, *unseen]


def _skipped(standing: Standing, commits: Sequence[Commit]) -> list[str]:
    """That commits stand between a commit and the one that it is compared with."""
    if standing.against is None or not standing.skipped:
        return []
    between = ", ".join(commits[place].short for place in standing.skipped)
    against = commits[standing.against].short
    return [f"compared with {against}; what is found may have come with {between}"]


def _named(result: PairResult | None, name: str, sides: tuple[str, str]) -> Counterexample | None:
    """The example of a pair that differs, under the name of its file."""
    if result is None or not isinstance(result.shown, Counterexample):
        return None
    return replace(result.shown, name=name, sides=sides)
