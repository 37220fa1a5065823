"""``replay verify``: the commits of any git repository, each against the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from replay.base.pool import default_jobs
from replay.campaign.drive import Limits
from replay.cli.calling import (
    binding_option,
    call_timeout_option,
    incremental_option,
    timeout_option,
    wrapper_option,
)
from replay.cli.campaigns import cluster_option, resume_option, state_option, until_option
from replay.cli.commits import Running, Telling, begun, default_folder
from replay.cli.common import (
    Seconds,
    budget_option,
    examples,
    format_option,
    jobs_option,
    ops_option,
    seed_option,
    traces_option,
)
from replay.cli.programs import asked, not_there, program_options, verified
from replay.cli.progress import progress_bar
from replay.repo.git import find
from replay.repo.opening import Request
from replay.repo.searching import Search, search
from replay.repo.targets import Progress
from replay.repo.verify import verify


def _model(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[Path, str] | None:
    if value is None:
        return None
    path, colon, name = value.rpartition(":")
    if not colon or not path or not name.isidentifier():
        raise click.BadParameter(f"{value!r}; write FILE:CLASS, as in model.py:Ring")
    if not Path(path).is_file():
        raise click.BadParameter(f"{path}: no such file")
    return Path(path), name


@click.command(
    "verify",
    epilog=examples(
        "replay verify --range main..topic --build make --library libring.so",
        "replay verify --repo DIR --range v1..v2 --build 'make -s' \\",
        "    --library libring.so --binding binding.toml --traces 1000",
        "replay verify … --trace counterexamples/commit-5-difference.jsonl",
        "replay verify … --for 5m                 look harder, for a time",
        "replay verify … --for 8h --state FILE    a campaign, which can be resumed",
        "replay verify … --prove                  prove what no trace tells apart",
        "replay verify … --bisect                 build only what a search asks",
        "replay verify … --build true --program 'python3 tool.py'",
    ),
)
@click.option(
    "--repo", type=click.Path(path_type=Path), default=".", show_default=True, metavar="PATH",
    help="The git repository. It is only read.",
)  # fmt: skip
@click.option(
    "--range", "commits", required=True, metavar="A..B",
    help="The commits to judge: after A, up to B, along first parents.",
)  # fmt: skip
@click.option(
    "--build", required=True, metavar="CMD",
    help="Builds the library at the top of a commit's tree. The shell EXECUTES it.",
)  # fmt: skip
@click.option(
    "--library", metavar="PATH",
    help="The shared library that the build makes, relative to the top of the tree.",
)  # fmt: skip
@binding_option
@program_options
@traces_option(
    None, "Exactly so many random traces of calls; of a campaign, so many in all.",
    most=1_000_000_000,
    shown="200, and more as long as they reach something new",
)  # fmt: skip
@click.option(
    "--for", "seconds", type=Seconds(), metavar="TIME",
    help="Go on for so long with commits on which nothing differs: 10s, 5m, 1h. What is found "
    "then depends on the machine.",
)  # fmt: skip
@ops_option(40, "Calls a trace.", most=10_000)
@seed_option
@jobs_option(default_jobs)
@timeout_option
@call_timeout_option
@budget_option(1500)
@click.option(
    "--trace", type=click.Path(path_type=Path), metavar="FILE",
    help="Run only this trace of calls, as saved by an earlier run.",
)  # fmt: skip
@click.option(
    "--model", callback=_model, metavar="FILE:CLASS",
    help="Compare each commit with this Python class too. FILE is EXECUTED.",
)  # fmt: skip
@click.option(
    "--save", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where to save the traces that show a difference; by default counterexamples, "
    "outside of the repository.",
)  # fmt: skip
@click.option(
    "--bisect", is_flag=True,
    help="Search the commit that changed something, and build only those that this asks.",
)  # fmt: skip
@click.option(
    "--expect", type=click.Path(path_type=Path), metavar="FILE",
    help="Differences that are intended, each with its commit and reason: these pass, all others "
    "fail, and so does one that does not show. Its rules, Python, are EXECUTED.",
)  # fmt: skip
@click.option(
    "--write-expect", "drafting", type=click.Path(path_type=Path), metavar="FILE",
    help="Draft such a file from what is found.",
)  # fmt: skip
@click.option(
    "--prove", is_flag=True,
    help="Prove, too, that what traces find the same is the same: by the code of other "
    "compilers, by all arguments, by cbmc or esbmc. The build is EXECUTED again for each.",
)  # fmt: skip
@state_option(
    "Make it a campaign, whose state this is: it can be stopped, killed and resumed; see "
    "`replay campaign status`."
)
@resume_option
@until_option(
    "End a campaign at the first undeclared difference; so it is without --for and --traces."
)
@cluster_option
@wrapper_option
@incremental_option
@click.option(
    "--fresh", is_flag=True,
    help="Judge anew, without the verdicts and traces that earlier runs left.",
)  # fmt: skip
@click.option("--rebuild", is_flag=True, help="Build also what is in the cache of builds.")
@format_option
def command(
    save: Path | None, bisect: bool, drafting: Path | None, format: str, **options: Any
) -> int:
    """Check that each commit of a range does the same as the one before.

    Each commit is built in a folder of its own, and random traces of calls run on its
    library, in a process of its own. A commit is "same" when nothing that was observed
    differs from the commit before, and enough was: most calls came back, and no function
    changed that was not called; or its code is identical. Else it has an undeclared
    difference, crashes or hangs, and the shortest trace that shows it is saved; or it
    cannot be built or judged, or is not decided, with the reason. A merge is judged as one
    change against its first parent.

    With --bisect the ends of the range are compared, on random traces or on --trace, and
    a binary search finds each commit since which a trace that tells them apart shows
    something else.

    With --program a program is run instead, each time in an empty folder of its own, and
    its outputs, its exit status and the files that it writes are compared; its traces are
    single runs.

    With --state it is a campaign: it begins with the traces of a run without, and goes on
    with the commits on which nothing differs, in all processes of --jobs or --cluster, until
    --for or --traces end it. `replay campaign --resume --state FILE` goes on with it.

    What was built is kept in a cache, so a run that was interrupted goes on where it was.
    """
    running = _running(options)
    if asked(options):
        if running is not None:
            raise click.UsageError("--state goes with --library, not with --program")
        folder = save or default_folder(options["repo"])
        return verified(folder, bisect, drafting, format, options)
    return _commits(_request(options), Telling(format, save, drafting), running, bisect)


def _commits(request: Request, telling: Telling, running: Running | None, bisect: bool) -> int:
    """Verify commits of a library, search among them, or run a campaign on them."""
    _check(request, bisect, telling.drafting, running is not None)
    if running is not None:
        return begun(request, telling, running)
    with progress_bar("verifying") as bar:
        look = search if bisect else _verified
        searched = look(request, bar.show)
    return telling.tell(searched, request, bisect)


def _running(options: dict[str, Any]) -> Running | None:
    """How a campaign is run, where one is asked for; takes the options of campaigns out."""
    path, resume = options.pop("path"), options.pop("resume")
    until, cluster = options.pop("until_difference"), options.pop("cluster")
    if path is not None:
        limits = Limits.of(options["traces"], options["seconds"], until)
        return Running(path, resume, limits, options["jobs"], cluster)
    for name, given in (("resume", resume), ("until-difference", until), ("cluster", cluster)):
        if given:
            raise click.UsageError(f"--{name} goes with --state FILE, which makes it a campaign")
    return None


def _check(request: Request, bisect: bool, drafting: Path | None, lasting: bool) -> None:
    """Refuse, before anything is built, what does not go together."""
    if lasting and (bisect or request.trace is not None):
        raise click.UsageError(
            "--state goes with random traces on every commit: leave out "
            f"--{'bisect' if bisect else 'trace'}"
        )
    if request.seconds is not None and request.traces is not None and not lasting:
        raise click.UsageError("--traces is exact: it takes no --for")
    if bisect and request.model:
        raise click.UsageError("--bisect compares with the start of the range, not with --model")
    if request.prove and (bisect or request.trace is not None):
        raise click.UsageError(
            "--prove goes with random traces on every commit: leave out "
            f"--{'bisect' if bisect else 'trace'}"
        )
    find(request.repo)
    not_there(drafting)


def _verified(request: Request, progress: Progress) -> Search:
    return Search(verify(request, progress), [])


def _request(options: dict[str, Any]) -> Request:
    renamed = {"timeout": "build_limit", "call_timeout": "call_limit"}
    return Request(**{renamed.get(name, name): value for name, value in options.items()})
