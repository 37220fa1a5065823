"""``replay run``: one trace at one step."""

from __future__ import annotations

from pathlib import Path

import click

from replay.cli.common import OPS, ExitCode, emit, examples, format_option
from replay.cli.steps import STEP
from replay.cli.subjects import only_built_in, the_subject
from replay.dirty.machine.model import Run
from replay.errors import UsageError
from replay.report import small  # noqa: F401  it registers what it shows
from replay.report.running import RunView


@click.command(
    "run",
    epilog=examples(
        "replay run trace.jsonl --step 39",
        "replay run trace.jsonl --step 0 --ops 3-7",
    ),
)
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--step", type=STEP, required=True, metavar="K", help="The step.")
@click.option("--ops", type=OPS, metavar="A-B", help="Show only these operations, from 0.")
@format_option
def command(file: Path, step: int, ops: range | None, format: str) -> int:
    """Run a trace at one step and show every operation.

    Each operation is shown with what it returned, the events that others saw, and a map
    of the pages where something changed.
    """
    subject = the_subject()
    trace = subject.language.read(file)
    if ops is not None and ops.start >= len(trace.ops):
        last = len(trace.ops) - 1
        raise UsageError(
            f"--ops starts at {ops.start}; the trace has "
            + (f"operations 0 to {last}" if trace.ops else "no operations")
        )
    run = subject.model(step, trace)
    if isinstance(run, Run):
        emit(RunView(run, subject.series.title(step), ops), format)
    else:
        if ops is not None:
            only_built_in("--ops")
        emit(run, format)
    return ExitCode.OK
