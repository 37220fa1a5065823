"""What a verification found, as values; and when two runs of a trace differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replay.repo.binding import Interface
from replay.repo.calls import CallTrace
from replay.repo.evidence import Evidence, merged
from replay.repo.expected import Declared
from replay.repo.expectfile import Entry
from replay.repo.git import Commit
from replay.repo.prove.proof import Proof
from replay.repo.reach import Reach
from replay.repo.runner import Run
from replay.repo.settling import Told
from replay.search.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs of a trace part.

    Attributes:
        verdict: UNDECLARED, or how the later one ended there.
        index: the call; as many as the trace has where it is what comes after the last.
        fields: (what, before, after); a run that had ended has None.

    """

    verdict: Verdict
    index: int
    fields: tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A trace on which two libraries differ, as short as it was found.

    Attributes:
        name: of the file.
        trace: the calls.
        before: its run at the commit before, or in the model.
        after: its run at the commit.
        divergence: where they part.
        complete: whether the shrinker finished within its budget.
        sides: what to call the two.

    """

    name: str
    trace: CallTrace
    before: Run
    after: Run
    divergence: Divergence
    complete: bool = True
    sides: tuple[str, str] = ("before", "after")


@dataclass(frozen=True, slots=True)
class PairResult:
    """What traces showed of a pair.

    Attributes:
        traces: on how many it was compared, and ``differing``: on how many it differs.
        verdict: on the trace that shows it soonest; where none does, what the evidence gives.
        reason: why it is not decided.
        evidence: what was seen of it, call by call.
        shown: an example; a text says how one of the two is not repeatable; None where
            there is no difference.
        notes: what was left out of the comparison, and why.
        unseen: the functions that were called of which nothing is observed.
        reach: which of the changed lines were executed; None where it was not asked.
        declared: what is shown of each declared difference, by the number of its entry.
        kinds: in what the two differ beside it: "function: field".

    """

    traces: int
    differing: int
    verdict: Verdict
    shown: Counterexample | str | None = None
    reason: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    reach: Reach | None = None
    declared: dict[int, Declared] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class JudgedCommit:
    """What was found about a commit.

    Attributes:
        commit: which.
        verdict: on it.
        reason: why it cannot be built or judged.
        output: what a build that failed printed, as it came.
        against: the commit that it was compared with, None for none.
        traces: on how many it was compared, and ``differing``: on how many it differs.
        model: on how many traces it differs from the reference model; None without one.
        notes: what a reader should know: a merge, an empty submodule.
        evidence: what was seen of it beside the commit before, call by call; None where it
            was not compared.
        example: the shortest trace of the verdict.
        model_example: the shortest trace on which it differs from the model.
        cached: whether its library comes from the cache of builds.
        reach: which of the lines that it changed were executed; None where it was not asked.
        declared: the differences that are declared of it, and what traces show of them.
        kinds: in what it differs beside those: "function: field".
        proof: that it does the same, as far as that was proved; None where it was not asked.

    """

    commit: Commit
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""
    output: str = ""
    against: Commit | None = None
    traces: int = 0
    differing: int = 0
    model: int | None = None
    notes: tuple[str, ...] = ()
    evidence: Evidence | None = None
    example: Counterexample | None = None
    model_example: Counterexample | None = None
    cached: bool = False
    reach: Reach | None = None
    declared: tuple[Told, ...] = ()
    kinds: frozenset[str] = frozenset()
    proof: Proof | None = None

    @property
    def is_proved(self) -> bool:
        """Whether it is the same, and that is proved."""
        return self.verdict is Verdict.SAME and self.proof is not None and self.proof.complete

    @property
    def differs(self) -> bool:
        """Whether it does something else than the one before, declared or not."""
        return self.verdict.is_guilty or self.verdict is Verdict.DEVIATES


@dataclass(frozen=True, slots=True)
class Report:
    """The whole result: the base and a row a commit; how often each operation was called.

    The interface is None where nothing could be called. ``left_out`` are the exported
    functions that are not called, each with the reason; ``patches`` the patch ids of the
    commits that differ, by their ids.
    """

    rows: tuple[JudgedCommit, ...]
    interface: Interface | None
    seed: int
    traces: int
    ops: int
    calls: Mapping[str, int]
    notes: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    patches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def guilty(self) -> JudgedCommit | None:
        """The first commit that changes what the library does."""
        return next((row for row in self.rows if row.verdict.is_guilty), None)

    @property
    def passed(self) -> bool:
        """Whether every commit is as claimed, and agrees with the model if there is one."""
        return all(row.verdict.passes and not row.model for row in self.rows)

    @property
    def differs(self) -> bool:
        """Whether some commit does not do what the one before does, or what the model says."""
        return self.guilty is not None or any(row.model for row in self.rows)

    @property
    def unshown(self) -> bool:
        """Whether a difference that is declared does not show."""
        return any(row.verdict is Verdict.UNSHOWN for row in self.rows)

    @property
    def evidence(self) -> Evidence:
        """What was seen of all commits together."""
        return merged(row.evidence for row in self.rows if row.evidence is not None)


def unseen(report: Report, entries: Sequence[Entry], notes: Sequence[str]) -> Report:
    """A report of a search with more notes, and one on each entry that no row of it shows."""
    seen = {one.entry.number for row in report.rows for one in row.declared if one.shown.traces}
    more = [
        f"{entry.place} was not seen ({entry.text}): a search judges only the commits that it asks"
        for entry in entries if entry.number not in seen
    ]  # fmt: skip
    return replace(report, notes=(*report.notes, *notes, *more))


def compare(before: Run, after: Run) -> Divergence | None:
    """Where two runs part; None where they do not.

    Two that end in the same way at the same call are the same, whatever each says of it.
    """
    if before.records == after.records and before.end == after.end:
        return None
    common = min(len(before.records), len(after.records))
    index = next((i for i in range(common) if before.records[i] != after.records[i]), common)
    old, new = before.record(index), after.record(index)
    if new is None and after.end == "ok":
        # The one before had ended where this one comes to its end.
        return Divergence(
            Verdict.UNDECLARED, index, ((before.end, before.detail, "it ended well"),)
        )
    if new is None:
        ends = {"crash": Verdict.CRASH, "hang": Verdict.HANG}
        verdict = ends.get(after.end, Verdict.UNDECLARED)
        fields = ((after.end, _ending(before, old), after.detail),)
        return Divergence(verdict, index, fields)
    if old is None:
        fields = ((before.end, before.detail, "it returned"),)
        return Divergence(Verdict.UNDECLARED, index, fields)
    return Divergence(Verdict.UNDECLARED, index, tuple(_fields(old, new)))


def _ending(run: Run, record: dict[str, Any] | None) -> str:
    if record is not None or run.end == "ok":
        return "it returned"
    return run.detail


def against_model(model: Run, run: Run) -> Divergence | None:
    """Where a run parts from what the reference model says; what it leaves out is free."""
    for index in range(len(model.records)):
        said, seen = model.record(index), run.record(index)
        assert said is not None
        if seen is None:
            verdict = {"crash": Verdict.CRASH, "hang": Verdict.HANG}[run.end]
            return Divergence(verdict, index, ((run.end, "it returns", run.detail),))
        known = {"ret", "out", "after", "skipped", "made"} & said.keys()
        narrowed: dict[str, Any] = {
            key: {k: _part(said[key][k], v) for k, v in seen.get(key, {}).items() if k in said[key]}
            if key in ("out", "after") else seen.get(key)
            for key in known
        }  # fmt: skip
        if "skipped" in seen:
            narrowed["skipped"] = True
        fields = tuple(_fields(said, narrowed))
        if fields:
            return Divergence(Verdict.UNDECLARED, index, fields)
    if run.end != "ok":
        verdict = {"crash": Verdict.CRASH, "hang": Verdict.HANG}[run.end]
        return Divergence(verdict, len(run.records), ((run.end, "it ends", run.detail),))
    return None


def _part(said: Any, seen: Any) -> Any:
    """Of what an observer saw, the part that the model speaks of."""
    if not isinstance(seen, list):
        return [seen, {}] if isinstance(said, list) else seen
    whole, parts = seen
    if not isinstance(said, list):
        return whole
    _, named = said
    return [whole, {name: value for name, value in parts.items() if name in named}]


def _fields(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs between two records: (what, old, new)."""
    names = {
        "skipped": "not called", "ret": "returns", "made": "made an object", "errno": "errno",
    }  # fmt: skip
    found = []
    for key, what in names.items():
        if old.get(key) != new.get(key):
            found.append((what, old.get(key), new.get(key)))
    for key in ("out", "after", "called", "start", "data", "said", "behind"):
        a, b = old.get(key, {}), new.get(key, {})
        found += [
            (name, a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)
        ]
    return found
