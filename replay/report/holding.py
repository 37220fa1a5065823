"""What the states of a small machine said of properties, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.held import Holds, PropertyResult
from replay.dirty.language.values import op_text
from replay.report.exploring import scope_json, scope_text
from replay.report.output import shows
from replay.series.names import parts_of

INDENT = " " * 4


@dataclass(frozen=True, slots=True)
class HoldingView:
    """What came of properties at steps, to be shown.

    Attributes:
        scope: of the search.
        results: property by property, their steps in order.
        declared: whether the series says that a property is broken at a step.
        saved: where shortest traces were saved, by property and step.
        brief: whether properties that are broken as declared, and proved else, are left out.

    """

    scope: Scope
    results: Sequence[PropertyResult]
    declared: Mapping[tuple[str, int], bool]
    saved: Mapping[tuple[str, int], Path]
    brief: bool = False

    def unsaid(self, result: PropertyResult) -> bool:
        """Whether a property is broken that the series does not give up."""
        return result.verdict is Holds.BROKEN and not self.declared[result.name, result.step]

    @property
    def passed(self) -> bool:
        """Whether every property that was asked is proved, or broken as declared; and any was."""
        said = {one.verdict for one in self.results} - {Holds.NOT_ASKED}
        decided = bool(said) and Holds.NOT_DECIDED not in said
        return decided and not any(map(self.unsaid, self.results))


def view_lines(view: HoldingView, style: Style = PLAIN) -> list[str]:
    """Each property with the steps that keep it, and its shortest traces."""
    lines = [style.strong("Properties at every state: " + scope_text(view.scope)), ""]
    for name, group in groupby(view.results, lambda one: one.name):
        lines += _property(name, list(group), view, style)
    return [*lines, *_summary(view, style)]


def _key(view: HoldingView, one: PropertyResult) -> Any:
    """What makes neighbours one row."""
    return one.verdict, view.unsaid(one), one.trace, one.ended, one.problem


def _property(
    name: str, results: list[PropertyResult], view: HoldingView, style: Style
) -> list[str]:
    if view.brief and not any(view.unsaid(r) or r.verdict is Holds.NOT_DECIDED for r in results):
        return []
    lines = [style.strong(name)]
    for _, group in groupby(results, lambda one: _key(view, one)):
        lines += _span(list(group), view, style)
    return [*lines, ""]


def steps_text(steps: Sequence[int]) -> str:
    """Steps as a list: ``0-29, 38, 39+all``. Only neighbours that were all asked make a span."""
    parts: list[list[int]] = []
    for step in steps:
        follows = parts and not parts_of(step) and parts[-1][-1] == step - 1
        if follows and not parts_of(parts[-1][-1]):
            parts[-1].append(step)
        else:
            parts.append([step])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def _span(span: list[PropertyResult], view: HoldingView, style: Style) -> list[str]:
    first = span[0]
    steps = steps_text([one.step for one in span])
    said = first.verdict.value
    if first.verdict is Holds.BROKEN:
        still = "still" if parts_of(first.step) else "as declared"
        said += ", undeclared" if view.unsaid(first) else f", {still}"
    good = first.verdict is Holds.PROVED or (
        first.verdict is Holds.BROKEN and not view.unsaid(first)
    )
    plain = first.verdict is Holds.NOT_ASKED
    paint = str if plain else style.good if good else style.bad
    text = f"{said}{_rests(span)}"
    if len(steps) <= 7:
        lines = [f"  {paint(f'{steps:7} {text}')}"]
    else:
        lines = [*wrapped(steps, "  "), *(paint(line) for line in wrapped(text, INDENT))]
    if first.problem:
        lines += wrapped(first.problem, INDENT)
    elif first.verdict is Holds.NOT_DECIDED:
        lines += wrapped(_short(first), INDENT)
    if first.trace is not None:
        lines += [f"{INDENT}{op_text(op)}" for op in first.trace.ops]
        lines += wrapped(first.text, INDENT + "  ")
        path = view.saved.get((first.name, first.step))
        lines += [f"{INDENT}saved as {path}"] if path else []
    return lines


def _short(result: PropertyResult) -> str:
    """What was searched of a search that did not come to its end."""
    states = f"{counted(result.states, 'state')} {'was' if result.states == 1 else 'were'}"
    return (
        f"{states} searched, {counted(result.depth, 'operation')} deep, and there may be "
        f"others: {result.ended}"
    )


def _rests(span: list[PropertyResult]) -> str:
    first = span[0]
    if first.verdict is Holds.BROKEN and first.trace is not None:
        return f": at its shortest, {counted(len(first.trace.ops), 'operation')}"
    if first.verdict is not Holds.PROVED:
        return ""
    searched = [one for one in span if one.fixpoint]
    if not searched:
        return ", from every state that values allow"
    most = max(one.states for one in searched)
    return f", from all states that are reached: {most:,} of machine and books, no others"


def _summary(view: HoldingView, style: Style) -> list[str]:
    counts = [(v, sum(1 for one in view.results if one.verdict is v)) for v in Holds]
    parts = [f"{number} {verdict.value}" for verdict, number in counts if number]
    unsaid = sum(map(view.unsaid, view.results))
    if unsaid:
        parts.append(f"{unsaid} of them undeclared")
    text = f"{counted(len(view.results), 'verdict')}: " + ", ".join(parts)
    rests = (
        "A proof is one for traces of every length of the operations of this scope. It rests on "
        "the models, on what the search leaves out of a state, and on the property's books."
    )
    return [(style.good if view.passed else style.bad)(text), *wrapped(rests, "")]


def view_json(view: HoldingView) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "scope": scope_json(view.scope),
        "passed": view.passed,
        "properties": [
            {
                "property": one.name, "step": one.step, "verdict": one.verdict.value,
                "declared": view.declared[one.name, one.step],
                "searched": {
                    "ways": one.ways, "states": one.states, "depth": one.depth,
                    "fixpoint": one.fixpoint, "ended": one.ended or None,
                },
                "shortest": one.trace and one.trace.to_json(),
                "text": one.text or None,
                "problem": one.problem or None,
            }
            for one in view.results
        ],
    }  # fmt: skip


shows(HoldingView, view_lines, view_json)
