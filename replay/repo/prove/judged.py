"""What proofs add to what traces found: to each pair that they found the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from replay.repo.binding import Param
from replay.repo.calls import CallTrace, Value
from replay.repo.campaign import Sampling
from replay.repo.checking import Checker
from replay.repo.judging import Judged, judge
from replay.repo.prove.proof import Proof
from replay.repo.prove.proving import Prover
from replay.repo.results import PairResult
from replay.repo.targets import Progress
from replay.search.verdict import Verdict


def proved(
    judged: Judged, prover: Prover, trees: Sequence[str], checker: Checker, sampling: Sampling,
    progress: Progress,
) -> Judged:  # fmt: skip
    """What was judged, with a proof or the lack of one for each pair that traces find the same.

    A difference that a rung suspects and the libraries show takes the place of the verdict.

    Args:
        judged: by traces.
        prover: proves pairs.
        trees: their ids, by their places.
        checker: runs the calls that a rung suspects.
        sampling: the traces that were run.
        progress: called with how much is done.

    """
    found: dict[int, Proof] = {}
    neighbours = dict(judged.neighbours)
    places = [place for place in neighbours if _is_open(judged, place)]
    for number, place in enumerate(places):
        progress(number, len(places), f"{number} of {len(places)} commits proved")
        asking = _Asking(judged, checker, sampling, place)
        standing = judged.standings[place]
        old, new = (judged.prepared[at].shape for at in (standing.against or 0, place))
        if standing.pair is None or old is None or new is None:
            continue
        sides = trees[standing.against or 0], trees[place]
        proof = prover.prove(standing.pair, sides, (old, new), asking.differs)
        if asking.shown is not None:
            neighbours[place] = asking.shown
            continue
        found[place] = proof
        if neighbours[place].verdict is Verdict.UNDECIDED and proof.by_code:
            # As of identical code, this is said of what no trace reaches, too.
            neighbours[place] = replace(neighbours[place], verdict=Verdict.SAME, reason="")
    return replace(judged, neighbours=neighbours, proofs=found)


def _is_open(judged: Judged, place: int) -> bool:
    """Whether there is something to prove: no difference was found or declared, and code is."""
    found, pair = judged.neighbours[place], judged.standings[place].pair
    return (
        found.verdict in (Verdict.SAME, Verdict.UNDECIDED)
        and not found.evidence.identical
        and pair is not None
        and pair.expected is None
    )


class _Asking:
    """Asks the two libraries of a pair whether they differ on calls that a rung suspects."""

    def __init__(self, judged: Judged, checker: Checker, sampling: Sampling, place: int) -> None:
        against = judged.standings[place].against or 0
        self.sides = [judged.prepared[against], judged.prepared[place]]
        self.checker, self.sampling = checker, sampling
        self.shown: PairResult | None = None

    def differs(self, trace: CallTrace) -> bool:
        """Whether they do; the first time that they do is kept."""
        if not all(self._fits(call.op, call.values) for call in trace):
            return False
        one = replace(self.sampling, given=trace, deeper=False, seconds=None)
        said = judge(self.checker, one, self.sides, 0, lambda done, total, text: None)
        found = said.neighbours.get(1)
        if found is None or not found.differing or found.shown is None:
            return False
        self.shown = self.shown or found
        return True

    def _fits(self, op: str, values: Sequence[Value]) -> bool:
        """Whether a call is one that the binding allows: a rung looks beyond its ranges."""
        given = self.sampling.interface.ops[op].given
        return all(_allows(param, value) for param, value in zip(given, values, strict=True))


def _allows(param: Param, value: Value) -> bool:
    if param.role == "int":
        return param.low <= int(value) <= param.high
    if param.role == "float" and param.is_bounded:
        return param.least <= float(value) <= param.most
    if param.role in ("bytes", "inout") and param.fields:
        return False
    return param.role != "string" or not param.alphabet or set(str(value)) <= {*param.alphabet}
