"""``replay init``: a commented binding from a library."""

from __future__ import annotations

from pathlib import Path

import click

from replay.cli.common import ExitCode, emit, examples, format_option
from replay.errors import UsageError
from replay.repo.bindingfile import parse_binding
from replay.repo.drafting import draft
from replay.repo.shapes import read_shape
from replay.report.drafting import DraftView


@click.command(
    "init",
    epilog=examples(
        "replay init build/libring.so                  to standard output",
        "replay init build/libring.so -o binding.toml",
    ),
)
@click.argument("library", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write it there; a file that exists is kept.",
)  # fmt: skip
@format_option
def command(library: Path, output: Path | None, format: str) -> int:
    """Write a binding for replay verify from a library's debug information.

    It names the functions that the library exports, with a role and a range for each
    parameter, objects by the structs that pointers point to, constructors and
    destructors by their names. The prototypes are facts, the rest are guesses: look
    through them. The library is read, not loaded.
    """
    text = draft(read_shape(library), str(library))
    binding = parse_binding(text, output or "the drafted binding")
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise UsageError(f"{output} is there already; name another file, or move it") from None
        except OSError as error:
            raise UsageError(f"{output}: cannot be written: {error.strerror}") from None
    emit(DraftView(text, binding, output), format)
    return ExitCode.OK
