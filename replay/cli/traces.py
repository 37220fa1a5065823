"""``replay traces``: the corpus of traces that are kept, and recordings of real programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from replay.base.atomic import replace_file
from replay.cli.common import ExitCode, budget_option, emit, examples, format_option
from replay.cli.progress import progress_bar
from replay.dirty.campaign.corpus import Corpus, default_folder, look, smaller
from replay.dirty.language.files import read_trace, trace_to_text
from replay.dirty.language.recorded import read_recording
from replay.dirty.subject import plan
from replay.errors import UsageError
from replay.report.keeping import CorpusView, ImportView, KeptTrace

BUDGET = 400


def corpus_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--corpus DIR``, given as ``folder``."""
    return click.option(
        "--corpus", "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
        help="The folder of the corpus; traces beside the cache by default.",
    )(command)  # fmt: skip


def _corpus(folder: Path | None) -> Corpus:
    return Corpus(folder or default_folder())


@click.group(
    "traces",
    epilog=examples(
        "replay traces list                       what is kept",
        "replay traces add found/*.jsonl          keep these, too",
        "replay traces minimize                   make all of them small",
        "replay traces import run.lackey          a recording of a real program",
    ),
)
def command() -> None:
    """Keep traces that are worth running again; campaigns run them first, and check --corpus.

    What is kept are plain trace files in one folder: copy them to share them.
    """


@command.command("list", epilog=examples("replay traces list", "replay traces list --shown --json"))
@corpus_option
@click.option("--shown", is_flag=True, help="Run each, and say what it shows now.")
@format_option
def list_command(folder: Path | None, shown: bool, format: str) -> int:
    """List the traces that are kept."""
    corpus, asked = _corpus(folder), plan()
    rows = [
        KeptTrace(path, trace, look(asked, trace) if shown else None)
        for path, trace in corpus.read()
    ]
    emit(CorpusView(corpus.folder, tuple(rows)), format)
    return ExitCode.OK


@command.command("add", epilog=examples("replay traces add counterexamples/*.jsonl"))
@click.argument("files", metavar="TRACE...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@corpus_option
@format_option
def add_command(files: tuple[Path, ...], folder: Path | None, format: str) -> int:
    """Keep traces. All of them are read before the first is kept."""
    corpus = _corpus(folder)
    traces = [(path, read_trace(path)) for path in files]
    rows = [KeptTrace(corpus.add(trace, path.stem), trace) for path, trace in traces]
    emit(CorpusView(corpus.folder, tuple(rows)), format)
    return ExitCode.OK


@command.command(
    "minimize", epilog=examples("replay traces minimize", "replay traces minimize a.jsonl")
)
@click.argument("files", metavar="[TRACE...]", nargs=-1, type=click.Path(path_type=Path))
@corpus_option
@budget_option(BUDGET, "Candidates tried for each trace.")
@format_option
def minimize_command(files: tuple[Path, ...], folder: Path | None, budget: int, format: str) -> int:
    """Make traces small, as long as they show what they are kept for.

    That is a difference that nothing declares, if the trace shows one; else the path that
    its name says; else all that is declared and that it shows. A trace that shows none of
    these stays as it is. Without TRACE: all that are kept. With TRACE: these files alone,
    each put in place of itself.
    """
    corpus, asked = _corpus(folder), plan()
    given = [(path, read_trace(path)) for path in files] if files else list(corpus.read())
    rows = []
    with progress_bar("making traces small") as bar:
        for number, (path, trace) in enumerate(given):
            bar.show(number, len(given), path.name)
            found = smaller(asked, trace, budget)
            small = found.trace if found else trace
            target = path if files else corpus.put(path, small)
            if files and small != trace:
                _replace(path, trace_to_text(small))
            rows.append(KeptTrace(target, small, look(asked, small), len(trace.ops)))
    emit(CorpusView(corpus.folder if not files else Path(), tuple(rows)), format)
    return ExitCode.OK


@command.command(
    "import",
    epilog=examples(
        "valgrind --tool=lackey --trace-mem=yes --log-file=run.lackey ls",
        "replay traces import run.lackey          into the corpus",
        "replay traces import run.csv -o run.jsonl --pages 16 --every 50",
    ),
)
@click.argument("file", metavar="RECORDING", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the trace there, and not into the corpus.")  # fmt: skip
@click.option("--pages", type=click.IntRange(1, 4096), default=64, show_default=True, metavar="N",
              help="Pages of the machine; those touched come in turn, the next one is the first "
              "again.")  # fmt: skip
@click.option("--every", type=click.IntRange(0), default=200, show_default=True, metavar="N",
              help="Accesses between two rounds of migration; 0 for none.")  # fmt: skip
@click.option("--ops", type=click.IntRange(2, 100_000), default=2000, show_default=True,
              metavar="N", help="Operations of the trace at most.")  # fmt: skip
@corpus_option
@format_option
def import_command(
    file: Path, output: Path | None, pages: int, every: int, ops: int, folder: Path | None,
    format: str,
) -> int:  # fmt: skip
    """Make a trace of the memory accesses of a real program.

    RECORDING is what valgrind's lackey writes with --trace-mem=yes, or lines
    address,size,kind with the kinds load, store, modify and code.
    """
    made = read_recording(file, pages, every, ops)
    if output is None:
        path = _corpus(folder).add(made.trace, file.stem)
    else:
        path = output
        _replace(path, trace_to_text(made.trace))
    emit(ImportView(made, path), format)
    return ExitCode.OK


def _replace(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise UsageError(f"{path}: it cannot be written: {error.strerror}") from None
