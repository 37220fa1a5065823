"""``replay bench``: what the tool costs."""

from __future__ import annotations

import click

from replay.cli.common import ExitCode, emit, examples, format_option
from replay.cli.progress import progress_bar
from replay.dirty.bench.figures import Effort
from replay.dirty.bench.sections import SECTIONS, run
from replay.report.benching import BenchView


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return tuple(SECTIONS)
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or not names:
        raise click.BadParameter(f"{value!r}; sections are {', '.join(SECTIONS)}")
    return names


def _faults(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if value == "all":
        return 0
    if not value.isdecimal() or not int(value):
        raise click.BadParameter(f"{value!r} is neither a number of faults nor all")
    return int(value)


@click.command(
    "bench",
    epilog=examples(
        "replay bench                           all sections, some minutes",
        "replay bench --quick                   the same with few rounds, seconds",
        "replay bench --only lockstep,memory",
        "replay bench --only finding --faults all",
        "replay bench --json > bench.json       all raw figures",
    ),
)
@click.option(
    "--only", "names", callback=_names, metavar="NAMES",
    help=f"Only these sections: {', '.join(SECTIONS)}.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Few rounds and no large memory: a first look.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N",
    help="Of all that is drawn.",
)  # fmt: skip
@click.option(
    "--faults", callback=_faults, metavar="N|all",
    help="How many faults the section finding looks for; a small sample by default.",
)  # fmt: skip
@format_option
def command(names: tuple[str, ...], quick: bool, seed: int, faults: int | None, format: str) -> int:
    """Measure what the tool costs, as ratios side by side in one run.

    The lockstep of all steps against Hypothesis driving two of them; how the cost of an
    operation grows with memory and with the length of a trace; how much memory a model's
    store takes; how soon a fault is found, by us and by others. A goal that is not met is
    told, and is no failure.
    """
    with progress_bar("measuring") as bar:
        report = run(names, Effort(quick, seed, faults), bar.show)
    emit(BenchView(report), format)
    return ExitCode.OK
