"""What the states of a small machine said of the C of each step, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.concolic.proof import Proved
from replay.dirty.explore.search import Verdict
from replay.report.exploring import INDENT, MARKS, scope_json, scope_text, trace_lines
from replay.report.output import shows

WORDS: Final = {
    Verdict.PROVED: "C and model proved the same",
    Verdict.DIFFERENT: "C and model differ",
    Verdict.NOT_DECIDED: "not decided",
}


@dataclass(frozen=True, slots=True)
class ExploreCView:
    """What came of holding C against models, to be shown.

    Attributes:
        scope: of all states.
        results: a step each.
        saved: where shortest traces were saved, by step and what they show.
        brief: whether rows without news are left out.

    """

    scope: Scope
    results: Sequence[Proved]
    saved: dict[tuple[int, str], Path]
    brief: bool = False

    @property
    def passed(self) -> bool:
        """Whether the C of every step is proved to do as its model."""
        return all(one.verdict is Verdict.PROVED for one in self.results)


def view_lines(view: ExploreCView, style: Style = PLAIN) -> list[str]:
    """A row a step, the shortest traces, and what it rests on."""
    head = "Every operation of the C from every state, against its model: "
    lines = [style.strong(head + scope_text(view.scope)), ""]
    for result in view.results:
        if not view.brief or result.verdict is not Verdict.PROVED:
            lines += _result(result, view, style)
    return [*lines, "", *_summary(view, style)]


def _result(result: Proved, view: ExploreCView, style: Style) -> list[str]:
    verdict = result.verdict
    paint = style.good if verdict is Verdict.PROVED else style.bad
    row = paint(f"{MARKS[verdict]} {result.step:3}  {WORDS[verdict]}")
    rests = f"{counted(result.ways, 'way')} through {counted(result.operations, 'operation')}"
    lines = [f"{row}   {rests}" if result.ways else row]
    if result.problem:
        lines += wrapped(result.problem, INDENT)
    if result.suspects and result.unreached:
        lines += wrapped(
            f"on {counted(result.suspects, 'way')} they part, and no state leads there", INDENT
        )
    for shortest in result.shortest:
        ops = shortest.trace.ops
        what = "differs in " + ", ".join(shortest.fields)
        lines.append(f"{INDENT}{style.strong(what)}, shown by {counted(len(ops), 'operation')}:")
        lines += trace_lines(shortest.trace, view.saved.get((result.step, shortest.shows)))
    return lines


def _summary(view: ExploreCView, style: Style) -> list[str]:
    by = {verdict: sum(1 for one in view.results if one.verdict is verdict) for verdict in WORDS}
    parts = [f"{number} {WORDS[verdict]}" for verdict, number in by.items() if number]
    text = f"{counted(len(view.results), 'step')}: " + ", ".join(parts)
    line = (style.good if view.passed else style.bad)(text)
    if not by[Verdict.PROVED]:
        return [line]
    rests = (
        "A proof is one for traces of every length on machines of this scope: the compiled C "
        "executed every operation from all states whose bits have values that they can have, "
        "and did as its model. It rests on the compiler, which told of every load, and on the "
        "driver's count of dirty pages being asked by nobody."
    )
    return [line, *wrapped(rests, "")]


def view_json(view: ExploreCView) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "scope": scope_json(view.scope),
        "against": "model",
        "passed": view.passed,
        "steps": [_result_json(result) for result in view.results],
    }


def _result_json(result: Proved) -> dict[str, Any]:
    return {
        "step": result.step,
        "verdict": WORDS[result.verdict],
        "ways": result.ways,
        "operations": result.operations,
        "machines": result.bases,
        "loads": result.loads,
        "suspects": result.suspects,
        "touched": list(result.touched),
        "unreached": result.unreached,
        "shortest": [
            {"fields": list(one.fields), "trace": one.trace.to_json()} for one in result.shortest
        ],
        "problem": result.problem or None,
    }


shows(ExploreCView, view_lines, view_json)
