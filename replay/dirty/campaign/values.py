"""Tallies as plain values, for the state of a campaign, and back."""

from __future__ import annotations

from typing import Any

from replay.dirty.campaign.work import Tally
from replay.dirty.native.compare import NativeTally
from replay.dirty.rules.api import ApiResult
from replay.search.campaign import Seen
from replay.series.subject import Calls
from replay.series.tally import Share

_COUNTS = ("differing", "from_start")
_NAMED = ("shown", "broken", "mended")


def tally_values(tally: Tally) -> dict[str, Any]:
    """A tally as what JSON can hold."""
    made: dict[str, Any] = {
        name: [[step, count] for step, count in sorted(getattr(tally, name).items())]
        for name in _COUNTS
    }
    made["wrong"] = [[step, *_seen(seen)] for step, seen in sorted(tally.wrong.items())]
    for name in _NAMED:
        kept: dict[tuple[int, str], Seen] = getattr(tally, name, {})
        made[name] = [[*key, *_seen(seen)] for key, seen in sorted(kept.items())]
    if isinstance(tally, NativeTally):
        return made | {"total": tally.total, "traces": sorted(map(list, tally.traces.items()))}
    calls = [
        [step, one.calls, [[name, *shown] for name, shown in sorted(one.shown.items())], one.wrong]
        for step, one in sorted(tally.calls.items())
    ]
    return made | {"traces": tally.traces, "calls": calls}


def tally_of(values: dict[str, Any]) -> Tally:
    """A tally from its values.

    Raises:
        KeyError, ValueError, TypeError: they are none of a tally.

    """
    differing, from_start = (dict(values[name]) for name in _COUNTS)
    wrong = {step: _seen_of(seen) for step, *seen in values["wrong"]}
    shown, broken, mended = (
        {(step, key): _seen_of(seen) for step, key, *seen in values[name]} for name in _NAMED
    )
    if "total" in values:
        traces = dict(values["traces"])
        return NativeTally(values["total"], traces, differing, from_start, shown, wrong)
    calls: dict[int, Calls] = {
        step: ApiResult(made, {name: (n, text) for name, n, text in named}, said)
        for step, made, named, said in values["calls"]
    }
    return Share(values["traces"], differing, from_start, shown, broken, mended, wrong, calls)


def _seen(seen: Seen) -> list[Any]:
    return [seen.count, list(seen.soonest), seen.text, list(seen.fields)]


def _seen_of(values: list[Any]) -> Seen:
    count, (index, trace), text, fields = values
    return Seen(count, (index, trace), text, tuple(fields))
