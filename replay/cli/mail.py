"""``replay mail``: patches as they come by mail."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from replay.cli.common import (
    ExitCode,
    examples,
    json_option,
    print_json,
    print_lines,
    wants_color,
)
from replay.errors import UsageError
from replay.gitfolders import read_tree
from replay.mail.behaviour import compare_behaviour
from replay.mail.comparing import Status, compare_series
from replay.mail.reading import read_series
from replay.mail.reporting import comparison_json, comparison_lines, series_json, series_lines
from replay.report.style import Style

_PATH = click.Path(path_type=Path)


@click.group(
    "mail",
    epilog=examples(
        "replay mail show series.mbox",
        "replay mail compare v1.mbox v2.mbox          which patches changed, and how",
    ),
)
def command() -> None:
    """Read patches as they come by mail: a mailbox, or a folder of patch files.

    Patches are data: nothing of them is executed, and nothing is written.
    """


@command.command(
    "show",
    epilog=examples("replay mail show series.mbox", "replay mail show outgoing/ --version 2"),
)
@click.argument("mailbox", type=_PATH)
@click.option(
    "--version", type=click.IntRange(1, 999), metavar="N",
    help="The version to show; by default the latest.",
)  # fmt: skip
@json_option
def show(mailbox: Path, version: int | None, as_json: bool) -> int:
    """Show the series in MAILBOX: its cover letter and its patches in order.

    Replies are left out. Patches that are missing are named, and are a difference for
    the exit code.
    """
    series = read_series(mailbox, version)
    if as_json:
        print_json(series_json(series))
    else:
        print_lines(series_lines(series, Style(wants_color(sys.stdout))))
    return ExitCode.DIFFERENCE if series.missing else ExitCode.OK


@command.command(
    "compare",
    epilog=examples(
        "replay mail compare v1.mbox v2.mbox",
        "replay mail compare v1/ v2/ --brief",
        "replay mail compare v1.mbox v2.mbox --tree src   do the trees differ, too?",
    ),
)
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option(
    "--tree", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Apply both in memory to the files in DIR, and tell after which patches they differ.",
)  # fmt: skip
@click.option("--brief", is_flag=True, help="Only a line a patch.")
@json_option
def compare(old: Path, new: Path, tree: Path | None, brief: bool, as_json: bool) -> int:
    """Compare two versions of a series: which patches changed, are new, gone or moved.

    Where both are in one mailbox, give it twice: the two latest versions are taken.
    """
    after = read_series(new)
    before = read_series(old, after.version - 1 if old == new and after.version > 1 else None)
    rows = compare_series(before, after)
    if tree is not None and not tree.is_dir():
        raise UsageError(f"{tree}: no such folder; --tree names the files both series start from")
    steps = compare_behaviour(before, after, read_tree(tree)) if tree is not None else []
    if as_json:
        print_json(comparison_json(rows, steps))
    else:
        print_lines(comparison_lines(rows, steps, Style(wants_color(sys.stdout)), brief))
    same = all(row.status is Status.SAME and not row.moved for row in rows)
    return ExitCode.OK if same else ExitCode.DIFFERENCE
