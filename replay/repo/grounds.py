"""What is known of each pair before it is run: its code, and which functions nothing calls."""

from __future__ import annotations

from collections.abc import Sequence

from replay.repo.binding import Binding
from replay.repo.checking import Checker
from replay.repo.code import CodeComparison, compare_code
from replay.repo.evidence import Ground
from replay.repo.leftout import left_out, missing
from replay.repo.onesided import otherwise
from replay.repo.pairing import Pair, Standing
from replay.repo.targets import Prepared


def grounds_of(
    checker: Checker, binding: Binding, loaded: Sequence[Prepared], standings: Sequence[Standing]
) -> dict[int, Ground]:
    """What is known of the pair of each standing, by the place of the tree."""
    pairs = [(place, one.pair) for place, one in enumerate(standings) if one.pair is not None]
    codes = dict(checker.threads.map(_code, pairs))
    sides = _sides(binding, loaded)
    found = {}
    for place, pair in pairs:
        against = standings[place].against
        assert against is not None
        old, new = sides[against], sides[place]
        uncalled = {name: why for name, why in new.items() if name in old}
        uncalled |= dict.fromkeys(otherwise(pair.before.bound, pair.after.bound), "its prototype")
        before, after = _exported(loaded[against]), _exported(loaded[place])
        gone = before - after - _called_in_both(pair)
        found[place] = Ground(
            codes[place], pair.before.bound, pair.after.bound, uncalled, before ^ after, gone
        )
    return found


def _called_in_both(pair: Pair) -> frozenset[str]:
    """The functions of the earlier side that are called for what both sides call."""
    old, new = pair.before.bound, pair.after.bound
    known = {op["name"] for op in (*new.ops, *new.observers)}
    return frozenset(op["function"] for op in (*old.ops, *old.observers) if op["name"] in known)


def _exported(one: Prepared) -> frozenset[str]:
    return frozenset() if one.shape is None else frozenset(one.shape.exported)


def everything_left_out(binding: Binding, loaded: Sequence[Prepared]) -> dict[str, str]:
    """Each function that some library exports and that is not called there, with the reason."""
    whole: dict[str, str] = {}
    for one in _sides(binding, loaded):
        whole |= one
    bounds = [one.target.bound for one in loaded if one.target is not None]
    return dict(sorted((whole | missing(bounds)).items()))


def _sides(binding: Binding, loaded: Sequence[Prepared]) -> list[dict[str, str]]:
    return [
        {} if one.target is None or one.shape is None
        else left_out(one.shape, one.target.bound, binding)
        for one in loaded
    ]  # fmt: skip


def _code(pair: Pair) -> CodeComparison:
    """The code of a pair, compared; it is identical only if it is called in the same way."""
    before, after = pair.before, pair.after
    called_alike = before.bound.to_json() == after.bound.to_json()
    if before.checksum == after.checksum:
        return CodeComparison(called_alike)
    found = compare_code(before.library, after.library)
    if found.identical and not called_alike:
        return CodeComparison(False)
    return found
