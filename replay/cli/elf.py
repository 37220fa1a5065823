"""``replay elf``: what a binary says of the code it was built from."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from replay import elf
from replay.base.atomic import replace_file
from replay.cli.common import EXIT_HELP, ExitCode, emit, examples, format_option
from replay.errors import UsageError
from replay.report.binaries import BinaryView
from replay.report.binarysizes import SizesView
from replay.report.binarysuppressed import ComparisonView

FILE = click.Path(path_type=Path)


@click.group(
    "elf",
    epilog=examples(
        "replay elf show libdirty.so",
        "replay elf show libdirty.so --layout ram_list",
        "replay elf compare before.so after.so",
        "replay elf save before.so -o base.json",
        "replay elf sizes before.so after.so",
        "replay elf identify libdirty.so",
    ),
)
def command() -> None:
    """Inspect objects, libraries and executables (ELF, with debug information)."""


COMPARE_CODES = (
    "Exit codes: the sum of 1 code or data differ, are added or removed (what is exported counts "
    "as linkage, too), 4 something not compared (types also, without debug information), "
    "8 the interface differs (prototypes, types of variables), 16 the layout differs (sizes, "
    "members and values of types), 32 the linkage differs (exports, versions, needed "
    "libraries); 0 if nothing does, renames of local functions apart. No sum has 2 in it: "
    "2 is bad input or usage, 3 an internal failure, 130 interrupted, 143 terminated."
)


def _selection(every: bool, api: bool, names: tuple[str, ...]) -> elf.Selection | None:
    if sum((every, api, bool(names))) > 1:
        raise UsageError("--all, --api and --function are three; give one of them")
    if names:
        return elf.select(names)
    return elf.DIRTY_TRACKING if api else None


def _refuse_unmatched(unmatched: tuple[str, ...], only: elf.Selection | None, where: str) -> None:
    """A pattern that fits nothing is a slip of whoever wrote it, and nothing was compared by it."""
    if not unmatched or only is None:
        return
    if only.name:
        raise UsageError(f"nothing of {only.name} is in {where}; leave out --api to have all")
    patterns = " or ".join(map(repr, unmatched))
    raise UsageError(f"nothing in {where} is called {patterns}; 'replay elf show' lists the names")


all_option = click.option("--all", "every", is_flag=True, help="All functions: the default.")
api_option = click.option(
    "--api", is_flag=True, help="Only the dirty-tracking API and its callers."
)
debug_option = click.option(
    "--debug-dir", "folders", multiple=True, metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where separate debug information is looked for, too; may be repeated.",
)  # fmt: skip
function_option = click.option(
    "--function", "names", multiple=True, metavar="PATTERN",
    help="Only functions and variables of this name or pattern; may be repeated.",
)  # fmt: skip


@command.command("show", epilog=examples("replay elf show libdirty.so --function 'tlb_*'"))
@click.argument("file", type=FILE)
@click.option("--layout", metavar="NAME", help="The layout of a variable or type instead.")
@all_option
@api_option
@function_option
@debug_option
@format_option
def show(
    file: Path,
    layout: str | None,
    every: bool,
    api: bool,
    names: tuple[str, ...],
    folders: tuple[Path, ...],
    format: str,
) -> int:
    """Print prototypes from debug information, symbols and sections of FILE."""
    only = _selection(every, api, names)
    if layout is not None:
        emit(BinaryView(elf.layout(file, layout, folders)), format)
        return ExitCode.OK
    found = elf.show(file, only, folders)
    _refuse_unmatched(found.unmatched, only, str(file))
    emit(BinaryView(found), format)
    return ExitCode.OK


@command.command(
    "compare",
    # Its exit codes are not those of the other commands.
    epilog=examples("replay elf compare before.so after.so --api").removesuffix(EXIT_HELP)
    + COMPARE_CODES,
)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@all_option
@api_option
@function_option
@click.option(
    "--code", is_flag=True,
    help="Show the code of functions that differ, both builds side by side.",
)  # fmt: skip
@click.option(
    "--suppress", "accepted", type=FILE, metavar="FILE",
    help="Differences that are accepted, each with its reason, in TOML.",
)  # fmt: skip
@debug_option
@format_option
def compare(
    a: Path,
    b: Path,
    every: bool,
    api: bool,
    names: tuple[str, ...],
    code: bool,
    accepted: Path | None,
    folders: tuple[Path, ...],
    format: str,
) -> int:
    """Tell what changed between two builds A and B: code, data, types, linkage.

    A and B are two files, two archives, or two folders: their members are matched by
    name. One may be a baseline that 'elf save' wrote. All that both define is compared.
    The exit code is 0 if nothing differs; otherwise it tells the kinds of differences
    that are not suppressed, a bit a kind.

    A file for --suppress has tables [[suppress]] with kind (code, interface, layout,
    linkage, not compared), name (a name or pattern), and reason; member is one of an
    archive or folder.
    """
    suppressions = () if accepted is None else elf.read_suppressions(accepted)
    only = _selection(every, api, names)
    result, codes = _compared(a, b, only, folders, code)
    _refuse_unmatched(result.unmatched, only, f"{a} or {b}")
    left = None
    if accepted is not None:
        left = elf.suppress(result, suppressions, accepted)
    width = shutil.get_terminal_size((120, 24)).columns
    emit(ComparisonView(result, left, codes, width), format)
    return int(result.kinds if left is None else left.kinds)


def _compared(
    a: Path, b: Path, only: elf.Selection | None, folders: tuple[Path, ...], code: bool
) -> tuple[elf.Comparison | elf.BundleComparison, elf.Disassembly | None]:
    if elf.is_bundle(a) or elf.is_bundle(b):
        return elf.compare_bundles(a, b, only, folders, code), None
    if elf.is_baseline(a) or elf.is_baseline(b):
        if code:
            raise UsageError("a baseline has no code to show; compare two files with --code")
        return elf.compare_saved(a, b, only, folders), None
    found = elf.compare(a, b, only, folders)
    return found, elf.disassemble(a, b, found, folders) if code else None


@command.command(
    "save",
    epilog=examples(
        "replay elf save libdirty.so -o base.json", "replay elf compare base.json b.so"
    ),
)
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="Where to.")
@debug_option
def save(file: Path, output: Path, folders: tuple[Path, ...]) -> int:
    """Save what 'elf compare' asks of FILE, to be compared with later builds.

    The baseline is JSON with a format version. It has no code and no long data, but their
    digests: that they differ can be told later, and not where.
    """
    text = elf.baseline(file, folders)
    try:
        replace_file(output, f"{text}\n".encode())
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}") from None
    return ExitCode.OK


@command.command(
    "sizes", epilog=examples("replay elf sizes libdirty.so", "replay elf sizes a.so b.so --most 5")
)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE, required=False)
@click.option(
    "--most", type=click.IntRange(1), default=20, show_default=True, metavar="N",
    help="Rows of each table; the others are summed. JSON has all.",
)  # fmt: skip
@debug_option
@format_option
def sizes(a: Path, b: Path | None, most: int, folders: tuple[Path, ...], format: str) -> int:
    """Tell what takes the bytes of A, or how that changed to B.

    Sections, then functions and variables: both tables add up to the whole file. The exit
    code is 0 whatever changed.
    """
    emit(SizesView(elf.sizes(a, b, folders), most), format)
    return ExitCode.OK


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
