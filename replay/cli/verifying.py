"""``replay series verify``: each patch of the C series, from applying to behaving."""

from __future__ import annotations

from pathlib import Path

import click

from replay.base.pool import default_jobs
from replay.cli.common import (
    ExitCode,
    budget_option,
    emit,
    examples,
    format_option,
    jobs_option,
    ops_option,
    seed_option,
    traces_option,
)
from replay.cli.progress import progress_bar
from replay.cli.steps import judged, steps_option
from replay.dirty.language.generate import Profile
from replay.dirty.language.language import BUDGET
from replay.dirty.subject import plan as plan_of
from replay.dirty.verify import verify
from replay.report.verifying import VerificationView


@click.command(
    "verify",
    epilog=examples(
        "replay series verify                         the built-in series",
        "replay series verify --series my-copy --steps 30-32",
        "replay series verify --compiler clang --json",
    ),
)
@click.option(
    "--series", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR", help="A changed copy of the series: tree/, patches/ and series.toml.",
)  # fmt: skip
@steps_option("The steps to judge.")
@traces_option(200, "Random traces for the behaviour.")
@ops_option(50)
@seed_option
@click.option("--compiler", metavar="CC", help="The C compiler; cc by default.")
@budget_option(BUDGET)
@jobs_option(default_jobs)
@format_option
def command(
    folder: Path | None,
    steps: tuple[int, ...],
    traces: int,
    ops: int,
    seed: int,
    compiler: str | None,
    budget: int,
    jobs: int,
    format: str,
) -> int:
    """Apply, build, inspect and check every step of the C series.

    For each step: does the patch apply exactly, does the tree compile without a
    warning, do the prototypes in the binary equal the declared API, does the code of a
    pure move or rename stay identical, and does the C behave as the model of the step
    and as the step before, but for what is declared. Names the first step that fails,
    and why. Builds are kept in a cache. A series given with --series is compiled and
    its code is run.
    """
    plan = plan_of(
        seed=seed,
        traces=traces,
        profile=Profile(ops=ops),
        steps=judged(steps, "step 0 is no patch"),
        series=folder / "series.toml" if folder else None,
    )
    with progress_bar("verifying") as bar:

        def told(what: str, done: int, total: int) -> None:
            bar.show(done, total, f"{done} {what}")

        result = verify(folder, plan, jobs, compiler, told, budget)
    emit(VerificationView(result), format)
    return ExitCode.OK if result.passed else ExitCode.DIFFERENCE
