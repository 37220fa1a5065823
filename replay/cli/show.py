"""``replay show``: what a step changes, and the life of a function."""

from __future__ import annotations

import click

from replay.cli.common import ExitCode, emit, examples, format_option
from replay.cli.steps import STEP
from replay.cli.subjects import the_subject
from replay.report.showing import LifeView, StepView, WholeView
from replay.series.steps import life, step_source, whole_source


@click.command(
    "show",
    epilog=examples(
        "replay show 39",
        "replay show 39 --whole",
        "replay show --function cpu_physical_memory_get_dirty",
    ),
)
@click.argument("step", metavar="[K]", type=STEP, required=False)
@click.option("--whole", is_flag=True, help="Show the folded source of step K instead.")
@click.option(
    "--function", metavar="NAME",
    help="Show the life of one function over the series; with K, its source there.",
)  # fmt: skip
@format_option
def command(step: int | None, whole: bool, function: str | None, format: str) -> int:
    """Show what step K of the series changes.

    That is what the step says of itself, its claim, what it touches, its API delta in C
    prototypes, and its own source.
    """
    subject = the_subject()
    if function is not None:
        if whole:
            raise click.UsageError("--whole and --function are two views; give one of them")
        emit(LifeView(life(subject, function, step)), format)
        return ExitCode.OK
    if step is None:
        raise click.UsageError(
            f"name a step, 0 to {subject.last}, or a function with --function NAME"
        )
    emit(
        WholeView(whole_source(subject, step)) if whole else StepView(step_source(subject, step)),
        format,
    )
    return ExitCode.OK
