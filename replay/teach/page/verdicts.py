"""The verdicts that the site shows: those of a check that was run, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from replay.base.jsonlines import Place
from replay.dirty.language.files import parse_config, parse_op
from replay.dirty.language.trace import Trace
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError
from replay.report.checking import result_json
from replay.search.verdict import Verdict
from replay.series.verdict import CheckResult

NOT_CHECKED: Final = "not checked"
"""Of a step that the check did not judge."""


class ExampleReport(msgspec.Struct, frozen=True):
    """A trace that shows something, as short as it was found."""

    name: str
    config: dict[str, Any]
    ops: list[dict[str, Any]]
    index: int
    shrunk: bool = False

    def trace(self) -> Trace:
        """The trace itself.

        Raises:
            TraceError: it is no valid trace; the report was changed by hand.

        """
        place = Place("the check's report", 1)
        config = parse_config(self.config, place)
        ops = tuple(parse_op(op, config, place.at(i)) for i, op in enumerate(self.ops))
        return Trace(ops, config, self.name)


class DeviationReport(msgspec.Struct, frozen=True):
    """A declared deviation, and how many traces or direct calls showed it."""

    id: str
    kind: str
    scope: str
    text: str
    count: int
    fixed_by: str | None = None
    call: str | None = None
    example: ExampleReport | None = None


class PropertyReport(msgspec.Struct, frozen=True):
    """A property that a step breaks."""

    property: str
    declared: bool
    count: int
    text: str = ""
    example: ExampleReport | None = None


class FailureReport(msgspec.Struct, frozen=True):
    """What a step does that nothing declares."""

    what: str
    fields: list[str]
    text: str
    count: int = 0
    example: ExampleReport | None = None


class StepReport(msgspec.Struct, frozen=True):
    """All that a check found about one step."""

    step: int
    title: str
    verdict: Verdict
    passes: bool
    traces: int
    calls: int
    differing: int
    from_start: int
    deviations: list[DeviationReport] = []
    breaks: list[PropertyReport] = []
    failures: list[FailureReport] = []


class CheckReport(msgspec.Struct, frozen=True):
    """The output of ``replay check --json``."""

    format: Literal["replay-check/1"]
    seed: int
    traces: int
    ops: int
    steps: list[StepReport]
    start: list[PropertyReport] = []

    def step(self, number: int) -> StepReport | None:
        """What was found about a step; None when the check did not judge it."""
        return next((step for step in self.steps if step.step == number), None)

    def verdict(self, number: int) -> str:
        """The verdict on a step in words."""
        step = self.step(number)
        return step.verdict.value if step else NOT_CHECKED


def report_of(result: CheckResult) -> CheckReport:
    """A check that was just run, in the form of its report."""
    return msgspec.convert(result_json(result), CheckReport)


def read_report(path: Path) -> CheckReport:
    """A report that was saved, without what came after the last step: that has no page.

    Raises:
        UsageError: the file is no report of a check; the message says what it must be.

    """
    cure = "it must be what 'replay check --json' prints"
    try:
        report = msgspec.convert(_of_steps(msgspec.json.decode(path.read_bytes())), CheckReport)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}; {cure}") from None
    numbers = [step.step for step in report.steps]
    if numbers != sorted(set(numbers)) or not set(numbers) <= set(SUBJECT.steps):
        last = SUBJECT.last
        raise UsageError(f"{path}: its steps are not 1 to {last} in order, each once; {cure}")
    return report


def _of_steps(report: Any) -> Any:
    """A report without the steps that have names and no numbers."""
    if not isinstance(report, dict) or not isinstance(report.get("steps"), list):
        return report
    named = [step for step in report["steps"] if _is_named(step)]
    return {**report, "steps": [step for step in report["steps"] if step not in named]}


def _is_named(step: Any) -> bool:
    name = step.get("step") if isinstance(step, dict) else None
    return isinstance(name, str) and name.startswith(f"{SUBJECT.last}+")


def mark(verdict: str) -> str:
    """The class of a verdict in the pages: same, deviates, fails or unknown."""
    if verdict == Verdict.SAME:
        return "same"
    if verdict == Verdict.DEVIATES:
        return "deviates"
    return "unknown" if verdict in (NOT_CHECKED, Verdict.UNDECIDED) else "fails"


def inline_json(value: Any) -> str:
    """JSON that may stand inside a script element: no character of it can end one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
