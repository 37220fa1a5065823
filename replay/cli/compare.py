"""``replay compare``: one trace at two steps."""

from __future__ import annotations

from pathlib import Path

import click

from replay.cli.common import ExitCode, emit, examples, format_option
from replay.cli.steps import STEP
from replay.cli.subjects import the_subject
from replay.report import comparing, small  # noqa: F401  each registers what it shows


@click.command("compare", epilog=examples("replay compare trace.jsonl 38 39"))
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@click.argument("a", metavar="A", type=STEP)
@click.argument("b", metavar="B", type=STEP)
@format_option
def command(file: Path, a: int, b: int, format: str) -> int:
    """Show one trace at two steps, side by side.

    Operations are listed one a line; the first at which steps A and B differ is spread
    out, with the differing fields and pages marked. The exit code is 1 when they differ.
    """
    subject = the_subject()
    trace = subject.language.read(file)
    comparison = subject.side_by_side(subject.model(a, trace), subject.model(b, trace))
    emit(comparison, format)
    return ExitCode.OK if comparison.equal else ExitCode.DIFFERENCE
