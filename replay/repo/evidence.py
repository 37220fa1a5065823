"""What a verdict on a pair rests on: which calls came back on both sides, and which did not.

A comparison of nothing is no pass. A pair on which no trace differs is the same only where
enough came back to say so, and where no function changed that was left out; else it is not
decided, with the reason and the cure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from replay.base.style import listed
from replay.repo.bound import Bound
from replay.repo.calls import CallTrace
from replay.repo.code import CodeComparison
from replay.repo.runner import LEFT, Run
from replay.search.verdict import Verdict

LEAST: Final = 0.5
"""The part of the calls, and of the functions, that has to come back on both sides."""
FEWEST: Final = 0.1
"""The same, those calls included for which there was no object."""
_SKIPPED: Final = b'{"skipped":'
_NOTHING: Final = b'{"ret":null}'
CURE: Final = "give it other arguments in the binding (replay init writes one)"


@dataclass(frozen=True, slots=True, order=True)
class Stop:
    """How traces ended on both sides at the same call.

    Attributes:
        function: the operation; empty for what comes after the last call.
        cause: "crash" or "hang".
        how: the signal, or what was said; of the side before.

    """

    function: str
    cause: str
    how: str = ""

    @property
    def text(self) -> str:
        """In words: ``box_put (SIGSEGV)``."""
        return f"{self.function or 'after the last call'} ({self.how or 'it does not return'})"


@dataclass(slots=True)
class Evidence:
    """What traces showed of a pair, call by call.

    Attributes:
        identical: the code is the same, which is a proof: no trace is run.
        traces: those that were compared, and ``ended``: those that came to their end on
            both sides.
        generated: calls of each operation in the traces; ``reached``: made on both sides;
            ``returned``: came back on both; ``shown``: and something was observed, in the traces
            whose records are known.
        objectless: calls not made, since a constructor had given NULL on either side.
        left_out: calls not made, since such calls hang on both sides, or need what they make.
        stops: traces that ended at the same call on both sides.
        looked: the observers that were called.

    """

    identical: bool = False
    traces: int = 0
    ended: int = 0
    generated: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    objectless: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    stops: Counter[Stop] = field(default_factory=Counter)
    looked: set[str] = field(default_factory=set)

    def draw(self, trace: CallTrace) -> None:
        """Count a trace that is to be run."""
        self.generated.update(call.op for call in trace)

    def add(self, trace: CallTrace, made: CallTrace, before: Run, after: Run) -> None:
        """Count the runs of a trace, of which ``made`` are the calls that were to be made."""
        self.traces += 1
        self.left_out.update(_difference(trace, made))
        back = min(len(before.records), len(after.records), len(made))
        for call, old, new in zip(made[:back], before.records, after.records, strict=False):
            if old.startswith(_SKIPPED) or new.startswith(_SKIPPED):
                self.objectless[call.op] += 1
                continue
            self.reached[call.op] += 1
            self.returned[call.op] += 1
            self.shown[call.op] += old != _NOTHING or new != _NOTHING
        if back < len(made):
            self.reached[made[back].op] += 1
        self.ended += before.end == after.end == "ok"
        if before.end == after.end != "ok" and len(before.records) == len(after.records):
            self.stops[_stop(made, before)] += 1

    def agree(self, trace: CallTrace, made: CallTrace, calls: Mapping[str, int]) -> None:
        """Count a trace that came to its end on both sides, with the same to be seen.

        ``calls`` are those that were made, by operation: each came back.
        """
        self.traces += 1
        self.ended += 1
        self.left_out.update(_difference(trace, made))
        back = Counter({name: count for name, count in calls.items() if count})
        self.reached += back
        self.returned += back
        self.objectless += Counter(call.op for call in made) - back

    def look(self, observers: Iterable[str], before: Run, after: Run) -> None:
        """Note which observers saw something on both sides."""
        for name in set(observers) - self.looked:
            mark = f'"{name}('.encode()
            if all(any(mark in record for record in run.records) for run in (before, after)):
                self.looked.add(name)

    def merge(self, other: Evidence) -> None:
        """Add what other traces showed."""
        self.traces += other.traces
        self.ended += other.ended
        self.generated += other.generated
        self.reached += other.reached
        self.returned += other.returned
        self.shown += other.shown
        self.objectless += other.objectless
        self.left_out += other.left_out
        self.stops += other.stops
        self.looked |= other.looked

    @property
    def calls(self) -> tuple[int, int]:
        """How many calls came back on both sides, of how many."""
        return self.returned.total(), self.generated.total()

    def stopped(self, cause: str) -> list[Stop]:
        """How traces ended alike, the most frequent first."""
        found = [stop for stop in self.stops if stop.cause == cause]
        return sorted(found, key=lambda stop: (-self.stops[stop], stop))


def _stop(made: CallTrace, run: Run) -> Stop:
    at = len(run.records)
    how = "" if run.end == "hang" else run.detail.removesuffix(LEFT)
    return Stop(made[at].op if at < len(made) else "", run.end, how)


def _difference(trace: CallTrace, made: CallTrace) -> Counter[str]:
    if len(trace) == len(made):
        return Counter()
    return Counter(call.op for call in trace) - Counter(call.op for call in made)


def merged(every: Iterable[Evidence]) -> Evidence:
    """What several pairs show together."""
    whole = Evidence()
    for one in every:
        whole.merge(one)
    return whole


# --- the verdict ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of a pair without running it.

    Attributes:
        code: its code, compared.
        before, after: as the two are called.
        uncalled: the functions that both export and that are not called, each with the reason.
        one_sided: the functions that one of the two alone exports.
        gone: those of them that the later one lacks, but for what is called there by another
            name.

    """

    code: CodeComparison
    before: Bound
    after: Bound
    uncalled: Mapping[str, str] = field(default_factory=dict)
    one_sided: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def functions(self, name: str) -> set[str]:
        """The C functions that are called for an operation or observer."""
        ops = (*self.before.ops, *self.before.observers, *self.after.ops, *self.after.observers)
        return {op["function"] for op in ops if op["name"] == name}

    def changed(self, names: Iterable[str]) -> list[str]:
        """Those of some operations or observers whose own code changed."""
        return [name for name in names if self.functions(name) & self.code.changed]


def decide(
    evidence: Evidence, ground: Ground | None, executed: frozenset[str] = frozenset()
) -> tuple[Verdict, str]:
    """The verdict on a pair on which no trace differs, and the reason why it is not decided.

    ``executed``: the functions in which a changed line was executed, whoever called them.
    """
    if evidence.identical:
        return Verdict.SAME, ""
    reasons = [*_too_little(evidence)]
    if reasons and ground is not None and ground.after.drafted and not evidence.calls[1]:
        reasons = ["no call could be made: none of the functions of both sides can be called"]
    if ground is not None:
        reasons += _changed(evidence, ground, executed, vacuous=bool(reasons))
    return (Verdict.UNDECIDED, "; ".join(reasons)) if reasons else (Verdict.SAME, "")


def _too_little(evidence: Evidence) -> list[str]:
    back, total = evidence.calls
    if not total:
        return ["no call could be made: the binding has no operation that needs no object"]
    if not evidence.traces:
        return ["no trace could be compared"]
    if back < LEAST * (total - evidence.objectless.total()) or back < FEWEST * total:
        return [f"only {back} of {total} calls returned on both sides{_cure(evidence)}"]
    never = [name for name in evidence.generated if not evidence.returned[name]]
    if len(never) > LEAST * len(evidence.generated):
        return [f"most functions never returned on both sides: {listed(never)}{_cure(evidence)}"]
    if not evidence.shown.total():
        return [
            "nothing was observed of any call: no result, nothing written; add what looks at it "
            "to the binding ([[observe]], or out = BYTES)"
        ]
    return []


def _cure(evidence: Evidence) -> str:
    """What to do about calls that do not come back."""
    stops = evidence.stopped("crash") + evidence.stopped("hang")
    names = list(dict.fromkeys(stop.function for stop in stops if stop.function))
    names += sorted(evidence.left_out.keys() - set(names))
    if names:
        return f": where {listed(names)} ends the trace, {CURE}"
    if evidence.objectless:
        return ": let the constructors get arguments in the binding with which they make an object"
    return ""


def _changed(
    evidence: Evidence, ground: Ground, executed: frozenset[str], vacuous: bool
) -> list[str]:
    """That functions changed of which too little is known, or that this cannot be told."""
    before, after = (
        [op["name"] for op in (*bound.ops, *bound.observers)]
        for bound in (ground.before, ground.after)
    )
    every = [name for name in after if name in before]
    known = _known(evidence, ground.after)
    lacking = [name for name in ground.changed(every) if name not in known]
    stuck = [name for name in lacking if evidence.reached[name]]
    never = [name for name in lacking if name not in stuck]
    never += sorted((ground.code.changed & ground.uncalled.keys()) - executed)
    reasons = []
    if stuck:
        cure = "" if vacuous else f"; {CURE}"
        reasons.append(f"changed and never returned: {listed(stuck)}{cure}")
    start = "" if vacuous or stuck else "same as far as called; "
    gone = sorted(ground.gone - executed)
    if gone:
        reasons.append(
            f"{start}gone, and not compared: {listed(gone)}; where it has another name now, a "
            "binding says so with [[map]] (replay init writes one)"
        )
        start = ""
    if never:
        reasons.append(f"{start}changed and never called: {listed(never)}")
    elif ground.code.unknown and ground.uncalled:
        names = listed(sorted(ground.uncalled))
        reasons.append(
            f"{start}never called, and it cannot be told whether it changed: {names} "
            f"({ground.code.unknown})"
        )
    return reasons


def _known(evidence: Evidence, bound: Bound) -> set[str]:
    """The operations and observers that came back, at the end of a trace at least."""
    known = {name for name, count in evidence.returned.items() if count} | evidence.looked
    if evidence.ended:
        made = {op["makes"] for op in bound.ops if evidence.returned[op["name"]]} | {
            arg["kind"]
            for op in bound.ops if evidence.returned[op["name"]]
            for arg in op["args"] if arg["role"] in ("makes", "storage")
        }  # fmt: skip
        known |= {
            op["name"] for op in bound.ops if op["name"] in bound.destroy and op["destroys"] in made
        }
    return known
