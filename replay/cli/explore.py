"""``replay explore``: every operation from every state of a small machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from replay.base.atomic import replace_file
from replay.base.jsonlines import nearest
from replay.base.pool import default_jobs
from replay.cli.common import (
    ExitCode,
    Seconds,
    emit,
    examples,
    format_option,
    jobs_option,
)
from replay.cli.progress import progress_bar
from replay.cli.steps import judged, steps_option
from replay.cli.subjects import copies_option, insist_on_use, only_built_in, the_subject
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.concolic.proof import Proved, proved
from replay.dirty.explore.halting import halting
from replay.dirty.explore.held import PropertyResult, declared_broken, held
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
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import WORD_SIZES, Trace
from replay.dirty.rules.properties import MONITORS
from replay.report.exploring import ExploreView
from replay.report.exploringc import ExploreCView
from replay.report.holding import HoldingView
from replay.series.names import before

MOST_PAGES: Final = 6


def _blocks(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    """``2+1``, or ``any``, as the pages of blocks."""
    if value is None or value == "any":
        return ()
    if not re.fullmatch(r"[1-9](\+[1-9])*", value):
        raise click.BadParameter("give the pages of each block, as 3 or 2+1, or any")
    return tuple(int(pages) for pages in value.split("+"))


def _without(ctx: click.Context, param: click.Parameter, value: str | None) -> frozenset[str]:
    """Names of operations, with commas between them."""
    names = frozenset(name.strip() for name in (value or "").split(",") if name.strip())
    for name in sorted(names - set(OPS)):
        raise click.BadParameter(f"there is no operation {name}{nearest(name, OPS)}")
    return names


def _properties(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of properties that can be followed, in the order of the series; ``all`` of them."""
    for name in value:
        if name not in MONITORS and name != "all":
            raise click.BadParameter(f"{name} cannot be asked of states{nearest(name, MONITORS)}")
    return tuple(name for name in MONITORS if name in value or "all" in value)


@click.command(
    "explore",
    epilog=examples(
        "replay explore                           all steps, blocks come and go",
        "replay explore --steps 27-30 --blocks 3  one block of three pages",
        "replay explore --hpratio 2 --no-tcg",
        "replay explore --model 26=mine.py --states",
        "replay explore --property no-lost-store  which steps keep it",
        "replay explore --c --pages 1             each C against its model",
        "replay explore --states --for 1h --state kept  and again: it goes on",
    ),
)
@steps_option("The steps to judge: each against the one before, or asked about a property.", "0-")
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
    "--aligned", is_flag=True, help="Only ranges of whole pages.",
)  # fmt: skip
@click.option(
    "--without", callback=_without, metavar="OP,...", help="Leave these operations out.",
)  # fmt: skip
@click.option(
    "--property", "names", multiple=True, metavar="NAME", callback=_properties,
    help="Ask whether each step keeps this property, or all; repeatable.",
)  # fmt: skip
@click.option(
    "--c", "of_c", is_flag=True,
    help="Hold the compiled C of each step against its model instead.",
)  # fmt: skip
@click.option("--states", is_flag=True, help="Count the states that each step reaches, too.")
@jobs_option(default_jobs)
@click.option(
    "--memory", type=click.IntRange(16), default=MEMORY >> 20, show_default=True, metavar="MIB",
    help="What a search for states may take; it ends with a partial result.",
)  # fmt: skip
@click.option(
    "--for", "seconds", type=Seconds(), metavar="TIME",
    help="End after so long, 90s or 10m; what was not searched by then is not decided.",
)  # fmt: skip
@click.option(
    "--state", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Keep the searches of --property or --states there; the same command goes on with them.",
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
    brief: bool, format: str, states: bool, save: Path | None, names: tuple[str, ...],
    of_c: bool, steps: tuple[int, ...], seconds: float | None, state: Path | None,
    **options: Any,
) -> int:  # fmt: skip
    """Prove each step the same as the one before, on a small machine.

    Both steps execute every operation, with all arguments of a finite alphabet, from every
    state that there is: a bit of the state gets a value only where the code asks for it, and
    the operation is executed once for each way through it. Where two steps part and no law
    explains it, a search finds out whether such a state can be reached, and by which
    shortest trace. So a step is proved the same, or to deviate as declared, for traces of
    every length at this scope; what could not be searched to its end is not decided.

    With --property each step, from 0 on, is asked whether it keeps the property instead.

    With --c the same is done with the C of a step: a piece of its memory gets each value
    that it can have when it is loaded. What it leaves behind must be what its model does. A
    difference counts when the step's own library shows it on a trace.

    Ctrl-C ends all searches, and shows what they have so far; a second one shows nothing.
    """
    only_built_in("explore")
    request = _request(**options)
    _insist(request, steps, names, of_c, states, state)
    for folder in (save, state):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)  # before the work, which would be lost
    with halting(seconds) as halt:
        request = replace(request, stop=halt, state=state)
        if of_c:
            code = _of_c(request, steps, brief, format, save)
        elif names:
            code = _ask(request, steps, names, save, brief, format)
        else:
            code = _compare(request, judged(steps), states, save, brief, format)
        return ExitCode.INTERRUPTED if halt.stopped else code


def _insist(
    request: Request, steps: Sequence[int], names: tuple[str, ...], of_c: bool, states: bool,
    state: Path | None,
) -> None:  # fmt: skip
    """See that the options go together.

    Raises:
        click.UsageError: they do not.

    """
    others = () if of_c or names else map(before, judged(steps))
    insist_on_use(request.copies, {*steps, *others}, "--steps")
    if of_c and (names or states or not request.share):
        raise click.UsageError("--c goes with none of --property, --states and --no-share")
    if names and states:
        raise click.UsageError("--states counts what pairs of steps reach; --property its own")
    if state is not None and not names and not states:
        raise click.UsageError("--state keeps searches of --property or --states; give one of them")


def _ask(
    request: Request, steps: Sequence[int], names: tuple[str, ...], save: Path | None,
    brief: bool, format: str,
) -> int:  # fmt: skip
    """Ask properties of steps."""
    results: list[PropertyResult] = []
    with progress_bar("asking properties") as bar:
        total = len(steps) * len(names)
        results += held(request, steps, names, lambda done, text: bar.show(done, total, text))
    series = request.subject.series
    declared = {
        (one.name, one.step): declared_broken(series, one.name, one.step) for one in results
    }
    saved = {}
    for one in results if save else ():
        if one.trace is not None:
            saved[one.name, one.step] = _write(save, f"{one.step:02}-{one.name}", one.trace)
    view = HoldingView(request.scope, results, declared, saved, brief)
    emit(view, format)
    if any(map(view.unsaid, results)):
        return ExitCode.DIFFERENCE
    return ExitCode.OK if view.passed else ExitCode.NOT_DECIDED


def _compare(
    request: Request, steps: Sequence[int], states: bool, save: Path | None,
    brief: bool, format: str,
) -> int:  # fmt: skip
    """Compare neighbours."""
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


def _of_c(
    request: Request, steps: Sequence[int], brief: bool, format: str, save: Path | None
) -> int:
    """Hold C against models."""
    results: list[Proved] = []
    with progress_bar("executing models") as bar:
        results += proved(request, steps, progress=bar.show)
    view = ExploreCView(request.scope, results, _saved(results, save), brief)
    emit(view, format)
    if any(one.verdict is Verdict.DIFFERENT for one in results):
        return ExitCode.DIFFERENCE
    return ExitCode.OK if view.passed else ExitCode.NOT_DECIDED


def _request(
    pages: int | None, blocks: tuple[int, ...], word_bits: str, hpratio: str, tcg: bool,
    aligned: bool, without: frozenset[str], jobs: int, memory: int, share: bool,
    copies: tuple[tuple[int, str], ...],
) -> Request:  # fmt: skip
    """What these options ask for.

    Raises:
        click.UsageError: they do not go together.

    """
    total = sum(blocks)
    if blocks and pages is not None and pages != total:
        raise click.UsageError(f"--blocks has {total} pages, --pages says {pages}; give one")
    if total > MOST_PAGES:
        raise click.UsageError(f"--blocks has {total} pages; at most {MOST_PAGES} are searched")
    if not blocks and "ram_alloc" in without:
        raise click.UsageError("without ram_alloc there is no RAM: give --blocks")
    scope = Scope(total or pages or 2, int(word_bits), int(hpratio), tcg, blocks, aligned, without)
    return Request(the_subject(), scope, copies, jobs, memory << 20, share)


def _saved(
    results: Sequence[PairResult | Proved], folder: Path | None
) -> dict[tuple[int, str], Path]:
    """Save the shortest traces, where a folder was asked for."""
    return {
        (result.step, one.shows): _write(
            folder, f"{result.step:02}-{one.shows or 'difference'}", one.trace
        )
        for result in results if folder for one in result.shortest
    }  # fmt: skip


def _write(folder: Path | None, name: str, trace: Trace) -> Path:
    """Save a trace; where."""
    assert folder is not None
    path = folder / f"{name}.jsonl"
    replace_file(path, trace_to_text(trace.renamed(name)).encode())
    return path
