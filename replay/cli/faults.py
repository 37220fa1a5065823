"""``replay faults``: how far the checker deserves trust."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from replay.base.pool import default_jobs
from replay.base.style import Style
from replay.cli.common import (
    STEPS,
    ExitCode,
    budget_option,
    examples,
    jobs_option,
    json_option,
    print_json,
    print_lines,
    seed_option,
    traces_option,
    wants_color,
)
from replay.cli.progress import progress_bar
from replay.dirty.faults.judge import Search
from replay.dirty.faults.survey import chosen, survey
from replay.errors import UsageError
from replay.report.surveying import argued_lines, result_json, result_lines


@click.command(
    "faults",
    epilog=examples(
        "replay faults --steps 26-28               all faults of three steps",
        "replay faults --every 10                  each tenth fault of all steps",
        "replay faults --in c --steps 37 --budget 500    in C, with traces",
        "replay faults --steps 39 --hypothesis     and a Hypothesis machine",
    ),
)
@click.option(
    "--steps", type=STEPS, default="1-39", show_default=True, metavar="STEPS",
    help="The steps to put faults into.",
)  # fmt: skip
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
@json_option
def command(
    steps: tuple[int, ...],
    subject: str,
    every: int,
    traces: int,
    seed: int,
    budget: int,
    rival: bool,
    argued: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Put systematic faults into the series, one at a time, and see which are found.

    For each step: how many faults were found, how many of them here, that is at the step
    itself, by which lanes, and how long the shortest trace is in the median (with
    --budget). A fault that changes nothing is argued in series/equivalent.toml, not
    ignored. The exit code is 0 if at least 99 in 100 of the others are found, each at its
    step. Faults in the C need the extra "faults" and a C compiler.
    """
    if rival and find_spec("hypothesis") is None:
        raise UsageError(
            "--hypothesis needs Hypothesis, which is not installed: "
            "pip install 'replay-series[faults]'"
        )
    wanted = chosen([step for step in steps if step], every, subject)
    if not wanted:
        raise click.UsageError("there are no faults to put in; --steps takes steps from 1 to 39")
    done = [0]
    with progress_bar("faults") as bar:

        def judged(count: int) -> None:
            done[0] += count
            bar.show(done[0], len(wanted), f"{done[0]} faults judged")

        result = survey(wanted, Search(traces, seed, budget), jobs, rival, judged)
    if as_json:
        print_json(result_json(result))
    else:
        print_lines(result_lines(result, Style(wants_color(sys.stdout))))
        if argued:
            print_lines(argued_lines(result))
    return ExitCode.OK if result.passed else ExitCode.DIFFERENCE
