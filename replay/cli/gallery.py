"""``replay gallery``: the defects of the series, each with its shortest trace."""

from __future__ import annotations

from pathlib import Path

import click

from replay.base.atomic import replace_file
from replay.base.pool import default_jobs
from replay.cli.common import (
    ExitCode,
    emit,
    examples,
    format_option,
    jobs_option,
    print_lines,
    seed_option,
    traces_option,
)
from replay.cli.progress import progress_bar
from replay.cli.subjects import only_built_in, the_subject
from replay.dirty.gallery.costing import rearms
from replay.dirty.gallery.defects import Defect, defect_named, defects_of
from replay.dirty.gallery.proving import shortest
from replay.dirty.gallery.writing import MAIL, MARKDOWN, report
from replay.dirty.machine.model import Run
from replay.dirty.rules.comparison import RunComparison
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.report.gallery import DefectView, GalleryView
from replay.series.subject import Subject


class _Group(click.Group):
    """``replay gallery NAME`` shows one; ``replay gallery report NAME`` writes it up."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A name of no subcommand is that of a defect."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return super().resolve_command(ctx, ["show", *args])
        return super().resolve_command(ctx, args)


@click.group(
    "gallery",
    cls=_Group,
    invoke_without_command=True,
    epilog=examples(
        "replay gallery                           all of them",
        "replay gallery stale-hot-pages           one, step beside step",
        "replay gallery stale-hot-pages --prove   look for a shorter trace",
        "replay gallery report rearm-only-new-pages --mail",
    ),
)
@format_option
@click.pass_context
def command(ctx: click.Context, format: str) -> int:
    """Show the defects of the series: before it, brought by it, and what outlived the fixes.

    Each has a name, the step that brought it, what mends it, what one would see of it, and
    the shortest trace that shows it, which a search of all states of a small machine found.
    """
    only_built_in("gallery")
    if ctx.invoked_subcommand is None:
        emit(GalleryView(defects_of(the_subject())), format)
    return ExitCode.OK


@command.command("show", hidden=True)
@click.argument("name")
@click.option("--prove", is_flag=True, help="Search all states for a shorter trace.")
@jobs_option(default_jobs)
@format_option
def show(name: str, prove: bool, jobs: int, format: str) -> int:
    """Play the trace of a defect, at the step before and at the one that shows it."""
    subject = the_subject()
    defect = defect_named(subject, name)
    searched = None
    if prove:
        with progress_bar("searching"):
            searched = len(shortest(defect, jobs).ops)
    run = subject.model(defect.step, defect.trace)
    assert isinstance(run, Run)
    emit(DefectView(defect, run, _beside(subject, defect), _said(defect, run), searched), format)
    same = searched is None or searched == len(defect.trace.ops)
    return ExitCode.OK if same else ExitCode.DIFFERENCE


def _beside(subject: Subject, defect: Defect) -> RunComparison | None:
    """The trace at another step and at the one that shows it; None of step 0."""
    if defect.compared is None:
        return None
    a, b = (subject.model(step, defect.trace) for step in (defect.compared, defect.step))
    found = subject.side_by_side(a, b)
    assert isinstance(found, RunComparison)
    return found


def _said(defect: Defect, run: Run) -> str:
    if not defect.data.property:
        return ""
    broken = RUN_PROPERTIES[defect.data.property](defect.trace, run.records)
    return broken.text if broken else ""


@command.command(
    "report", epilog=examples("replay gallery report rearm-only-new-pages --output report.md")
)
@click.argument("name")
@click.option("--mail", "form", flag_value=MAIL, help="As a mail of plain text.")
@click.option("--markdown", "form", flag_value=MARKDOWN, default=MARKDOWN, help="As Markdown.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write it there.",
)  # fmt: skip
def write(name: str, form: str, output: Path | None) -> int:
    """Write a defect up for a maintainer: what happens, the trace, the fix, the limits."""
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(f"{output.parent}: there is no such folder", param_hint="--output")
    text = report(defect_named(the_subject(), name), form)
    if output is None:
        print_lines(text.splitlines())
    else:
        replace_file(output, text.encode())
    return ExitCode.OK


@command.command("cost", epilog=examples("replay gallery cost --traces 400"))
@traces_option(1200)
@seed_option
def cost(traces: int, seed: int) -> int:
    """Count what re-arming after a sync costs: by the fix of 2024, and by the proposal."""
    found = rearms(the_subject().machine("39+all"), traces, seed)
    more = (found.taken - found.new) / max(1, found.rounds)
    print_lines(
        [
            f"{traces:,} traces, {found.rounds:,} rounds of sync; of the blocks:",
            f"  {found.blocks:,} synced by words",
            f"  {found.new:,} with a page new in the migration bitmap: re-armed by 03bfc2188f",
            f"  {found.taken:,} with any page: re-armed by rearm-taken",
            f"  {more:.3f} more re-arms a round",
        ]
    )
    return ExitCode.OK
