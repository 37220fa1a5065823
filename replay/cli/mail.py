"""``replay mail``: patches as they come by mail."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from replay.base.atomic import replace_file
from replay.base.pool import default_jobs
from replay.cli.calling import binding_option, call_timeout_option, timeout_option
from replay.cli.common import (
    ExitCode,
    emit,
    examples,
    format_option,
    jobs_option,
    seed_option,
    traces_option,
)
from replay.cli.progress import progress_bar
from replay.dirty.language.files import read_trace
from replay.dirty.language.language import BUDGET
from replay.errors import UsageError
from replay.git.apply import File
from replay.git.folders import read_tree
from replay.mail.behaviour import UNJUDGED, StepBehaviour, compare_behaviour
from replay.mail.comparing import Status, compare_covers, compare_series
from replay.mail.reading import MailSeries, list_series, read_series
from replay.repo.language import BUDGET as CALL_BUDGET
from replay.report.mailing import MailView, SavedExample, VersionsView

_PATH = click.Path(path_type=Path)


@click.group(
    "mail",
    epilog=examples(
        "replay mail show series.mbox",
        "replay mail compare v1.mbox v2.mbox          which patches changed, and how",
    ),
)
def command() -> None:
    """Read patches as they come by mail: a mailbox, or a folder of patch files.

    Patches are data: nothing is written, and nothing of them is executed, unless you ask
    compare to build and run what they make.
    """


@command.command(
    "show",
    epilog=examples("replay mail show series.mbox", "replay mail show outgoing/ --version 2"),
)
@click.argument("mailbox", type=_PATH)
@click.option(
    "--version", type=click.IntRange(1, 999), metavar="N",
    help="The version to show; by default the latest.",
)  # fmt: skip
@click.option(
    "--series", "place", type=click.IntRange(1, 99_999), metavar="N",
    help="Which series of several, as 'replay mail list' counts; by default the largest.",
)  # fmt: skip
@format_option
def show(mailbox: Path, version: int | None, place: int | None, format: str) -> int:
    """Show the series in MAILBOX: its cover letter and its patches in order.

    Replies are left out. Patches that are missing are named, and are a difference for
    the exit code. What git would refuse, or apply elsewhere, is told with its place.
    """
    series = read_series(mailbox, version, place)
    emit(MailView(series), format)
    return ExitCode.DIFFERENCE if series.missing else ExitCode.OK


@command.command("list", epilog=examples("replay mail list inbox.mbox"))
@click.argument("mailbox", type=_PATH)
@format_option
def list_(mailbox: Path, format: str) -> int:
    """List the series in MAILBOX, each with its versions: who, when, and what is missing.

    Mails belong together by their threads, else by their subjects. The exit code is 1
    where patches are missing.
    """
    listed = list_series(mailbox)
    emit(listed, format)
    missing = any(version.missing for versions in listed.series for version in versions)
    return ExitCode.DIFFERENCE if missing else ExitCode.OK


@command.command(
    "compare",
    epilog=examples(
        "replay mail compare v1.mbox v2.mbox",
        "replay mail compare v1/ v2/ --brief",
        "replay mail compare v1.mbox v2.mbox --tree src   do the trees differ, too?",
        "replay mail compare v1.mbox v2.mbox --tree series/tree --run",
        "replay mail compare v1.mbox v2.mbox --tree src --build make \\",
        "    --library libring.so --binding binding.toml",
    ),
)
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option(
    "--tree", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Apply both in memory to the files in DIR, and tell after which patches they differ.",
)  # fmt: skip
@click.option(
    "--run", is_flag=True,
    help="DIR is a tree like the built-in series/tree: compile what differs, and EXECUTE it.",
)  # fmt: skip
@click.option(
    "--build", metavar="CMD",
    help="DIR is any project: builds its library, at the top of a copy. The shell EXECUTES it.",
)  # fmt: skip
@click.option(
    "--library", metavar="PATH",
    help="The shared library that the build makes, relative to DIR. It is EXECUTED.",
)  # fmt: skip
@binding_option
@traces_option(200, most=1_000_000)
@click.option(
    "--ops", type=click.IntRange(1, 10_000), metavar="N",
    help="Operations a trace; by default 50, calls 40.",
)  # fmt: skip
@seed_option
@jobs_option(default_jobs)
@click.option(
    "--budget", type=click.IntRange(0), metavar="N",
    help=f"Candidates tried to shorten each example; by default {BUDGET}, for calls "
    f"{CALL_BUDGET}; 0 leaves them as found.",
)  # fmt: skip
@timeout_option
@call_timeout_option
@click.option(
    "--trace", type=_PATH, metavar="FILE", help="Run only this trace, as --save has saved it.",
)  # fmt: skip
@click.option(
    "--save", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Save the traces that show a difference there.",
)  # fmt: skip
@click.option("--brief", is_flag=True, help="Only a line a patch, and one on what it does.")
@format_option
def compare(old: Path, new: Path, brief: bool, format: str, **options: Any) -> int:
    """Compare two versions of a series: which patches changed, are new, gone or moved.

    Where both are in one mailbox, give it twice: the two latest versions are taken.

    With --run or --build, the trees after each patch of both are built where they
    differ, and random traces run on the two. For each patch: the same tree, the same
    code, no difference found, or another behaviour, with the shortest trace that shows
    it. A difference is told at the patch with which it begins. The exit code is 1 when
    a text or a behaviour differs, or could not be compared.
    """
    asked = Asked(**options)
    _check(asked)
    after = read_series(new)
    before = read_series(old, after.version - 1 if old == new and after.version > 1 else None)
    rows = compare_series(before, after)
    steps = _behaviour(before, after, asked) if asked.tree is not None else []
    saved = _save(steps, asked, (old, new))
    names = (f"v{before.version}", f"v{after.version}")
    names = names if before.version != after.version else ("old", "new")
    cover = compare_covers(before, after)
    emit(VersionsView(rows, steps, names, saved, brief, cover), format)
    same = all(row.status is Status.SAME and not row.moved for row in rows)
    same = same and (cover is None or cover[0] is Status.SAME)
    if asked.executes:
        if same and any(_open(step) for step in steps):
            decided = [step for step in steps if not _open(step)]
            same = all(step.is_same for step in decided)
            return ExitCode.NOT_DECIDED if same else ExitCode.DIFFERENCE
        same = same and all(step.is_same for step in steps)
    return ExitCode.OK if same else ExitCode.DIFFERENCE


def _open(step: StepBehaviour) -> bool:
    """Whether it is not known what a patch does: it was not built, or cannot be judged."""
    return step.ruling is not None and step.ruling.likeness in UNJUDGED


@dataclass(frozen=True, slots=True)
class Asked:
    """The options about trees and behaviour, as given."""

    tree: Path | None
    run: bool
    build: str | None
    library: str | None
    binding: Path | None
    traces: int
    ops: int | None
    seed: int
    jobs: int
    budget: int | None
    timeout: float
    call_timeout: float
    trace: Path | None
    save: Path | None

    @property
    def executes(self) -> bool:
        """Whether the user wants code to be built and run."""
        return self.run or self.build is not None


_OF_BUILD: Final = ("library", "binding", "timeout", "call_timeout")
_OF_BOTH: Final = ("traces", "ops", "seed", "jobs", "budget", "trace", "save")


def _check(asked: Asked) -> None:
    """See that the options go together.

    Raises:
        UsageError: they do not.

    """
    ctx = click.get_current_context()

    def given(*names: str) -> list[str]:
        source = click.core.ParameterSource.COMMANDLINE
        set_ones = [name for name in names if ctx.get_parameter_source(name) is source]
        return [f"--{name.replace('_', '-')}" for name in set_ones]

    if asked.run and asked.build is not None:
        raise click.UsageError("--run is for a tree of the built-in kind, --build for any other")
    if asked.build is None and (lone := given(*_OF_BUILD)):
        raise click.UsageError(f"{lone[0]} goes with --build CMD")
    if not asked.executes and (lone := given(*_OF_BOTH)):
        raise click.UsageError(f"{lone[0]} is about running traces: add --run, or --build CMD")
    if asked.executes and asked.tree is None:
        raise click.UsageError("add --tree DIR, the files that both series start from")
    if asked.build is not None and asked.library is None:
        raise click.UsageError("add --library PATH, the file that the build makes")
    if asked.tree is not None and not asked.tree.is_dir():
        raise UsageError(f"{asked.tree}: no such folder; --tree names what both series start from")


def _behaviour(before: MailSeries, after: MailSeries, asked: Asked) -> list[StepBehaviour]:
    """Apply both series, and build and run their trees where that is asked."""
    assert asked.tree is not None
    base = read_tree(asked.tree, checkout=True)
    if asked.run:
        # The built-in tree has no executables; permissions may be lost by installing it.
        base = {path: File(file.data) for path, file in base.items()}
    if not asked.executes:
        return compare_behaviour(before, after, base)
    # What executes code is loaded only where that is asked.
    from replay.dirty.mailed import DriverJudge, check_tree
    from replay.dirty.native.pairs import Traces
    from replay.mail.calling import Request, calling, check_clean

    with progress_bar("comparing") as bar:
        if asked.build is None:
            check_tree(base, asked.tree)
            trace = read_trace(asked.trace) if asked.trace else None
            traces = Traces(asked.seed, asked.traces, asked.ops or 50, trace)
            budget = BUDGET if asked.budget is None else asked.budget
            judge = DriverJudge(traces, budget, asked.jobs, bar.show)
            return compare_behaviour(before, after, base, judge)
        check_clean(base, asked.tree)
        request = Request(
            asked.build, asked.library or "", asked.binding, asked.traces, asked.ops or 40,
            asked.seed, asked.jobs, CALL_BUDGET if asked.budget is None else asked.budget,
            asked.timeout, asked.call_timeout, asked.trace,
        )  # fmt: skip
        with calling(request, bar.show) as caller:
            return compare_behaviour(before, after, base, caller)


def _save(
    steps: Sequence[StepBehaviour], asked: Asked, paths: tuple[Path, Path]
) -> list[SavedExample]:
    """Save the examples; gives where, and the command that runs each again."""
    saved = []
    for step in steps if asked.save is not None else ():
        if step.example is None:
            continue
        assert asked.save is not None
        path = asked.save / f"patch-{step.new_place}-difference.jsonl"
        try:
            asked.save.mkdir(parents=True, exist_ok=True)
            replace_file(path.resolve(), step.example.file.encode())
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be written ({error.strerror}); name another folder with --save"
            ) from None
        words = ["replay", "mail", "compare", *map(str, paths), "--tree", str(asked.tree)]
        if asked.build is None:
            words.append("--run")
        else:
            words += ["--build", asked.build, "--library", str(asked.library)]
            words += ["--binding", str(asked.binding)] if asked.binding else []
        saved.append(SavedExample(str(path), shlex.join([*words, "--trace", str(path)])))
    return saved
