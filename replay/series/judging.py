"""From what the traces showed to a verdict on each step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

from replay.search.campaign import Seen
from replay.series.declared import Series
from replay.series.subject import Subject
from replay.series.tally import Finding, Share
from replay.series.verdict import (
    CheckResult,
    Comparison,
    DeviationFound,
    Failure,
    PropertyFound,
    StepResult,
)

Wanted: TypeAlias = list[tuple[Finding, DeviationFound | PropertyFound | Failure]]
"""The findings that want an example, each with what keeps it."""


def judge(
    subject: Subject, share: Share, steps: Sequence[int], seed: int, ops: int
) -> tuple[CheckResult, Wanted]:
    """The verdicts on some steps; and the findings that want an example."""
    return _Judge(subject, share).all(steps, seed, ops)


class _Judge:
    def __init__(self, subject: Subject, share: Share) -> None:
        self.subject = subject
        self.series: Series = subject.series
        self.share = share
        self.wanted: Wanted = []

    def all(self, wanted: Sequence[int], seed: int, ops: int) -> tuple[CheckResult, Wanted]:
        starting = self.start()
        deviating = cache(lambda number: bool(self.subject.deviations(number)))
        steps = []
        for number in sorted(wanted):
            way = self.subject.line(number)[1:]
            steps.append(self.step(number, tuple(step for step in way if deviating(step))))
        result = CheckResult(seed, self.share.traces, ops, steps, starting)
        return result, self.wanted

    def start(self) -> list[PropertyFound]:
        """The properties that step 0 breaks, or is said to."""
        starting = []
        for prop in self.series.properties:
            seen = self.share.broken.get((0, prop.name))
            if seen or (prop.broken_at_start and prop.first == 0):
                found = PropertyFound(prop.name, bool(prop.broken_at_start))
                starting.append(found)
                if seen:
                    found.count, found.text = seen.count, seen.text
                    self.wanted.append((self.breaking(0, prop.name, seen), found))
        return starting

    def breaking(self, step: int, name: str, seen: Seen) -> Finding:
        what = "inner" if name in self.subject.inside else "property"
        index, number = seen.soonest
        return Finding(what, step, number, name, index=index)

    def step(self, number: int, through: tuple[int, ...]) -> StepResult:
        share = self.share
        data = self.series.step(number)
        calls = share.calls.get(number)
        from_start = share.from_start.get(number, 0)
        result = StepResult(
            number,
            data.title,
            traces=share.traces,
            calls=calls.calls if calls else 0,
            differing=share.differing.get(number, 0),
            from_start=from_start,
            through=through if from_start else (),
            rests={Comparison.MODELS: share.traces} if share.traces else {},
        )
        for deviation in data.deviations:
            found = DeviationFound(deviation)
            seen = share.shown.get((number, deviation.id))
            if seen:
                found.count = seen.count
                at, trace = seen.soonest
                finding = Finding("deviation", number, trace, deviation.id, index=at)
                self.wanted.append((finding, found))
            elif calls and deviation.id in calls.shown:
                found.count, found.call = calls.shown[deviation.id]
            result.deviations.append(found)
        self.properties(result)
        self.failures(result)
        return result

    def failures(self, result: StepResult) -> None:
        wrong = self.share.wrong.get(result.step)
        if wrong:
            failure = Failure("difference", wrong.fields, "", wrong.count)
            result.failures.append(failure)
            at, number = wrong.soonest
            finding = Finding("difference", result.step, number, "", wrong.fields, at)
            self.wanted.append((finding, failure))
        calls = self.share.calls.get(result.step)
        if calls and calls.wrong:
            result.failures.append(Failure("api", (), calls.wrong, 1))

    def properties(self, result: StepResult) -> None:
        for name in self.series.step(result.step).mends:
            found = PropertyFound(name, True)
            result.mended.append(found)
            seen = self.share.mended.get((result.step, name))
            if seen:
                found.count, found.text = seen.count, seen.text
                finding = Finding("mended", result.step, seen.soonest[1], name)
                self.wanted.append((finding, found))
        self.breaks(result)

    def given_up(self, step: int) -> set[str]:
        """The properties that a step after the last need not keep: the line broke them before."""
        if step <= self.subject.last:
            return set()
        return {n for s in self.subject.line(step)[1:-1] for n in self.series.step(s).breaks}

    def breaks(self, result: StepResult) -> None:
        declared = self.series.step(result.step).breaks
        given_up = self.given_up(result.step)
        for prop in self.series.properties:
            seen = self.share.broken.get((result.step, prop.name))
            if prop.name in declared:
                found = PropertyFound(prop.name, True)
                result.properties.append(found)
                if seen:
                    found.count, found.text = seen.count, seen.text
                    self.wanted.append((self.breaking(result.step, prop.name, seen), found))
            elif seen and not prop.broken_at_start and prop.name not in given_up:
                # What step 0 breaks already is no promise that a later step could break.
                failure = Failure(prop.name, (), seen.text, seen.count)
                result.failures.append(failure)
                self.wanted.append((self.breaking(result.step, prop.name, seen), failure))
