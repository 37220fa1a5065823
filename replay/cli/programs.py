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
from replay.repo.program.searching import ProgramSearch, search
from replay.repo.program.verify import RUN_LIMIT, ProgramReport, ProgramRequest, verify
from replay.report.programs import ProgramsView

LIBRARY_ALONE: Final = ("binding", "model", "wrapper", "ops", "fresh", "expect", "prove")
"""Options of ``replay verify`` that say something of a library alone."""
NOT_DECLARED: Final = "differences are declared for a library alone: {option} with --library"
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
            if name == "expect":
                raise click.UsageError(NOT_DECLARED.format(option="--expect"))
            one, other = ("--program", "--library") if library else ("--library", "--program")
            raise click.UsageError(f"--{name} goes with {one}, not with {other}")
    for name in PROGRAM_ALONE if library else ("library", *LIBRARY_ALONE):
        del options[name]
    if program is not None and given("call_timeout") is click.core.ParameterSource.DEFAULT:
        options["call_timeout"] = RUN_LIMIT
    return program is not None


def verified(save: Path, bisect: bool, format: str, options: Mapping[str, Any]) -> int:
    """Verify, or search, and tell; ``save`` is the folder of examples."""
    renamed = {"timeout": "build_limit", "call_timeout": "call_limit"}
    request = ProgramRequest(**{renamed.get(name, name): one for name, one in options.items()})
    if request.seconds is not None and request.traces is not None:
        raise click.UsageError("--traces is exact: it takes no --for")
    find(request.repo)
    with progress_bar("verifying") as bar:
        searched = search(request, bar.show) if bisect else ProgramSearch(verify(request, bar.show))
    report = searched.report
    saved = {} if request.trace is not None else _save(report, request, save)
    emit(ProgramsView(searched, saved, bisect), format)
    if report.differs:
        return ExitCode.DIFFERENCE
    return ExitCode.OK if report.passed else ExitCode.NOT_DECIDED


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
    if request.call_limit != RUN_LIMIT:
        words += ["--call-timeout", f"{request.call_limit:g}"]
    return shlex.join([*words, "--trace", str(path)])
