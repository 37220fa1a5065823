"""What is compared with what: each tree with the last one before it that can be called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from replay.repo.expected import Expected, union
from replay.repo.results import Divergence, against_model, compare
from replay.repo.runner import Run
from replay.repo.targets import Prepared, Target
from replay.search.verdict import Verdict

Names: TypeAlias = frozenset[str]
Differs: TypeAlias = Callable[[Run, Run], Divergence | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two targets to compare, by the operations of these names; ``expected`` to differ so."""

    before: Target
    after: Target
    names: Names
    differs: Differs = compare
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tree stands to those before it.

    Attributes:
        pair: what to compare; None where it is known without that what to say of it.
        verdict: what to say then, and ``reason``: why it cannot be judged.
        against: the place of the tree that it is compared with.
        skipped: the places of the trees between the two.

    """

    pair: Pair | None = None
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""
    against: int | None = None
    skipped: tuple[int, ...] = ()


def unpaired(prepared: Prepared) -> Standing:
    """How a tree stands that is compared with no other."""
    if prepared.obstacle is None:
        return Standing()
    return Standing(None, prepared.obstacle.verdict, prepared.obstacle.reason)


def declaring(standings: Sequence[Standing], declared: Sequence[Expected | None]) -> list[Standing]:
    """Standings with what is declared of each tree, and of those between it and its own."""
    return [
        one if one.pair is None or one.against is None else replace(
            one, pair=replace(one.pair, expected=union(declared[one.against + 1 : place + 1]))
        )
        for place, one in enumerate(standings)
    ]  # fmt: skip


def neighbours(prepared: Sequence[Prepared], wanted: Names) -> list[Standing]:
    """Each tree with the last one before it that can be called and has all that is wanted."""
    standings = []
    last: int | None = None
    before: Target | None = None
    skipped: list[int] = []
    for place, one in enumerate(prepared):
        target = one.target
        if target is None or not wanted <= target.bound.names:
            lacking = ", ".join(sorted(wanted - target.bound.names)) if target else ""
            lacks = Standing(reason=f"it has no {lacking}")
            standings.append(unpaired(one) if target is None else lacks)
            skipped.append(place)
            continue
        if before is None:
            standings.append(_first(place))
        else:
            names = wanted or before.bound.names & target.bound.names
            # What is drafted may hold nothing that can be called: the code is compared still.
            any_way = names or (before.bound.drafted and target.bound.drafted)
            pair = Pair(before, target, names) if any_way else None
            reason = "" if any_way else "no operation in common"
            standings.append(Standing(pair, Verdict.NOT_JUDGED, reason, last, tuple(skipped)))
        last, before, skipped = place, target, []
    return standings


def _first(place: int) -> Standing:
    if place == 0:
        return Standing(verdict=Verdict.BASE)
    return Standing(reason="no commit before it could be built and called")


def with_model(
    prepared: Sequence[Prepared], standings: Sequence[Standing], model: tuple[Path, str],
    wanted: Names,
) -> dict[int, Pair]:  # fmt: skip
    """The reference model with each tree that can be called, by the place of the tree."""
    path, name = model
    pairs = {}
    for place, (one, standing) in enumerate(zip(prepared, standings, strict=True)):
        target = one.target
        if target is not None and wanted <= target.bound.names:
            whole = Target(target.bound, path.resolve(), f"model {path}", model=name)
            names = standing.pair.names if standing.pair else target.bound.names
            pairs[place] = Pair(whole, target, names, against_model)
    return pairs
