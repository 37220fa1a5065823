"""``replay elf``: what a binary says of the code it was built from."""

from __future__ import annotations

from pathlib import Path

import click

from replay import elf
from replay.cli.common import ExitCode, emit, examples, format_option
from replay.report.binaries import BinaryView

FILE = click.Path(path_type=Path)


@click.group(
    "elf",
    epilog=examples(
        "replay elf show libdirty.so",
        "replay elf show libdirty.so --layout ram_list",
        "replay elf compare before.so after.so",
        "replay elf identify libdirty.so",
    ),
)
def command() -> None:
    """Inspect objects, libraries and executables (ELF, with debug information)."""


def _selection(every: bool, names: tuple[str, ...]) -> elf.Selection | None:
    if names:
        return elf.select(names)
    return None if every else elf.DIRTY_TRACKING


all_option = click.option("--all", "every", is_flag=True, help="All functions, not only the API.")
function_option = click.option(
    "--function", "names", multiple=True, metavar="PATTERN",
    help="Only functions of this name or pattern; may be repeated.",
)  # fmt: skip


@command.command("show", epilog=examples("replay elf show libdirty.so --function 'tlb_*'"))
@click.argument("file", type=FILE)
@click.option("--layout", metavar="NAME", help="The layout of a variable or type instead.")
@all_option
@function_option
@format_option
def show(file: Path, layout: str | None, every: bool, names: tuple[str, ...], format: str) -> int:
    """Print prototypes from debug information, symbols and sections of FILE.

    By default those of the dirty-tracking API and its callers.
    """
    if layout is not None:
        emit(BinaryView(elf.layout(file, layout)), format)
    else:
        emit(BinaryView(elf.show(file, _selection(every, names))), format)
    return ExitCode.OK


@command.command("compare", epilog=examples("replay elf compare before.so after.so --all"))
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@all_option
@function_option
@format_option
def compare(a: Path, b: Path, every: bool, names: tuple[str, ...], format: str) -> int:
    """Tell, function by function, what changed between two builds A and B.

    The exit code is 0 if the code is identical, renames apart.
    """
    result = elf.compare(a, b, _selection(every, names))
    emit(BinaryView(result), format)
    same = result.verdict is elf.Whole.IDENTICAL
    return ExitCode.OK if same else ExitCode.DIFFERENCE


@command.command("identify", epilog=examples("replay elf identify libdirty.so"))
@click.argument("file", type=FILE)
@format_option
def identify(file: Path, format: str) -> int:
    """Name the step whose declared API the binary FILE has.

    Steps with the same API cannot be told apart: then a range of them is named. The exit
    code is 0 if a step fits.
    """
    from replay.dirty.subject import SUBJECT  # the models: no other command here has need of them

    series = SUBJECT.series
    result = elf.identify(file, {step: series.api(step) for step in range(len(series.steps) + 1)})
    emit(BinaryView(result), format)
    return ExitCode.OK if result.steps else ExitCode.DIFFERENCE
