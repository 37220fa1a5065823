"""``replay site``: the lessons and the player as a folder of plain files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replay.base.pool import default_jobs
from replay.cli.common import ExitCode, examples, jobs_option, print_lines
from replay.cli.progress import progress_bar

if TYPE_CHECKING:
    from replay.series.check import Plan
    from replay.series.verdict import CheckResult
    from replay.teach.page.build import Material

Command = TypeVar("Command", bound=Callable[..., Any])


def material_options(command: Command) -> Command:
    """The options that say what a site is made of: shared with ``replay serve``."""
    for option in reversed(
        (
            click.option(
                "--check", "report", type=click.Path(dir_okay=False, path_type=Path),
                metavar="FILE", help="Show the verdicts of a saved 'replay check --json'.",
            ),
            click.option(
                "--bench", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                help="Show the costs of a saved 'replay bench --json'; else none are shown.",
            ),
            click.option(
                "--traces", type=click.IntRange(1, 10_000_000), default=1200, show_default=True,
                metavar="N", help="Without --check: check with so many random traces.",
            ),
            click.option(
                "--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N",
                help="Without --check: the seed of the traces.",
            ),
            jobs_option(default_jobs),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def gather(report: Path | None, bench: Path | None, traces: int, seed: int, jobs: int) -> Material:
    """What a site is made of; without a saved report a check is run, under a progress bar."""
    from replay.dirty.subject import plan as plan_of
    from replay.teach.page.build import Material
    from replay.teach.page.measured import read_bench
    from replay.teach.page.verdicts import read_report, report_of

    measured = read_bench(bench) if bench else None
    if report:
        return Material(read_report(report), measured)
    return Material(report_of(checked(plan_of(seed=seed, traces=traces), jobs)), measured)


def checked(plan: Plan, jobs: int) -> CheckResult:
    """Run a check under a progress bar."""
    from replay.series.check import check

    done = 0
    with progress_bar("checking") as bar:

        def tell(count: int) -> None:
            nonlocal done
            done += count
            bar.show(done, plan.traces, f"{done} traces")

        def shortened(_: int) -> None:
            bar.show(0, 0, "shortening examples")

        return check(plan, jobs, tell, shortened)


@click.command(
    "site",
    epilog=examples(
        "replay site public                        check, then write the site",
        "replay site public --check check.json     with the verdicts of a saved check",
        "replay site public --bench bench.json     with measured costs",
    ),
)
@click.argument("out", metavar="OUT", type=click.Path(file_okay=True, path_type=Path))
@material_options
def command(
    out: Path, report: Path | None, bench: Path | None, traces: int, seed: int, jobs: int
) -> int:
    """Write the teaching site into the folder OUT.

    The site is plain files: open OUT/index.html, or put the folder on any web server. It
    needs no network. It has a page for each step, with its lesson, its diffs and its
    verdict, and a player in which a trace runs at two steps at once. OUT must be new,
    empty, or an earlier site; the same input gives the same bytes.
    """
    from replay.teach.page.build import make_site
    from replay.teach.page.output import check_target

    check_target(out.absolute())
    count = make_site(gather(report, bench, traces, seed, jobs), out)
    print_lines([f"{count} files; open {out / 'index.html'}"])
    return ExitCode.OK
