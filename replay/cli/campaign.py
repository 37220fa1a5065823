"""``replay campaign``: many traces over all steps and lanes, resumable, here or on a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from replay.base.pool import default_jobs
from replay.build.cache import cache_folder
from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.campaign.drive import Drive, Limits
from replay.campaign.state import State, kind_of, read_sums
from replay.cli.campaigns import (
    cluster_option,
    resume_option,
    show,
    state_option,
    stopping,
    until_option,
    workers_of,
)
from replay.cli.check import build
from replay.cli.common import (
    ExitCode,
    Seconds,
    budget_option,
    emit,
    examples,
    format_option,
    jobs_option,
    ops_option,
    seed_option,
    traces_option,
)
from replay.cli.progress import progress_bar
from replay.cli.steps import judged, steps_option
from replay.cli.subjects import copies_option, insist_on_use
from replay.cli.traces import corpus_option
from replay.dirty.campaign.corpus import Corpus, default_folder
from replay.dirty.campaign.first import run_corpus
from replay.dirty.campaign.sums import StepSums
from replay.dirty.campaign.verdicts import Outcome, keep_rare, outcome, with_examples
from replay.dirty.campaign.work import LANES, Asked, Lanes, made_of
from replay.dirty.native.model import libraries_of
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError
from replay.repo.campaigning.sums import PairSums
from replay.report.campaigning import CampaignView, PairsView

BUDGET = 400
RAREST = 10
"""Traces that one run of a campaign keeps for rare paths."""


def _state(given: Path | None) -> Path:
    return given or cache_folder() / "campaign.sqlite"


def _lanes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    lanes = tuple(part.strip() for part in value.split(","))
    for lane in lanes:
        if lane not in LANES:
            raise click.BadParameter(f"{lane!r} is no lane; lanes are {', '.join(LANES)}")
    return tuple(lane for lane in LANES if lane in lanes)


STATE = "The state of the campaign; beside the cache by default."


@click.group(
    "campaign",
    invoke_without_command=True,
    epilog=examples(
        "replay campaign --for 10m                ten minutes, all lanes that can run",
        "replay campaign --resume --for 1h        and an hour more",
        "replay campaign status                   how far it is, also while it runs",
        "replay campaign --traces 5000 --lanes python --state models.sqlite",
        "replay campaign --cluster tcp://10.0.0.5:8786 --for 8h",
        "replay campaign --resume --state FILE     also what verify --state began",
    ),
)
@click.option("--for", "seconds", type=Seconds(), metavar="TIME",
              help="Run so long: 10m, 8h; builds, and what ends it, come on top.")  # fmt: skip
@traces_option(None, "Run until so many traces are done.", most=None, shown=False)
@until_option("End at the first undeclared difference; so it is without --for and --traces.")
@resume_option
@state_option(STATE)
@steps_option()
@ops_option(SUBJECT.language.ops, shown="50")
@seed_option
@click.option(
    "--lanes", callback=_lanes, metavar="LANES",
    help="Some of python,native,both; by default all, or python without a compiler.",
)  # fmt: skip
@click.option("--compiler", metavar="CC", help="The C compiler; cc by default.")
@copies_option
@jobs_option(default_jobs)
@cluster_option
@corpus_option
@budget_option(BUDGET)
@format_option
@click.pass_context
def command(ctx: click.Context, /, format: str, **options: Any) -> int:
    """Run many traces over all steps and lanes, and keep what is worth keeping.

    The traces of `replay check` with the same seed are among them; others are steered to
    paths that are seldom taken. Traces of the corpus are run first. What is done stands in
    the state: a campaign that is stopped, or killed, goes on by --resume. The verdicts are
    the same for any number of processes. --resume and status take a state of
    `replay verify --state`, too.
    """
    if ctx.invoked_subcommand is not None:
        return ExitCode.OK
    given = {name for name in options if ctx.get_parameter_source(name) not in (
        click.core.ParameterSource.DEFAULT, None)}  # fmt: skip
    path = _state(options["path"])
    limits = Limits.of(options["traces"], options["seconds"], options["until_difference"])
    if options["resume"] and path.is_file() and kind_of(path) == PairSums.kind:
        from replay.cli.commits import resumed  # with all that judges commits

        return resumed(path, limits, given, format, options)
    with _opened(path, options, given) as state:
        corpus = _corpus(state, options["folder"])
        asked = _built(state.sums.asked, options["jobs"])
        with stopping(lambda: state):
            kept = _run(state, asked, corpus, limits, options)
            found = _kept(state, asked, corpus, kept, options["budget"])
        emit(CampaignView(found, path, corpus.folder), format)
    return _code(found)


def _code(found: Outcome) -> ExitCode:
    if found.differences:
        return ExitCode.DIFFERENCE
    return ExitCode.NOT_DECIDED if found.undecided or not found.lanes else ExitCode.OK


@command.command(
    "status", epilog=examples("replay campaign status", "replay campaign status --json")
)
@state_option(STATE)
@click.option("--missed", is_flag=True, help="List the paths that were not reached.")
@format_option
def status(path: Path | None, missed: bool, format: str) -> int:
    """Tell how far a campaign is: traces, operations a second, paths, differences."""
    path = _state(path)
    sums = read_sums(path, (StepSums, PairSums))
    if isinstance(sums, PairSums):
        emit(PairsView(sums, path), format)
        return ExitCode.OK
    assert isinstance(sums, StepSums)
    found = outcome(sums)
    emit(CampaignView(found, path, Path(found.sums.folder), missed=missed), format)
    return ExitCode.OK


# --- the steps of a run -----------------------------------------------------------------------


def _opened(path: Path, options: dict[str, Any], given: set[str]) -> State[StepSums]:
    """The state: a new one, or the one that is there, if it asks the same."""
    if not options["resume"]:
        asked = Asked(
            options["seed"], options["ops"], judged(options["steps"]),
            options["lanes"] or _possible(options["compiler"]),
            tuple((step, str(Path(file).resolve())) for step, file in options["copies"]),
            options["compiler"],
        )  # fmt: skip
        insist_on_use(asked.copies, asked.plan().needed, "--steps")
        asked.plan().machines()  # an error in a copy shows here, not in a worker
        folder = (options["folder"] or default_folder()).resolve()
        return State.create(path, StepSums(asked, made_of(asked), folder=str(folder)))
    state = State.resume(path, StepSums)
    try:
        asked = state.sums.asked
        for name in ("seed", "ops", "steps", "lanes", "copies", "compiler"):
            wanted = getattr(asked, name)
            if name in given and tuple(_plain(options[name])) != tuple(_plain(wanted)):
                raise UsageError(
                    f"{path}: this campaign has another --{name}; leave it out with --resume, or "
                    "start a new campaign with --state"
                )
        if made_of(asked) != state.sums.made:
            raise UsageError(
                f"{path}: the models, the series or the language of traces have changed since "
                "this campaign began; start a new one with --state"
            )
    except BaseException:
        state.close()
        raise
    return state


def _corpus(state: State[StepSums], given: Path | None) -> Corpus:
    """The corpus: the folder that is given now, else the one that was given at first."""
    sums = state.sums
    sums.folder = str(given.resolve()) if given else sums.folder or str(default_folder().resolve())
    return Corpus(Path(sums.folder))


def _plain(value: Any) -> tuple[Any, ...]:
    return tuple(v for v in value if v != 0) if isinstance(value, tuple) else (value,)


def _possible(compiler: str | None) -> tuple[str, ...]:
    try:
        find_compiler(compiler)
    except BuildError:
        if compiler is not None:
            raise
        return ("python",)
    return LANES


def _built(asked: Asked, jobs: int) -> Asked:
    if set(asked.lanes) <= {"python"}:
        return asked
    outcomes = build(jobs, False, asked.compiler, steps=asked.plan().needed)
    return replace(asked, libraries=libraries_of(outcomes))


def _run(
    state: State[StepSums], asked: Asked, corpus: Corpus, limits: Limits, options: dict[str, Any]
) -> Any:
    """Run the corpus and then the campaign, with a bar; gives the traces of the corpus."""
    state.begin()
    with progress_bar("running") as bar:
        kept = run_corpus(
            state, asked, corpus, lambda done, of: bar.show(done, of, f"corpus {done}")
        )
        lanes = Lanes(asked, state.sums.made)
        with workers_of(options["cluster"], options["jobs"]) as workers:
            Drive(state, lanes, workers, limits, lambda news: show(bar, news, limits)).run()
    return kept


def _kept(state: State[StepSums], asked: Asked, corpus: Corpus, kept: Any, budget: int) -> Outcome:
    """What it has come to, with examples; these and rare traces are put into the corpus."""
    found = outcome(state.sums)
    with progress_bar("making examples small") as bar:
        for one in with_examples(found, asked, corpus, kept, budget):
            bar.show(0, 0, f"step {one.step}: {one.failure.what}")
        keep_rare(state.sums, found, corpus, min(budget, 150), RAREST)
    state.commit()
    return found
