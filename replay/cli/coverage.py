"""``replay coverage``: what the traces of a check reach."""

from __future__ import annotations

from typing import Any

import click

from replay.base.pool import default_jobs
from replay.cli.common import (
    ExitCode,
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
from replay.dirty.campaign.covering import cover
from replay.dirty.machine.reach import Reach
from replay.dirty.subject import SUBJECT
from replay.report.covering import ReachView
from replay.series.check import Plan


@click.command(
    "coverage",
    epilog=examples(
        "replay coverage                          the traces of the default check",
        "replay coverage --whole --steps 36-39    every path, with its counts",
        "replay coverage --argued                 what cannot be reached, and why",
        "replay coverage --json > coverage.json",
    ),
)
@steps_option("The steps, each with the one before.")
@traces_option(1200)
@ops_option(SUBJECT.language.ops, shown="50")
@seed_option
@jobs_option(default_jobs)
@click.option("--whole", is_flag=True, help="Show every path with its counts.")
@click.option("--argued", is_flag=True, help="Show why some paths cannot be reached.")
@format_option
def command(
    traces: int, ops: int, seed: int, jobs: int, whole: bool, argued: bool, format: str,
    steps: tuple[int, ...],
) -> int:  # fmt: skip
    """Count which operations the traces of a check make, in which situations, at which steps.

    A path is an operation with what matters to the code at once: where its range starts and
    how far it goes, what the TLB and the bits say of it, whether code is there, whether a
    migration runs. What no trace takes is listed, unless a table argues that it cannot be.
    Exit code 1: such an argument is wrong.
    """
    plan = Plan(SUBJECT, SUBJECT.language.drawing(ops), seed, traces, judged(steps))
    result = covered(plan, jobs)
    emit(ReachView(result, whole, argued, seed, ops), format)
    return ExitCode.DIFFERENCE if result.refuted() else ExitCode.OK


def covered(plan: Plan, jobs: int) -> Reach:
    """Count under a progress bar."""
    done: dict[str, Any] = {"traces": 0}
    with progress_bar("counting") as bar:

        def told(count: int) -> None:
            done["traces"] += count
            bar.show(done["traces"], plan.traces, f"{done['traces']} traces")

        return cover(plan, jobs, told)
