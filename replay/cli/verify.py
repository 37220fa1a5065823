"""``replay verify``: the commits of any git repository, each against the one before."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import Any

import click

from replay.base.pool import default_jobs
from replay.cli.calling import (
    binding_option,
    call_timeout_option,
    incremental_option,
    timeout_option,
    wrapper_option,
)
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
from replay.cli.programs import asked, not_there, program_options, verified
from replay.cli.progress import progress_bar
from replay.errors import UsageError
from replay.repo.calls import to_text
from replay.repo.git import find
from replay.repo.results import Counterexample, Report
from replay.repo.searching import Search, search
from replay.repo.targets import Progress
from replay.repo.verify import CALL_LIMIT, Request, verify
from replay.report.commits import Commands, CommitsView
from replay.report.expecting import draft, write_draft


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
    None, "Exactly so many random traces of calls.", most=1_000_000,
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

    What was built is kept in a cache, so a run that was interrupted goes on where it was.
    """
    if asked(options):
        folder = save or _default_folder(options["repo"])
        return verified(folder, bisect, drafting, format, options)
    request = _request(options)
    _check(request, bisect, drafting)
    with progress_bar("verifying") as bar:
        look = search if bisect else _verified
        searched = look(request, bar.show)
    report = searched.report
    saved = _save(report, request, save, bisect)
    if drafting is not None:
        write_draft(drafting, draft(report))
    emit(CommitsView(searched, saved, bisect), format)
    return _code(report)


def _check(request: Request, bisect: bool, drafting: Path | None) -> None:
    """Refuse, before anything is built, what does not go together."""
    if request.seconds is not None and request.traces is not None:
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


def _code(report: Report) -> ExitCode:
    """A difference wins over what is not decided; 0 is for what is decided alone."""
    if report.differs or report.unshown:
        return ExitCode.DIFFERENCE
    return ExitCode.OK if report.passed else ExitCode.NOT_DECIDED


def _verified(request: Request, progress: Progress) -> Search:
    return Search(verify(request, progress), [])


def _request(options: dict[str, Any]) -> Request:
    renamed = {"timeout": "build_limit", "call_timeout": "call_limit"}
    return Request(**{renamed.get(name, name): value for name, value in options.items()})


def _save(report: Report, request: Request, folder: Path | None, shortened: bool) -> Commands:
    """Save the examples; gives where, and the commands that run them again."""
    if report.interface is None or (request.trace is not None and not shortened):
        return {}
    target = folder or _default_folder(request.repo)
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


def _default_folder(repo: Path) -> Path:
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
