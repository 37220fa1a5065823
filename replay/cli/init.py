"""``replay init``: a commented binding from a library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from replay.cli.calling import call_timeout_option, timeout_option
from replay.cli.common import ExitCode, emit, examples, format_option, seed_option
from replay.cli.progress import progress_bar
from replay.errors import UsageError
from replay.repo.bound import Unbound
from replay.repo.building import Builder
from replay.repo.drafting import Drafted, drafted
from replay.repo.git import Repository
from replay.repo.opening import workspace
from replay.repo.program.drafting import draft_inputs
from replay.repo.program.inputs import parse_inputs
from replay.repo.shapes import LibraryShape, read_shape
from replay.repo.targets import prepare
from replay.repo.trying import Trial, try_out
from replay.report.drafting import DraftView
from replay.report.programs import InputsView


@click.command(
    "init",
    epilog=examples(
        "replay init build/libring.so                  to standard output",
        "replay init build/libring.so -o binding.toml",
        "replay init build/libring.so --try            what comes back, what to edit",
        "replay init build/libring.so --try --repo . --build make --commit v1",
        "replay init --program 'python3 tool.py' -o inputs.toml",
    ),
)
@click.argument("library", type=click.Path(path_type=Path), required=False)
@click.option(
    "--program", metavar="PATH",
    help="Write an inputs file for replay verify --program instead. The program is not run.",
)  # fmt: skip
@click.option(
    "--corpus", type=click.Path(path_type=Path), metavar="DIR",
    help="With --program: a folder of inputs.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write it there; a file that exists is kept.",
)  # fmt: skip
@click.option(
    "--try", "tries", is_flag=True,
    help="Run it on random traces, too, and say of each function how many calls returned and "
    "what to edit. The library is EXECUTED.",
)  # fmt: skip
@click.option(
    "--build", metavar="CMD",
    help="Build LIBRARY, which is then relative to the top of the tree. The shell EXECUTES it.",
)  # fmt: skip
@click.option(
    "--repo", type=click.Path(path_type=Path), default=".", show_default=True, metavar="PATH",
    help="With --build: the git repository. It is only read.",
)  # fmt: skip
@click.option(
    "--commit", "revision", default="HEAD", show_default=True, metavar="COMMIT",
    help="With --build: which commit to build.",
)  # fmt: skip
@seed_option
@timeout_option
@call_timeout_option
@format_option
def command(
    library: Path | None, program: str | None, corpus: Path | None, output: Path | None,
    tries: bool, build: str | None, repo: Path, revision: str,
    seed: int, timeout: float, call_timeout: float, format: str,
) -> int:  # fmt: skip
    """Write a binding for replay verify from a library's debug information.

    It names the functions that the library exports, with a role and a range for each
    parameter, objects by the structs that pointers point to, constructors and
    destructors by their names. The prototypes are facts, the rest are guesses: look
    through them. A function that cannot be called stands there as a comment, with the
    reason. The library is read, and not loaded unless --try is given.
    """
    if (library is None) == (program is None) or (corpus and library):
        raise click.UsageError("name a LIBRARY, or --program PATH, to which --corpus belongs")
    if program is not None:
        text = draft_inputs(program, corpus)
        parse_inputs(text, output or Path("the drafted inputs"))
        _write(text, output)
        emit(InputsView(text, output), format)
        return ExitCode.OK
    assert library is not None
    with _built(library, build, repo, revision, timeout) as (file, shape):
        made = drafted(shape, str(library))
        if made.binding is None:
            _nothing(library, made, shape)
        _write(made.text, output)
        trial = _trial(made, shape, file, seed, call_timeout) if tries else None
    emit(DraftView(made, output, trial), format)
    return ExitCode.OK


def _nothing(library: Path, made: Drafted, shape: LibraryShape) -> None:
    """Say on standard error that all of the draft is comments."""
    why = next(iter(made.left_out.values()), shape.problem or "it exports no function")
    click.echo(
        f"replay: note: {library}: no function can be called by what is known: {why}; "
        "all stand in the draft as comments, with what to decide",
        err=True,
    )


@contextmanager
def _built(
    library: Path, build: str | None, repo: Path, revision: str, limit: float
) -> Iterator[tuple[Path, LibraryShape]]:
    """The library and its shape: as it is there, or as a commit's build makes it."""
    if build is None:
        yield library, read_shape(library)
        return
    with workspace() as place, progress_bar("building") as bar:
        repository = Repository(repo, place)
        commit = repository.commit(revision)
        builder = Builder(repository, build, str(library), limit, False, home=repo)
        made = prepare(builder, [commit.tree], 1, bar.show)[0]
        if made.obstacle is not None or made.built is None or made.shape is None:
            why = made.obstacle.reason if made.obstacle is not None else "no library"
            said = made.obstacle.output.strip() if made.obstacle is not None else ""
            last = f": {said.splitlines()[-1]}" if said else ""
            raise UsageError(f"{commit.short} cannot be built and read: {why}{last}")
        yield made.built.library, made.shape


def _write(text: str, output: Path | None) -> None:
    if output is None:
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{output} is there already; name another file, or move it") from None
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}") from None


def _trial(made: Drafted, shape: LibraryShape, library: Path, seed: int, cpu: float) -> Trial:
    if made.binding is None:
        return Trial({}, 0, 0)
    path = library.resolve()
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        with progress_bar("trying") as bar:
            return try_out(made.binding, shape, path, checksum, seed, cpu, bar.show)
    except Unbound as error:
        raise UsageError(f"{library}: {error}") from None
