"""``replay show``: what a step changes, and the life of a function."""

from __future__ import annotations

import sys

import click

from replay.base.style import Style
from replay.cli.common import (
    STEP,
    ExitCode,
    examples,
    json_option,
    print_json,
    print_lines,
    wants_color,
)
from replay.report.showing import life_json, life_lines, step_json, step_lines, whole_lines


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
@json_option
def command(step: int | None, whole: bool, function: str | None, as_json: bool) -> int:
    """Show what step K of the series changes.

    That is what the step says of itself, its claim, what it touches, its API delta in C
    prototypes, and its own source.
    """
    style = Style(wants_color(sys.stdout))
    if function is not None:
        if whole:
            raise click.UsageError("--whole and --function are two views; give one of them")
        if as_json:
            print_json(life_json(function, step))
        else:
            print_lines(life_lines(function, step, style))
        return ExitCode.OK
    if step is None:
        raise click.UsageError("name a step, 0 to 39, or a function with --function NAME")
    if whole and as_json:
        print_json({"number": step, "source": "\n".join(whole_lines(step))})
    elif whole:
        print_lines(whole_lines(step))
    elif as_json:
        print_json(step_json(step))
    else:
        print_lines(step_lines(step, style))
    return ExitCode.OK
