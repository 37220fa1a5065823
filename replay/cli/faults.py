"""``replay faults``: how far the checker deserves trust."""

from __future__ import annotations

import sys

import click

from replay.cli.common import (
    STEPS,
    ExitCode,
    examples,
    jobs_option,
    json_option,
    print_json,
    print_lines,
    wants_color,
)
from replay.cli.progress import progress_bar
from replay.faults.survey import chosen, survey
from replay.pool import default_jobs
from replay.report.style import Style
from replay.report.surveying import argued_lines, result_json, result_lines


@click.command(
    "faults",
    epilog=examples(
        "replay faults --steps 26-28               all faults of three steps",
        "replay faults --every 10                  each tenth fault of all steps",
        "replay faults --steps 39 --hypothesis     and a Hypothesis machine",
    ),
)
@click.option(
    "--steps", type=STEPS, default="1-39", show_default=True, metavar="STEPS",
    help="The steps to put faults into.",
)  # fmt: skip
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Only each N-th fault.",
)  # fmt: skip
@click.option(
    "--traces", type=click.IntRange(1), default=400, show_default=True, metavar="N",
    help="Random traces a fault at most, of 50 operations.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N")
@click.option(
    "--budget", type=click.IntRange(0), default=0, show_default=True, metavar="N",
    help="Candidates tried to shorten what shows a fault; 0 leaves that out.",
)  # fmt: skip
@click.option("--hypothesis", "rival", is_flag=True, help="Ask a Hypothesis state machine too.")
@click.option("--argued", is_flag=True, help="Show the arguments for faults that change nothing.")
@jobs_option(default_jobs)
@json_option
def command(
    steps: tuple[int, ...],
    every: int,
    traces: int,
    seed: int,
    budget: int,
    rival: bool,
    argued: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Put systematic faults into the models, one at a time, and see which are found.

    For each step: how many faults were found, at which step they were blamed, and how
    long the shortest trace is (with --budget). A fault that changes nothing is argued in
    series/equivalent.toml, not ignored. The exit code is 0 if at least 99 in 100 of the
    others are found, each at its step.
    """
    wanted = chosen([step for step in steps if step], every)
    if not wanted:
        raise click.UsageError("there are no faults to put in; --steps takes steps from 1 to 39")
    done = [0]
    with progress_bar("faults") as bar:

        def judged(count: int) -> None:
            done[0] += count
            bar.show(done[0], len(wanted), f"{done[0]} faults judged")

        result = survey(wanted, traces, seed, jobs, budget, rival, judged)
    if as_json:
        print_json(result_json(result))
    else:
        print_lines(result_lines(result, Style(wants_color(sys.stdout))))
        if argued:
            print_lines(argued_lines(result))
    return ExitCode.OK if result.passed else ExitCode.DIFFERENCE
