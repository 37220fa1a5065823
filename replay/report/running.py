"""One run as text and as JSON: each operation, its observation, and where pages changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replay.base.style import PLAIN, Style
from replay.dirty.language.layouts import layouts
from replay.dirty.language.pages import INDENT, LEGEND, Blocks, draw
from replay.dirty.language.trace import Observation, Op, State
from replay.dirty.language.values import event_texts, machine_text, op_text, ret_text, trace_name
from replay.dirty.machine.model import Run
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, the title of its step, and which operations are wanted; None is all."""

    run: Run
    title: str = ""
    ops: range | None = None


def run_lines(
    run: Run, title: str = "", ops: range | None = None, style: Style = PLAIN
) -> list[str]:
    """A run, operation by operation; ``ops`` chooses which are shown.

    After each operation stands what changed by it: events, counts, and the part of the
    page map with a changed page (the first operation shown is against the one before it).
    """
    trace = run.trace
    lines = [
        style.strong(f"trace {trace_name(trace)} at step {run.step}"),
        *([title] if title else []),
        machine_text(trace.config),
        *(style.dim(line) for line in LEGEND),
    ]
    old = State()
    for index, (op, seen, blocks) in enumerate(
        zip(trace.ops, run.observations(), layouts(trace), strict=True)
    ):
        if ops is None or index in ops:
            lines += _operation(index, op, seen, style)
            if seen is not None and seen.state is not None:
                lines += state_lines(old, seen.state, blocks, trace.config.word_bits, style)
        if seen is not None and seen.state is not None:
            old = seen.state
    return lines


def _operation(index: int, op: Op, seen: Observation | None, style: Style) -> list[str]:
    head = f"{index:4} {style.strong(op_text(op))}"
    if seen is None:
        return ["", f"{head}  not run: the trace had ended"]
    if seen.status != "ok":
        head += "  " + style.bad("abort: the process would be dead, the run ends here")
    elif seen.ret is not None:
        head += f" -> {ret_text(seen.ret, op)}"
    return ["", head, *(f"{INDENT}{text}" for text in event_texts(seen.events))]


def state_lines(
    old: State, new: State, blocks: Blocks, word_bits: int, style: Style = PLAIN
) -> list[str]:
    """What changed from one state to the next; a line that says so if nothing did."""
    lines = []
    if old.logging != new.logging:
        lines.append(f"{INDENT}dirty logging is {'on' if new.logging else 'off'}")
    if (old.migration_bitmap is None) != (new.migration_bitmap is None):
        gone = new.migration_bitmap is None
        lines.append(f"{INDENT}the migration bitmap is {'dropped' if gone else 'new'}")
    if old.migration_dirty_pages != new.migration_dirty_pages:
        lines.append(
            f"{INDENT}migration_dirty_pages {old.migration_dirty_pages} -> "
            f"{new.migration_dirty_pages}"
        )
    lines += draw(old, new, blocks, word_bits, style)
    return lines or [INDENT + style.dim("state unchanged")]


def run_json(run: Run, ops: range | None = None) -> dict[str, Any]:
    """A run as plain values: operations as in a trace file, observations as in a vector."""
    return {
        "trace": run.trace.name,
        "config": run.trace.config.to_json(),
        "step": run.step,
        "operations": [
            {
                "index": index,
                "op": op.to_json(),
                "observation": None if seen is None else seen.to_json(),
            }
            for index, (op, seen) in enumerate(zip(run.trace.ops, run.observations(), strict=True))
            if ops is None or index in ops
        ],
    }


shows(
    RunView,
    lambda view, style: run_lines(view.run, view.title, view.ops, style),
    lambda view: run_json(view.run, view.ops),
)
