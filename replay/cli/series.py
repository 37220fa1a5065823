"""``replay series``: the patches, as a list, one by one, and as a git history."""

from __future__ import annotations

from pathlib import Path

import click

from replay.cli import verifying
from replay.cli.common import ExitCode, emit, examples, format_option
from replay.cli.steps import STEP
from replay.dirty.subject import SUBJECT, plan
from replay.errors import SeriesError, UsageError
from replay.report.patching import PatchesView, PatchView, plain
from replay.series import declared as series
from replay.series.check import check
from replay.series.latertrees import fixes_by_name
from replay.series.names import parts_of
from replay.series.patches import read_patches, series_folder

series_option = click.option(
    "--series", "folder", metavar="DIR", type=click.Path(path_type=Path),
    help="A changed copy of the series: tree/, patches/, series.toml.",
)  # fmt: skip


@click.group(
    "series",
    epilog=examples(
        "replay series list                     the 39 patches",
        "replay series show 27                  one of them, with what it claims",
        "replay series materialize /tmp/replay  the series as a git repository",
        "replay series import /tmp/replay --into changed",
    ),
)
def command() -> None:
    """Show the patch series in C, and turn it into a git history and back."""


# --- list and show --------------------------------------------------------------------


def _declared(folder: Path | None) -> series.Series:
    # The built-in file is read once a process; a copy by its own name.
    if folder is None:
        return SUBJECT.series
    return series.load(series_folder(folder) / "series.toml")


def _step_of(declared: series.Series, number: int) -> series.StepData | None:
    return declared.step(number) if number <= len(declared.steps) else None


@command.command(
    "list", epilog=examples("replay series list", "replay series list --series changed --json")
)
@series_option
@format_option
def list_command(folder: Path | None, format: str) -> int:
    """List the patches: number, theme, kind, files touched, lines, title."""
    patches, declared = read_patches(folder), _declared(folder)
    rows = [(patch, _step_of(declared, patch.number)) for patch in patches]
    emit(PatchesView(rows), format)
    return ExitCode.OK


@command.command("show", epilog=examples("replay series show 27", "replay series show 27 --json"))
@click.argument("number", metavar="K", type=STEP)
@series_option
@format_option
def show_command(number: int, folder: Path | None, format: str) -> int:
    """Show patch K: its message, what it claims and declares, its API delta, its diff.

    Of a step after the last one, as 39+sync-length, it is the patch of its last fix.
    """
    declared = _declared(folder)
    if fixes := parts_of(number):
        fix = fixes_by_name(folder)[fixes[-1]]
        verdict = _verdict(number) if folder is None else None
        emit(PatchView(fix, declared.step(number), verdict, VERDICT_TRACES), format)
        return ExitCode.OK
    patches = read_patches(folder)
    if not 1 <= number <= len(patches):
        hint = "; replay show 0 tells of the start" if number == 0 else ""
        raise UsageError(f"there is no patch {number}; patches are 1 to {len(patches)}{hint}")
    patch, step = patches[number - 1], _step_of(declared, number)
    verdict = _verdict(number) if folder is None else None
    emit(PatchView(patch, step, verdict, VERDICT_TRACES), format)
    return ExitCode.OK


VERDICT_TRACES = 120
"""Enough to show every declared deviation; ``replay check`` takes more, and shortens."""


def _verdict(number: int) -> str:
    """The verdict on a step of the built-in series, from a short check made now."""
    result = check(plan(steps=(number,), traces=VERDICT_TRACES), budget=0)
    return result.steps[0].verdict.value


# --- the git history ------------------------------------------------------------------


@command.command(
    "materialize",
    epilog=examples(
        "replay series materialize /tmp/replay",
        "replay series materialize /tmp/replay --series changed --json",
    ),
)
@click.argument("dest", metavar="DIR", type=click.Path(path_type=Path))
@series_option
@format_option
def materialize_command(dest: Path, folder: Path | None, format: str) -> int:
    """Make a git repository of the series in DIR.

    DIR must be new or empty. The branch is main; the tags step-00 to step-39 name the
    commits. The same series gives the same commit ids everywhere, whatever the settings
    of git are.
    """
    from replay.report.histories import MaterializedView
    from replay.series.history import materialize

    emit(MaterializedView(materialize(dest, folder)), format)
    return ExitCode.OK


@command.command(
    "import",
    epilog=examples(
        "replay series import /tmp/replay --into changed",
        "replay series import /tmp/replay --range step-00..topic --into changed",
        "replay series import patches.mbox --into changed",
    ),
)
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.option(
    "--range", "commits", metavar="A..B",
    help="The commits of a repository; by default step-00..HEAD.",
)  # fmt: skip
@click.option(
    "--into", metavar="DIR", type=click.Path(path_type=Path),
    help="The series to write to, new or not; by default the one of this checkout.",
)  # fmt: skip
@format_option
def import_command(source: Path, commits: str | None, into: Path | None, format: str) -> int:
    """Write the patches of SOURCE into a series, in place of the ones there.

    SOURCE is a git repository that was materialized and edited, a mailbox, or a folder of
    patches. A DIR that is new becomes a copy of the series with these patches. On any
    error the old patches stay.
    """
    from replay.report.histories import ImportedView
    from replay.series.history import import_range

    done = import_range(source, _own_series() if into is None else into, commits)
    for warning in done.warnings:
        click.echo(f"replay: warning: {plain(warning)}", err=True)
    emit(ImportedView(done), format)
    return ExitCode.OK


def _own_series() -> Path:
    folder = series.data_path()
    if folder.name != "series":
        raise SeriesError("an installed replay does not change its own series; give --into DIR")
    return folder


command.add_command(verifying.command)
