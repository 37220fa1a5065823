"""What ``replay verify`` tells of commits and saves; and its campaigns, which last."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replay.campaign.drive import Limits
from replay.campaign.state import insist_on_none, insist_on_one, read_sums
from replay.cli.campaigns import show, stopping, workers_of
from replay.cli.common import ExitCode, emit
from replay.cli.progress import progress_bar
from replay.errors import UsageError
from replay.repo.calls import to_text
from replay.repo.campaigning.asked import first_round, request_of, request_values
from replay.repo.campaigning.lasting import Lasting
from replay.repo.campaigning.sums import PairSums
from replay.repo.git import find
from replay.repo.opening import CALL_LIMIT, Request
from replay.repo.results import Counterexample, Report
from replay.repo.searching import Search
from replay.repo.verify import verify
from replay.report.campaigning import LastingView
from replay.report.commits import Commands, CommitsView
from replay.report.expecting import draft, write_draft


@dataclass(frozen=True, slots=True)
class Telling:
    """How what was found is told.

    Attributes:
        format: of the report.
        save: the folder of the examples; None for the usual one.
        drafting: a file in which to declare what is found.

    """

    format: str
    save: Path | None = None
    drafting: Path | None = None

    def tell(self, searched: Search, request: Request, bisect: bool = False) -> ExitCode:
        """Save the examples, print the report, and give the exit code."""
        saved = self.saved(searched.report, request, bisect)
        emit(CommitsView(searched, saved, bisect), self.format)
        return code(searched.report)

    def saved(self, report: Report, request: Request, bisect: bool = False) -> Commands:
        """Save the examples and the draft; gives where, and the commands that run them again."""
        found = save(report, request, self.save, bisect)
        if self.drafting is not None:
            write_draft(self.drafting, draft(report))
        return found


@dataclass(frozen=True, slots=True)
class Running:
    """How a campaign is run.

    Attributes:
        path: of its state, and ``resume``: whether it is there.
        limits: when it ends.
        jobs: processes, where there is no ``cluster``.
        cluster: the address of a scheduler.

    """

    path: Path
    resume: bool
    limits: Limits
    jobs: int
    cluster: str | None = None


def resumed(
    path: Path, limits: Limits, given: set[str], format: str, options: Mapping[str, Any]
) -> ExitCode:
    """Go on with a campaign on commits, of which the state knows all that is asked.

    Args:
        path: of the state.
        limits: when it ends.
        given: the names of the options that were given.
        format: of the report.
        options: of ``replay campaign``.

    Raises:
        UsageError: one of the options goes with a campaign on the steps.

    """
    sums = read_sums(path, (PairSums,))
    assert isinstance(sums, PairSums)
    for name in ("steps", "lanes", "copies", "compiler", "folder"):
        if name in given:
            word = {"copies": "model", "folder": "corpus"}.get(name, name)
            raise UsageError(
                f"{path}: this campaign is on commits, and --{word} goes with the steps: leave it "
                "out"
            )
    request = request_of(sums.asked["request"], options["jobs"])
    for name in ("seed", "ops", "budget"):
        if name in given and options[name] != getattr(request, name):
            raise _other(path, name)
    running = Running(path, True, limits, options["jobs"], options["cluster"])
    saves = sums.asked["save"]
    return campaign(request, running, Telling(format, None if saves is None else Path(saves)))


def begun(
    request: Request, telling: Telling, running: Running
) -> ExitCode:  # fmt: skip
    """Run a campaign as ``replay verify`` asks for it: a new one, or one that is there.

    Raises:
        UsageError: the one that is there asks something else.

    """
    asked = replace(request, traces=first_round(running.limits.traces), seconds=None)
    if running.resume:
        insist_on_one(running.path)
        sums = read_sums(running.path, (PairSums,))
        assert isinstance(sums, PairSums)
        known: dict[str, Any] = sums.asked["request"]
        # The first round is as it was; how it goes on is told anew.
        asked = replace(asked, traces=known["traces"], fresh=known["fresh"])
        values = request_values(asked)
        for name, value in known.items():
            if value != values.get(name):
                raise _other(running.path, _OPTIONS.get(name, name))
    return campaign(asked, running, telling)


_OPTIONS = {"commits": "range", "build_limit": "timeout", "call_limit": "call-timeout"}


def _other(path: Path, name: str) -> UsageError:
    return UsageError(
        f"{path}: this campaign has another --{name}; go on with it by replay campaign --resume "
        f"--state {path}, or start a new campaign with --state"
    )


def campaign(request: Request, running: Running, telling: Telling) -> ExitCode:
    """Run a campaign on commits, or go on with it, and tell what it has come to.

    Raises:
        UsageError: the state is that of another campaign.
        StateError: the state cannot be read or written.
        ReplayError: as ``verify`` has it.

    """
    limits = running.limits
    with progress_bar("verifying") as bar:
        if running.resume:
            insist_on_one(running.path)
        else:
            insist_on_none(running.path)
        # A cluster that is not there is known before anything is built.
        workers = workers_of(running.cluster, running.jobs)
        lasting = Lasting(
            request, running.path, running.resume, limits, workers,
            lambda news: show(bar, news, limits, "calls"),
            None if telling.save is None else str(telling.save.resolve()),
        )  # fmt: skip
        with workers, lasting, stopping(lambda: lasting.state):
            report = verify(request, bar.show, lasting.rounds)
    sums = lasting.state.sums if lasting.state is not None else None
    if sums is not None:
        report = replace(report, traces=sums.end)
    saved = telling.saved(report, request)
    emit(LastingView(Search(report, []), saved, False, sums, running.path), telling.format)
    return code(report)


def code(report: Report) -> ExitCode:
    """A difference wins over what is not decided; 0 is for what is decided alone."""
    if report.differs or report.unshown:
        return ExitCode.DIFFERENCE
    return ExitCode.OK if report.passed else ExitCode.NOT_DECIDED


def save(report: Report, request: Request, folder: Path | None, shortened: bool) -> Commands:
    """Save the examples; gives where, and the commands that run them again."""
    if report.interface is None or (request.trace is not None and not shortened):
        return {}
    target = folder or default_folder(request.repo)
    saved: Commands = {}
    for row in report.rows:
        for example in (row.example, row.model_example):
            if example is None:
                continue
            path = target / f"{example.name}.jsonl"
            text = to_text(example.trace, report.interface, example.name)
            try:
                target.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise UsageError(
                    f"{path}: cannot be written ({error.strerror}); name a folder with --save"
                ) from None
            before = row.against.short if row.against else f"{row.commit.short}^"
            span = f"{before}..{row.commit.short}"
            saved[example.name] = path, _again(request, span, path, example)
    return saved


def default_folder(repo: Path) -> Path:
    """``counterexamples`` here, or outside if this is inside the user's repository."""
    dirs = find(repo)
    inside = dirs.work_tree or dirs.own
    here = Path.cwd().resolve()
    if here.is_relative_to(inside) or here.is_relative_to(dirs.common):
        return Path(tempfile.gettempdir()) / "counterexamples" / inside.name
    return Path("counterexamples")


def _again(request: Request, span: str, path: Path, example: Counterexample) -> str:
    words = ["replay", "verify", "--repo", str(request.repo), "--range", span]
    words += ["--build", request.build, "--library", request.library]
    if request.binding is not None:
        words += ["--binding", str(request.binding)]
    if request.model is not None and example.sides[0] == "model":
        words += ["--model", ":".join(map(str, request.model))]
    for wrapper in request.wrapper:
        words += ["--wrapper", str(wrapper)]
    if request.expect is not None:
        words += ["--expect", str(request.expect)]
    if request.call_limit != CALL_LIMIT:
        words += ["--call-timeout", f"{request.call_limit:g}"]
    return shlex.join([*words, "--trace", str(path)])
