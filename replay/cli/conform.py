"""``replay conform``: recorded vectors against the models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from replay.base.pool import default_jobs
from replay.cli.common import ExitCode, emit, examples, format_option, jobs_option
from replay.cli.progress import progress_bar
from replay.cli.steps import steps_option
from replay.dirty.conform import Progress, conform
from replay.dirty.machine.model import Model
from replay.dirty.machine.run import python_model
from replay.report.conforming import ConformView


@click.command(
    "conform",
    epilog=examples(
        "replay conform vectors.jsonl.gz",
        "replay conform named.jsonl --steps 27,30 --max-mismatches 1",
    ),
)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@steps_option("The steps to run: 0-39, or 27,30, or 30-.", default="0-")
@jobs_option(default_jobs)
@click.option(
    "--lane", type=click.Choice(("python", "native")), default="python", show_default=True,
    help="What runs: the models, or the C of the steps.",
)  # fmt: skip
@click.option("--sanitize", is_flag=True, help="Build the C with ASan and UBSan.")
@click.option("--compiler", metavar="CC", help="The C compiler; cc by default.")
@click.option(
    "--max-mismatches", type=click.IntRange(0), default=10, show_default=True, metavar="N",
    help="How many mismatches to show; all are counted.",
)  # fmt: skip
@format_option
def command(
    files: tuple[Path, ...],
    steps: tuple[int, ...],
    jobs: int,
    lane: str,
    sanitize: bool,
    compiler: str | None,
    max_mismatches: int,
    format: str,
) -> int:
    """Run recorded vectors on the models and compare.

    FILE is a .jsonl or .jsonl.gz file of vectors: traces with what the real code was
    observed to do at each step. Every field of every observation is compared; an
    observation is one operation at one step. The last line is
    "N observations, M mismatches"; the exit code is 0 only if M is 0 and N is not.
    """
    if lane == "python" and (sanitize or compiler):
        raise click.UsageError("--sanitize and --compiler are for --lane native")
    make: Callable[[int], Model] = python_model
    if lane == "native":
        make = native_maker(jobs, sanitize, compiler)
    with progress_bar("0 observations") as bar:

        def show(progress: Progress) -> None:
            found = progress.result
            text = f"{found.observations} observations"
            if found.mismatches:
                text += f", {found.mismatches} mismatches"
            bar.show(progress.done, progress.total, text)

        result = conform(files, steps, make=make, jobs=jobs, keep=max_mismatches, progress=show)
    emit(ConformView(result), format)
    return ExitCode.OK if result.conforms else ExitCode.DIFFERENCE


def native_maker(jobs: int, sanitize: bool, compiler: str | None) -> Callable[[int], Model]:
    """Build the C of all steps; what gives a step's model."""
    from replay.cli.check import build
    from replay.dirty.native.model import libraries_of, maker

    return maker(libraries_of(build(jobs, sanitize, compiler)))
