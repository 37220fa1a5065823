"""What the states of a small machine said of each step, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.search import Counted, PairResult, Shortest, Verdict
from replay.dirty.language.trace import Trace
from replay.dirty.language.values import op_text
from replay.report.output import shows

MARKS: Final = {
    Verdict.PROVED: "=",
    Verdict.DECLARED: "~",
    Verdict.DIFFERENT: "!",
    Verdict.NOT_DECIDED: "?",
}
INDENT: Final = " " * 7


@dataclass(frozen=True, slots=True)
class ExploreView:
    """What came of a search, to be shown.

    Attributes:
        scope: of the search.
        results: a step each.
        counts: the states that were counted, if they were.
        saved: where shortest traces were saved, by step and what they show.
        brief: whether rows without news are left out.

    """

    scope: Scope
    results: Sequence[PairResult]
    counts: Sequence[Counted] = ()
    saved: dict[tuple[int, str], Path] | None = None
    brief: bool = False

    @property
    def passed(self) -> bool:
        """Whether every step is proved to be what it claims."""
        return all(r.verdict in (Verdict.PROVED, Verdict.DECLARED) for r in self.results)


def scope_text(scope: Scope) -> str:
    """A scope in words."""
    ram = "+".join(map(str, scope.blocks)) if scope.blocks else "up to " + str(scope.pages)
    parts = [
        f"RAM of {ram} {'page' if scope.pages == 1 else 'pages'}",
        f"words of {scope.word_bits} bits",
    ]
    if not scope.blocks:
        parts.append("blocks come and go")
    if scope.hpratio != 1:
        parts.append(f"host pages of {scope.hpratio}")
    if not scope.tcg:
        parts.append("without TCG")
    if scope.aligned:
        parts.append("ranges of whole pages")
    if scope.without:
        parts.append("no " + ", ".join(sorted(scope.without)))
    return ", ".join(parts)


def scope_json(scope: Scope) -> dict[str, Any]:
    """A scope as plain values."""
    return {
        "pages": scope.pages, "word_bits": scope.word_bits, "hpratio": scope.hpratio,
        "tcg": scope.tcg, "blocks": list(scope.blocks) or None, "aligned": scope.aligned,
        "without": sorted(scope.without),
    }  # fmt: skip


def view_lines(view: ExploreView, style: Style = PLAIN) -> list[str]:
    """A row a step, the shortest traces, the states, and what it rests on."""
    lines = [style.strong("Every operation from every state: " + scope_text(view.scope)), ""]
    for result in view.results:
        if not view.brief or result.shortest or result.verdict is Verdict.NOT_DECIDED:
            lines += _result(result, view, style)
    if view.counts:
        lines += ["", style.strong("States that are reached"), *map(_count, view.counts)]
    return [*lines, "", *_summary(view, style)]


def _result(result: PairResult, view: ExploreView, style: Style) -> list[str]:
    verdict = result.verdict
    paint = style.good if verdict in (Verdict.PROVED, Verdict.DECLARED) else style.bad
    row = f"{MARKS[verdict]} {result.step:3}  {verdict.value}"
    lines = [f"{paint(row)}   {_rests(result)}".rstrip()]
    if result.problem:
        lines += wrapped(result.problem, INDENT)
    elif verdict is Verdict.NOT_DECIDED:
        lines += wrapped(
            "there are ways on which the steps part, and whether a state leads there is not "
            f"known: {counted(result.states, 'state')} were searched, {result.depth} "
            f"operations deep; {result.ended}", INDENT,
        )  # fmt: skip
    elif result.suspects and verdict is not Verdict.DIFFERENT:
        lines += wrapped(
            f"on {counted(result.suspects, 'way')} the steps part, and no state leads there",
            INDENT,
        )
    for shortest in result.shortest:
        lines += _shortest(result.step, shortest, view, style)
    if result.unshown:
        names = ", ".join(result.unshown)
        lines += wrapped(f"not to be seen in this scope: {names}", INDENT)
    return lines


def _rests(result: PairResult) -> str:
    if result.problem:
        return ""
    if not result.operations:
        return "by the same code"
    return f"{counted(result.ways, 'way')} through {counted(result.operations, 'operation')}"


def _shortest(step: int, shortest: Shortest, view: ExploreView, style: Style) -> list[str]:
    what = shortest.shows or "differs in " + ", ".join(shortest.fields)
    ops = shortest.trace.ops
    lines = [f"{INDENT}{style.strong(what)}, at its shortest ({counted(len(ops), 'operation')}):"]
    return lines + trace_lines(shortest.trace, (view.saved or {}).get((step, shortest.shows)))


def trace_lines(trace: Trace, saved: Path | None) -> list[str]:
    """A shortest trace, an operation a line, and where it was saved, if it was."""
    lines = [f"{INDENT}  {op_text(op)}" for op in trace.ops]
    return [*lines, f"{INDENT}  saved as {saved}"] if saved else lines


def _count(count: Counted) -> str:
    first, last = count.steps
    steps = f"step {first}" if first == last else f"steps {first}-{last}"
    end = "no others" if count.fixpoint else "there may be others"
    end += f" ({count.ended})" if count.ended else ""
    return (
        f"  {steps}: {count.states:,} states, {count.transitions:,} transitions, {count.depth} "
        f"operations deep, {end}; {count.bytes / max(1, count.states):.1f} bytes a state"
    )


def _summary(view: ExploreView, style: Style) -> list[str]:
    by = {verdict: sum(1 for one in view.results if one.verdict is verdict) for verdict in Verdict}
    parts = [f"{number} {verdict.value}" for verdict, number in by.items() if number]
    text = f"{counted(len(view.results), 'step')}: " + ", ".join(parts)
    rests = (
        "A proof is one for traces of every length on machines of this scope: both steps "
        "executed every operation from every state there is, reached or not; it rests on the "
        "models, and on what the search leaves out of a state."
    )
    return [(style.good if view.passed else style.bad)(text), *wrapped(rests, "")]


def view_json(view: ExploreView) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "scope": scope_json(view.scope),
        "passed": view.passed,
        "steps": [_result_json(result) for result in view.results],
        "states": [
            {
                "steps": list(count.steps), "states": count.states,
                "transitions": count.transitions, "depth": count.depth,
                "fixpoint": count.fixpoint, "bytes": count.bytes, "ended": count.ended or None,
            }
            for count in view.counts
        ],
    }  # fmt: skip


def _result_json(result: PairResult) -> dict[str, Any]:
    return {
        "step": result.step,
        "verdict": result.verdict.value,
        "ways": result.ways,
        "operations": result.operations,
        "shared": result.shared,
        "shapes": result.shapes,
        "suspects": result.suspects,
        "searched": {
            "states": result.states, "depth": result.depth, "fixpoint": result.fixpoint,
            "ended": result.ended or None,
        },
        "shortest": [
            {"shows": one.shows or None, "fields": list(one.fields), "trace": one.trace.to_json()}
            for one in result.shortest
        ],
        "not_shown": list(result.unshown),
        "problem": result.problem or None,
    }  # fmt: skip


shows(ExploreView, view_lines, view_json)
