"""``replay bisect``: from a symptom to the guilty step."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import click

from replay.apart.parent import ROOT
from replay.base.atomic import replace_file
from replay.cli.common import (
    ExitCode,
    emit,
    examples,
    format_option,
    print_lines,
    seed_option,
    tell,
    traces_option,
)
from replay.cli.progress import progress_bar
from replay.cli.steps import STEP
from replay.cli.subjects import (
    insist_on_use,
    last_step,
    named,
    only_built_in,
    step_names,
    the_subject,
)
from replay.errors import UsageError
from replay.report import comparing, small, timelines  # noqa: F401  each registers
from replay.report.bisecting import BisectView, TreeJudged
from replay.report.output import TEXT, can_show
from replay.search.bisect import (
    Answer,
    Bisection,
    Probe,
    binary_search,
    every_change,
    full_scan,
    log_lines,
    read_log,
)
from replay.series.copies import copies_of
from replay.series.evidence import evidence
from replay.series.guilty import GuiltyStep
from replay.series.names import parse_step, parts_of
from replay.series.subject import Subject
from replay.series.symptoms import MODELS, Kind, Question, ask_of
from replay.series.timeline import timeline as follow

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


LOAD: Final = """\
try:
    from replay.cli import main
except ImportError as error:
    import sys
    print(f"replay cannot be loaded: {error}", file=sys.stderr)
    sys.exit(255)
main()
"""
"""The command; a failure to load it must not look like the verdict "bad", which is 1, too."""

SCRIPT: Final = """\
#!/bin/sh
# A test for 'git bisect run' in a repository made by 'replay series materialize':
# 0 good, 1 bad, 125 cannot be built or judged. Any other failure stops the bisection,
# since git would take it for a bad commit.
PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}}
export PYTHONPATH
{probe}
code=$?
case $code in
0 | 1 | 125) exit $code ;;
*) exit 255 ;;
esac
"""


@click.command(
    "bisect",
    epilog=examples(
        "replay bisect --property no-lost-store      the first step to lose a store",
        "replay bisect --property no-lost-store --timeline",
        "replay bisect --trace t.jsonl               all steps where it changes",
        "replay bisect --trace t.jsonl --property no-lost-store --lane native",
        "replay bisect --trace t.jsonl --against model --series copy --lane native",
        "replay bisect --api cpu_physical_memory_reset_dirty",
        "replay bisect --trace t.jsonl --against model --script test.sh",
    ),
)
@click.option(
    "--trace", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Where do the observations of this trace change?",
)  # fmt: skip
@click.option(
    "--against", default="before", show_default=True, metavar="WHAT",
    help="With --trace: compare with the step before, with the built-in 'model' of the "
    "step, or with the model of step K.",
)  # fmt: skip
@click.option("--property", "name", metavar="NAME", help="Which step is the first to break it?")
@click.option("--api", metavar="FUNCTION", help="Where does it appear, change, disappear?")
@click.option("--elf", metavar="NAME", help="Where does the code of a function change?")
@click.option(
    "--lane", type=click.Choice((MODELS, "native")), default=MODELS, show_default=True,
    help="Ask the models, or the C of the steps.",
)  # fmt: skip
@click.option(
    "--series", "folder", type=FOLDER, metavar="DIR", help="A changed copy of the C series."
)
@click.option(
    "--model", "copies", multiple=True, metavar="STEP=FILE",
    help="Use a changed copy of a step's module. FILE is executed.",
)  # fmt: skip
@click.option("--good", type=STEP, default=0, show_default=True, help="A step known to be good.")
@click.option("--bad", type=STEP, show_default="the last step", help="A step known to be bad.")
@click.option("--scan", is_flag=True, help="Ask every step, also where a binary search would do.")
@click.option(
    "--timeline", is_flag=True,
    help="Ask every step, up to all the fixes that came later: where does a property break, "
    "and where does it heal?",
)  # fmt: skip
@traces_option(300, "Random traces for a property without --trace.", most=None)
@seed_option
@click.option(
    "--log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write the search down there.",
)  # fmt: skip
@click.option(
    "--replay", "again", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE", help="Repeat the search of a log, and compare every answer with it.",
)  # fmt: skip
@click.option(
    "--script", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write a test for 'git bisect run' instead of searching.",
)  # fmt: skip
@format_option
def command(
    good: int,
    bad: int | None,
    scan: bool,
    timeline: bool,
    log: Path | None,
    again: Path | None,
    script: Path | None,
    format: str,
    **options: Any,
) -> int:
    """Find the step behind a symptom: a trace, a property, a function, a binary.

    Where going bad is for good a binary search asks a handful of steps; where it is not,
    all are asked, and the answer says so. Each probe is shown on standard error. The
    answer shows the guilty patch, its diff and what it declares. The exit code is 0 if a
    guilty step was found, 1 if there is none or skipped steps hide it. A property may break
    more than once, and heal: --timeline follows each trace by itself along the whole line.
    """
    question = _question(**options)
    steps = _line(good, bad, timeline)
    if timeline:
        return _timeline(question, steps, format, any((log, again, script)))
    logged: list[Probe] | None = None
    if again:
        plain, logged = read_log(again, last_step(), _named)
        question = Question.of(plain)
    subject = _subject_of(question, steps, script is not None)
    if script:
        return _write_script(question, script)
    result = search(subject, question, steps, scan, format)
    if log:
        _write(log, "\n".join(log_lines(question.plain(), result)) + "\n")
    _show(subject, question, result, format)
    if logged is not None and logged != result.probes:
        raise UsageError(f"{again}: the search went another way this time; see the probes above")
    return ExitCode.OK if result.guilty else ExitCode.DIFFERENCE


def _show(subject: Subject, question: Question, result: Bisection, format: str) -> None:
    titles = {step: subject.series.title(step) for step in (*result.guilty, *result.mended)}
    emit(BisectView(question, result, titles), format)
    # Gathering takes a while: it is left out where the format is silent on it.
    if can_show(GuiltyStep, format):
        for step in result.guilty[:1] if question.property else result.guilty:
            emit(evidence(subject, question, step), format)


def _question(
    trace: Path | None,
    name: str | None,
    api: str | None,
    elf: str | None,
    folder: Path | None,
    **options: Any,
) -> Question:
    """What the options ask; those of :class:`Question` are taken by their names."""
    options["against"] = _against(options["against"])
    if elf:
        options["lane"] = "native"
    if folder and options["lane"] == MODELS and not api:
        raise UsageError("--series is a series in C: add --lane native")
    return Question(
        trace=str(trace) if trace else "",
        property=name or "",
        api=api or "",
        elf=elf or "",
        series=str(folder) if folder else "",
        subject=named(),
        **options,
    )


def _insist_on_models(question: Question, steps: Collection[int], script: bool) -> None:
    """Refuse changed copies of models where the search runs none of them.

    Raises:
        click.UsageError: with the cure.

    """
    copies = copies_of(question.copies, step_names())
    if copies and (script or question.api or question.elf or question.lane != MODELS):
        raise click.UsageError(
            "--model changes a model, and this search runs none: leave it out, or search by "
            "--trace or --property, without --script and --lane native"
        )
    insist_on_use(copies, step_names().line(max(steps)), "--bad")


def _subject_of(question: Question, steps: Collection[int], script: bool) -> Subject:
    """The subject, with the series.toml of a changed copy where one is asked about.

    Raises:
        UsageError: the question is about another subject, or about models that are not run.

    """
    subject = the_subject()
    if question.subject != named():
        raise UsageError(
            f"the log is about another subject: give --subject {question.subject}"
            if question.subject
            else "the log is about the built-in subject: leave out --subject"
        )
    _insist_on_models(question, steps, script)
    return subject.reading(Path(question.series) / "series.toml") if question.series else subject


def _against(value: str) -> str:
    step = _named(value)
    if value in ("before", "model") or step is not None:
        return value if step is None else str(step)
    raise click.BadParameter(
        f"--against is {value!r}; it is 'before', 'model' or a step, 0 to {last_step()}"
    )


def _named(name: str) -> int | None:
    try:
        return parse_step(name, step_names())
    except UsageError:
        return None


def _line(good: int, bad: int | None, timeline: bool) -> tuple[int, ...]:
    """The steps from ``good`` to ``bad``: by default to the last, or to all fixes after it."""
    names = step_names()
    if bad is None:
        bad = names.later(names.fixes) if timeline else names.last
    line = names.line(bad)
    if good not in line or good == line[-1]:
        raise UsageError(f"--good {good} must be an earlier step than --bad {bad}")
    return line[line.index(good) :]


def _timeline(question: Question, steps: Sequence[int], format: str, searched: bool) -> int:
    if searched:
        raise click.UsageError("--timeline goes without --log, --replay and --script")
    if not question.property:
        raise click.UsageError("--timeline is one of a property: give --property")
    with progress_bar("following") as bar:
        told = lambda done, total: bar.show(done, total, f"{done} traces")  # noqa: E731
        found = follow(_subject_of(question, steps, False), question, steps, told)
    emit(found, format)
    if found.broke:
        return ExitCode.OK
    return ExitCode.DIFFERENCE if found.decided else ExitCode.NOT_DECIDED


def search(
    subject: Subject, question: Question, steps: Sequence[int], scan: bool, format: str = TEXT
) -> Bisection:
    """Search a line of steps for the guilty one, telling every probe on standard error.

    After the last step of the series a fix may mend what an earlier step broke: there no
    binary search is made.
    """
    ask, kind = ask_of(question, subject)

    def watch(probe: Probe) -> None:
        tell(probe, format)

    if kind is Kind.CHANGE:
        return every_change(ask, steps, watch)
    if kind is Kind.MONOTONE and not scan and not parts_of(steps[-1]):
        return binary_search(ask, steps[0], steps[-1], watch)
    return full_scan(ask, steps, watch)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        mode = 0o755 if text.startswith("#!") else 0o644
        replace_file(path.resolve(), text.encode(), mode)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _write_script(question: Question, path: Path) -> int:
    only_built_in("--script")
    if question.api or question.elf or not question.trace:
        raise UsageError("--script needs --trace FILE (and perhaps --property or --against)")
    options: list[Any] = ["--trace", str(Path(question.trace).resolve())]
    if question.property:
        options += ["--property", question.property]
    else:
        against = "model" if question.against == "before" else question.against
        options += ["--against", against]
    # -P: what lies in the tree that is judged is not imported.
    words = [sys.executable, "-P", "-c", LOAD, "probe", *options, "."]
    _write(path, SCRIPT.format(root=shlex.quote(str(ROOT)), probe=shlex.join(words)))
    run = f"git bisect run {shlex.quote(str(path.resolve()))}"
    print_lines([f"{path} written; in the repository: {run}"])
    return ExitCode.OK


@click.command("probe", epilog=examples("replay probe --trace t.jsonl --against model ."))
@click.argument("tree", type=FOLDER)
@click.option("--trace", "path", required=True, type=click.Path(path_type=Path), metavar="FILE")
@click.option("--property", "name", default="", metavar="NAME")
@click.option("--against", default="model", show_default=True, metavar="WHAT")
@click.option("--step", type=STEP, help="The step that TREE is; by default asked of its git tags.")
def probe(tree: Path, path: Path, name: str, against: str, step: int | None) -> int:
    """Judge one checked-out tree of the C series, for scripts of 'git bisect run'.

    The exit code is 0 for good, 1 for bad, 125 if TREE cannot be built or judged.
    """
    from replay.dirty.probe import judge_tree

    answer, note = judge_tree(tree, path, name, _against(against), step)
    emit(TreeJudged(answer, note))
    return {Answer.GOOD: 0, Answer.BAD: 1, Answer.SKIP: 125}[answer]
