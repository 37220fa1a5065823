"""``replay run``: one trace at one step."""

from __future__ import annotations

from pathlib import Path

import click

from replay.cli.common import (
    OPS,
    STEP,
    ExitCode,
    emit,
    examples,
    format_option,
)
from replay.dirty.language.files import read_trace
from replay.dirty.machine.run import python_model
from replay.errors import UsageError
from replay.report.running import RunView
from replay.series import declared as series


@click.command(
    "run",
    epilog=examples(
        "replay run trace.jsonl --step 39",
        "replay run trace.jsonl --step 0 --ops 3-7",
    ),
)
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--step", type=STEP, required=True, metavar="K", help="The step, 0 to 39.")
@click.option("--ops", type=OPS, metavar="A-B", help="Show only these operations, from 0.")
@format_option
def command(file: Path, step: int, ops: range | None, format: str) -> int:
    """Run a trace at one step and show every operation.

    Each operation is shown with what it returned, the events that others saw, and a map
    of the pages where something changed.
    """
    trace = read_trace(file)
    if ops is not None and ops.start >= len(trace.ops):
        last = len(trace.ops) - 1
        raise UsageError(
            f"--ops starts at {ops.start}; the trace has "
            + (f"operations 0 to {last}" if trace.ops else "no operations")
        )
    run = python_model(step).run(trace)
    emit(RunView(run, series.load().title(step), ops), format)
    return ExitCode.OK
