"""``replay faults``: how far the checker deserves trust."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import click

from replay.base.pool import default_jobs
from replay.cli.common import (
    ExitCode,
    budget_option,
    emit,
    examples,
    format_option,
    jobs_option,
    seed_option,
    traces_option,
)
from replay.cli.progress import progress_bar
from replay.cli.steps import of_the_series, steps_option
from replay.cli.subjects import last_step
from replay.dirty.bench.rival import hypothesis_finds
from replay.dirty.faults.fault import Fault
from replay.dirty.faults.judge import Search
from replay.dirty.faults.survey import Survey, chosen, survey
from replay.errors import UsageError
from replay.report.surveying import SurveyView


@click.command(
    "faults",
    epilog=examples(
        "replay faults --steps 26-28               all faults of three steps",
        "replay faults --every 10                  each tenth fault of all steps",
        "replay faults --in c --steps 37 --budget 500    in C, with traces",
        "replay faults --steps 39 --hypothesis     and a Hypothesis machine",
    ),
)
@steps_option("The steps to put faults into.")
@click.option(
    "--in", "subject", type=click.Choice(["models", "c", "all"]), default="all",
    show_default=True, help="What to put faults into.",
)  # fmt: skip
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Only each N-th fault.",
)  # fmt: skip
@traces_option(400, "Random traces a fault and lane at most, of 50 operations.", most=None)
@seed_option
@budget_option(0, "Candidates tried to shorten what shows a fault; 0 leaves that out.")
@click.option("--hypothesis", "rival", is_flag=True, help="Ask a Hypothesis state machine too.")
@click.option("--argued", is_flag=True, help="Show the arguments for faults that change nothing.")
@jobs_option(default_jobs)
@format_option
def command(argued: bool, format: str, **options: Any) -> int:
    """Put systematic faults into the series, one at a time, and see which are found.

    For each step: how many faults were found, how many of them here, that is at the step
    itself, by which lanes, and how long the shortest trace is in the median (with
    --budget). A fault that changes nothing is argued in series/equivalent.toml, not
    ignored. The exit code is 0 if at least 99 in 100 of the others are found, each at its
    step. Faults in the C need the extra "faults" and a C compiler.
    """
    asked = FaultOptions(**options)
    if asked.rival and find_spec("hypothesis") is None:
        raise UsageError(
            "--hypothesis needs Hypothesis, which is not installed: "
            "pip install 'replay-series[faults]'"
        )
    steps = [step for step in of_the_series("faults", asked.steps) if step]
    wanted = chosen(steps, asked.every, asked.subject)
    if not wanted:
        raise click.UsageError(
            f"there are no faults to put in; --steps takes steps from 1 to {last_step()}"
        )
    result = _survey(wanted, asked)
    emit(SurveyView(result, argued), format)
    return ExitCode.OK if result.passed else ExitCode.DIFFERENCE


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """Which faults to put in, and how long to look for each, as given."""

    steps: tuple[int, ...]
    subject: str
    every: int
    traces: int
    seed: int
    budget: int
    rival: bool
    jobs: int


def _survey(wanted: list[Fault], asked: FaultOptions) -> Survey:
    """Judge the faults under a progress bar."""
    done = [0]
    with progress_bar("faults") as bar:

        def judged(count: int) -> None:
            done[0] += count
            bar.show(done[0], len(wanted), f"{done[0]} faults judged")

        search = Search(asked.traces, asked.seed, asked.budget)
        rival = hypothesis_finds if asked.rival else None
        return survey(wanted, search, asked.jobs, rival, judged)
