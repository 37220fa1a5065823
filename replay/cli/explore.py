"""``replay explore``: every operation from every state of a small machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from replay.base.atomic import replace_file
from replay.base.pool import default_jobs
from replay.cli.common import STEPS, ExitCode, emit, examples, format_option, jobs_option
from replay.cli.progress import progress_bar
from replay.cli.subjects import copies_option, last_step, only_built_in, the_subject
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.concolic.proof import Proved, proved
from replay.dirty.explore.search import (
    MEMORY,
    Counted,
    PairResult,
    Request,
    Verdict,
    counted,
    explored,
)
from replay.dirty.language.files import trace_to_text
from replay.dirty.language.trace import WORD_SIZES
from replay.report.exploring import ExploreView
from replay.report.exploringc import ExploreCView

MOST_PAGES: Final = 6


def _blocks(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    """``2+1``, or ``any``, as the pages of blocks."""
    if value is None or value == "any":
        return ()
    if not re.fullmatch(r"[1-9](\+[1-9])*", value):
        raise click.BadParameter("give the pages of each block, as 3 or 2+1, or any")
    return tuple(int(pages) for pages in value.split("+"))


@click.command(
    "explore",
    epilog=examples(
        "replay explore                           all steps, blocks come and go",
        "replay explore --steps 27-30 --blocks 3  one block of three pages",
        "replay explore --hpratio 2 --no-tcg",
        "replay explore --model 26=mine.py --states",
        "replay explore --c --pages 1             the C of each step against its model",
    ),
)
@click.option(
    "--steps", type=STEPS, default="1-", show_default=True, metavar="STEPS",
    help="The steps to judge, each against the one before.",
)  # fmt: skip
@click.option(
    "--pages", type=click.IntRange(1, MOST_PAGES), metavar="N",
    help="How many pages of RAM there may be; 2 by default.",
)  # fmt: skip
@click.option(
    "--blocks", callback=_blocks, metavar="PAGES+...",
    help="Have these blocks, as 3 or 2+1, and no others; by default any come and go.",
)  # fmt: skip
@click.option(
    "--word-bits", type=click.Choice([str(n) for n in WORD_SIZES if n <= 8]), default="2",
    show_default=True, help="Bits of a machine word: word edges come close together.",
)  # fmt: skip
@click.option(
    "--hpratio", type=click.Choice(("1", "2", "4")), default="1", show_default=True,
    help="Target pages that a bit of the kernel's log covers.",
)  # fmt: skip
@click.option("--tcg/--no-tcg", default=True, show_default=True, help="Does a reset re-arm?")
@click.option(
    "--c", "of_c", is_flag=True,
    help="Hold the compiled C of each step, by default from 0 on, against its model instead.",
)  # fmt: skip
@click.option("--states", is_flag=True, help="Count the states that each step reaches, too.")
@jobs_option(default_jobs)
@click.option(
    "--memory", type=click.IntRange(16), default=MEMORY >> 20, show_default=True, metavar="MIB",
    help="What a search for states may take; it ends with a partial result.",
)  # fmt: skip
@click.option(
    "--no-share", "share", flag_value=False, default=True,
    help="Execute also what two steps execute by the same code.",
)  # fmt: skip
@click.option(
    "--save", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Save the shortest traces there.",
)  # fmt: skip
@click.option("--brief", is_flag=True, help="Only the steps that differ or are not decided.")
@copies_option
@format_option
def command(
    brief: bool, format: str, states: bool, of_c: bool, save: Path | None, **options: Any
) -> int:  # fmt: skip
    """Prove each step the same as the one before, on a small machine.

    Both steps execute every operation, with all arguments of a finite alphabet, from every
    state that there is: a bit of the state gets a value only where the code asks for it, and
    the operation is executed once for each way through it. Where two steps part and no law
    explains it, a search finds out whether such a state can be reached, and by which
    shortest trace. So a step is proved the same, or to deviate as declared, for traces of
    every length at this scope; what could not be searched to its end is not decided.

    With --c the same is done with the C of a step: a piece of its memory gets a value when
    it is loaded. What it leaves behind must be what its model does. A difference counts when
    the step's own library shows it on a trace.
    """
    only_built_in("explore")
    if of_c:
        if states or not options["share"]:
            raise click.UsageError("--c goes with neither --states nor --no-share")
        return _of_c(brief, format, save, **options)
    request, steps = _request(**options)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)  # before the work, which would be lost
    results: list[PairResult] = []
    with progress_bar("comparing") as bar:
        done = lambda count, text: bar.show(count, len(steps), text)  # noqa: E731
        results += explored(request, steps, progress=done)
        counts: list[Counted] = []
        if states:
            told = lambda depth, met: bar.show(0, 0, f"{met} states, {depth} deep")  # noqa: E731
            counts += counted(request, results, progress=told)
    view = ExploreView(request.scope, results, counts, _saved(results, save), brief)
    emit(view, format)
    if any(one.verdict is Verdict.DIFFERENT for one in results):
        return ExitCode.DIFFERENCE
    decided = view.passed and all(count.fixpoint for count in counts)
    return ExitCode.OK if decided else ExitCode.NOT_DECIDED


def _of_c(brief: bool, format: str, save: Path | None, **options: Any) -> int:
    """Hold C against models."""
    source = click.get_current_context().get_parameter_source("steps")
    if source is ParameterSource.DEFAULT:
        options["steps"] = (0, *options["steps"])
    request, steps = _request(**options, first=0)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    results: list[Proved] = []
    with progress_bar("executing models") as bar:
        results += proved(request, steps, progress=bar.show)
    view = ExploreCView(request.scope, results, _saved(results, save), brief)
    emit(view, format)
    if any(one.verdict is Verdict.DIFFERENT for one in results):
        return ExitCode.DIFFERENCE
    return ExitCode.OK if view.passed else ExitCode.NOT_DECIDED


def _request(
    steps: tuple[int, ...], pages: int | None, blocks: tuple[int, ...], word_bits: str,
    hpratio: str, tcg: bool, jobs: int, memory: int, share: bool,
    copies: tuple[tuple[int, str], ...], first: int = 1,
) -> tuple[Request, list[int]]:  # fmt: skip
    """What these options ask for.

    Raises:
        click.UsageError: they do not go together.

    """
    judged = [step for step in steps if step >= first]
    if not judged:
        raise click.UsageError(
            f"step 0 has no step before it; --steps takes steps from 1 to {last_step()}"
        )
    total = sum(blocks)
    if blocks and pages is not None and pages != total:
        raise click.UsageError(f"--blocks has {total} pages, --pages says {pages}; give one")
    if total > MOST_PAGES:
        raise click.UsageError(f"--blocks has {total} pages; at most {MOST_PAGES} are searched")
    scope = Scope(total or pages or 2, int(word_bits), int(hpratio), tcg, blocks)
    return Request(the_subject(), scope, copies, jobs, memory << 20, share), judged


def _saved(
    results: Sequence[PairResult | Proved], folder: Path | None
) -> dict[tuple[int, str], Path]:
    """Save the shortest traces, where a folder was asked for."""
    saved = {}
    for result in results if folder else ():
        for one in result.shortest:
            assert folder is not None
            name = f"{result.step:02}-{one.shows or 'difference'}"
            path = folder / f"{name}.jsonl"
            replace_file(path, trace_to_text(one.trace.renamed(name)).encode())
            saved[result.step, one.shows] = path
    return saved
