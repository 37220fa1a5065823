"""The verdicts of a lane, from what its traces showed."""

from __future__ import annotations

from typing import Any

from replay.dirty.campaign.work import Asked, Tally
from replay.dirty.native.check import judge_tally
from replay.dirty.native.compare import NativeTally, Work
from replay.dirty.native.session import Libraries
from replay.series.judging import judge
from replay.series.tally import Share
from replay.series.verdict import CheckResult, Failure


def judged(
    asked: Asked, lane: str, tally: Tally
) -> tuple[CheckResult, list[tuple[int, Failure, Any]]]:
    """The verdicts of a lane, and (step, failure, how to get at an example) of failures."""
    plan = asked.plan()
    if isinstance(tally, NativeTally):
        result, departed = judge_tally(Work(lane, plan, asked.libraries or Libraries(())), tally)
        found: dict[int, Any] = {id(kept): finding for finding, kept in departed}
    else:
        assert isinstance(tally, Share)
        result, wanted = judge(plan.subject, tally, plan.steps, asked.seed, asked.ops)
        found = {id(kept): finding for finding, kept in wanted}
    failures = [
        (step.step, failure, found.get(id(failure)))
        for step in result.steps
        for failure in step.failures
    ]
    return result, failures
