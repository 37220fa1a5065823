"""What came of recorded vectors, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, Style
from replay.dirty.conform import Mismatch, Result
from replay.dirty.language.trace import PAGE_SETS
from replay.dirty.language.values import field_text, op_text
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class ConformView:
    """What came of recorded vectors, to be shown."""

    result: Result


def mismatch_lines(mismatch: Mismatch, style: Style = PLAIN) -> list[str]:
    """One mismatch: where, and each differing field with what was expected and got."""
    lines = [
        f"{style.bad('mismatch')} trace {printable(mismatch.trace)} "
        f"({mismatch.path}:{mismatch.line}) at step {mismatch.step}",
        f"  operation {mismatch.operation}: {op_text(mismatch.op)}",
    ]
    for name, expected, got in mismatch.difference.values():
        lines += [
            f"  {name}",
            f"    expected {_text(name, expected, mismatch)}",
            f"    got      {_text(name, got, mismatch)}",
        ]
    return lines


def _text(name: str, value: Any, mismatch: Mismatch) -> str:
    text = field_text(name, value, mismatch.op)
    # Beside the pages in words, the string as it stands in the file, to search for.
    if name in PAGE_SETS and isinstance(value, int) and value.bit_length() <= 128:
        text += f"  ({value:x})"
    return text


def result_lines(result: Result, style: Style = PLAIN) -> list[str]:
    """The mismatches that were kept, the steps they fell on, and the two totals.

    The last line is exactly ``N observations, M mismatches``, in no colour.
    """
    lines: list[str] = []
    for mismatch in result.kept:
        lines += [*mismatch_lines(mismatch, style), ""]
    if rest := result.mismatches - len(result.kept):
        lines += [f"{rest} more mismatch{'es' if rest > 1 else ''} not shown", ""]
    lines += _by_step(result)
    lines.append(f"{result.observations} observations, {result.mismatches} mismatches")
    return lines


def _by_step(result: Result) -> list[str]:
    """How many mismatches fell on which steps, neighbours with equal counts together."""
    spans: list[tuple[int, int, int]] = []
    for step, count in sorted(result.by_step.items()):
        if spans and spans[-1][1:] == (step - 1, count):
            spans[-1] = (spans[-1][0], step, count)
        elif count:
            spans.append((step, step, count))
    return [
        f"step {first}: {count}" if first == last else f"steps {first}-{last}: {count} each"
        for first, last, count in spans
    ]


def result_json(result: Result) -> dict[str, Any]:
    """A result as plain values; fields of observations as in a vector file."""
    return {
        "vectors": result.vectors,
        "observations": result.observations,
        "mismatches": result.mismatches,
        "conforms": result.conforms,
        "by_step": {str(step): count for step, count in sorted(result.by_step.items())},
        "shown": [_mismatch_json(mismatch) for mismatch in result.kept],
    }


def _mismatch_json(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "file": mismatch.path,
        "line": mismatch.line,
        "trace": mismatch.trace,
        "step": mismatch.step,
        "operation": mismatch.operation,
        "op": mismatch.op.to_json(),
        "fields": [
            {"field": name, "expected": _plain(name, expected), "got": _plain(name, got)}
            for name, expected, got in mismatch.difference.values()
        ],
    }


def _plain(name: str, value: Any) -> Any:
    if name in PAGE_SETS and value is not None:
        return f"{value:x}"
    return [list(event) for event in value] if name == "events" and value is not None else value


shows(
    ConformView,
    lambda view, style: result_lines(view.result, style),
    lambda view: result_json(view.result),
)
