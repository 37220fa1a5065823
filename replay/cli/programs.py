"""The part of ``replay verify`` and ``replay init`` that is about programs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from replay.cli.common import ExitCode, emit
from replay.cli.progress import progress_bar
from replay.errors import UsageError
from replay.repo.git import find
from replay.repo.program.case import to_text
from replay.repo.program.opening import RUN_LIMIT, ProgramRequest
from replay.repo.program.results import ProgramReport
from replay.repo.program.searching import ProgramSearch, search
from replay.repo.program.verify import verify
from replay.report.expecting import write_draft
from replay.report.programs import ProgramsView
from replay.report.programsexpecting import draft

LIBRARY_ALONE: Final = ("binding", "model", "wrapper", "ops", "prove")
"""Options of ``replay verify`` that say something of a library alone."""
PROGRAM_ALONE: Final = ("program", "inputs", "corpus")


def program_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--program``, ``--inputs`` and ``--corpus``."""
    for option in (
        click.option(
            "--corpus", type=click.Path(path_type=Path), metavar="DIR",
            help="Without --inputs: give the files of this folder to the program, too.",
        ),
        click.option(
            "--inputs", type=click.Path(path_type=Path), metavar="FILE",
            help="What --program is given; replay init --program drafts one. By default no "
            "arguments, and small texts as standard input.",
        ),
        click.option(
            "--program", metavar="PATH",
            help="Instead of --library: the program that the build makes, perhaps with an "
            "interpreter in front: 'python3 tool.py'. It is EXECUTED.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def asked(options: dict[str, Any]) -> bool:
    """Whether a program is to be verified; takes its options out where it is not.

    Raises:
        UsageError: a program and a library are named, or neither; or an option of the other.

    """
    program, library = options["program"], options["library"]
    if (program is None) == (library is None):
        raise click.UsageError("name what the build makes: --library PATH, or --program PATH")
    given = click.get_current_context().get_parameter_source
    for name in PROGRAM_ALONE[1:] if library else LIBRARY_ALONE:
        if given(name) is click.core.ParameterSource.COMMANDLINE:
            one, other = ("--program", "--library") if library else ("--library", "--program")
            raise click.UsageError(f"--{name} goes with {one}, not with {other}")
    for name in PROGRAM_ALONE if library else ("library", *LIBRARY_ALONE):
        del options[name]
    if program is not None and given("call_timeout") is click.core.ParameterSource.DEFAULT:
        options["call_timeout"] = RUN_LIMIT
    return program is not None


def verified(
    save: Path, bisect: bool, drafting: Path | None, format: str, options: Mapping[str, Any]
) -> int:
    """Verify, or search, and tell.

    Args:
        save: the folder of examples.
        bisect: whether to search.
        drafting: a file in which to declare what is found.
        format: of what is told.
        options: of the command, as :class:`ProgramRequest` has them.

    """
    renamed = {"timeout": "build_limit", "call_timeout": "call_limit"}
    request = ProgramRequest(**{renamed.get(name, name): one for name, one in options.items()})
    if request.seconds is not None and request.traces is not None:
        raise click.UsageError("--traces is exact: it takes no --for")
    find(request.repo)
    not_there(drafting)
    with progress_bar("verifying") as bar:
        searched = search(request, bar.show) if bisect else ProgramSearch(verify(request, bar.show))
    report = searched.report
    saved = {} if request.trace is not None else _save(report, request, save)
    if drafting is not None:
        write_draft(drafting, draft(report))
    emit(ProgramsView(searched, saved, bisect), format)
    if report.differs or report.unshown:
        return ExitCode.DIFFERENCE
    return ExitCode.OK if report.passed else ExitCode.NOT_DECIDED


def not_there(drafting: Path | None) -> None:
    """Refuse to draft into a file that is there.

    Raises:
        UsageError: it is.

    """
    if drafting is not None and drafting.exists():
        raise UsageError(f"{drafting}: it is there already; name another file to draft")


def _save(
    report: ProgramReport, request: ProgramRequest, folder: Path
) -> dict[str, tuple[Path, str]]:
    """Save the examples; gives where, and the commands that run them again."""
    saved = {}
    for row in report.rows:
        if row.example is None:
            continue
        path = folder / f"{row.name}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(to_text(row.example.case, row.name), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be written ({error.strerror}); name a folder with --save"
            ) from None
        before = row.against.short if row.against else f"{row.commit.short}^"
        saved[row.name] = path, _again(request, f"{before}..{row.commit.short}", path)
    return saved


def _again(request: ProgramRequest, span: str, path: Path) -> str:
    words = ["replay", "verify", "--repo", str(request.repo), "--range", span]
    words += ["--build", request.build, "--program", request.program]
    if request.inputs is not None:
        words += ["--inputs", str(request.inputs)]
    if request.expect is not None:
        words += ["--expect", str(request.expect)]
    if request.call_limit != RUN_LIMIT:
        words += ["--call-timeout", f"{request.call_limit:g}"]
    return shlex.join([*words, "--trace", str(path)])
