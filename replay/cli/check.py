"""``replay check``: every step against its claim."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replay.base.atomic import replace_file
from replay.base.pool import default_jobs
from replay.cli.common import (
    ExitCode,
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
from replay.cli.subjects import (
    command_line,
    copies_option,
    insist_on_use,
    last_step,
    named,
    only_built_in,
    the_subject,
)
from replay.errors import UsageError
from replay.report.checking import CheckView, Saved
from replay.series.check import BUDGET, Plan, check
from replay.series.subject import Subject
from replay.series.verdict import CheckResult, Example

if TYPE_CHECKING:
    from replay.build.compile import Outcome
    from replay.dirty.native.session import Libraries

LANES = ("python", "native", "both", "all")


@click.command(
    "check",
    epilog=examples(
        "replay check                             all steps, by all that is there",
        "replay check --steps 27-30 --traces 5000 --seed 7",
        "replay check --lane python               the models alone",
        "replay check --lane both                 the C of each step and its model",
        "replay check --model 27=mine.py          with a changed copy of step 27",
        "replay check --corpus                    first the traces that were kept",
        "replay check --json > check.json",
    ),
)
@steps_option()
@traces_option(1200)
@ops_option(lambda: the_subject().language.ops, shown="50, or as the subject draws them")
@seed_option
@jobs_option(default_jobs)
@budget_option(BUDGET)
@click.option(
    "--save", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Save all examples there; by default those of failures, in counterexamples.",
)  # fmt: skip
@copies_option
@click.option(
    "--lane", type=click.Choice(LANES),
    help="What is compared: the models, the C of the steps, C with the models, or all of "
    "that; by default all, or the models where there is no C compiler.",
)  # fmt: skip
@click.option("--sanitize", is_flag=True, help="Build the C with ASan and UBSan.")
@click.option("--compiler", metavar="CC", help="The C compiler; cc by default.")
@click.option(
    "--corpus", "folder", is_flag=False, flag_value="", metavar="[DIR]",
    help="Run kept traces first: those of 'replay traces', or of DIR.",
)  # fmt: skip
@click.option("--brief", is_flag=True, help="Only the rows, and what is not as claimed.")
@format_option
def command(save: Path | None, brief: bool, format: str, **options: Any) -> int:
    """Check every step against the one before, against step 0, and by itself.

    Random traces run on the models of all steps, and on fewer the C of each step is
    compared with that of the step before and with its model. A step is "same" when no
    observation differs from the step before, "deviates as declared" when every difference
    is exactly the one that series.toml declares and every declared one was shown. All
    else fails: an undeclared difference, a property broken without saying so, a
    declared deviation that nothing showed. Examples are shortened and shown. The column
    "by" says which comparisons the verdict on a step rests on.
    """
    asked = CheckOptions(**options)
    plan = asked.plan()
    subject = plan.subject
    libraries, left_out = libraries_for(asked, plan)
    result = run(plan, asked.jobs, asked.budget, asked.lane or "all", libraries)
    result.left_out, result.corpus = left_out, result.traces - asked.traces
    emit(
        CheckView(result, Saved(save_examples(subject, result, save), command_line()), brief),
        format,
    )
    return ExitCode.OK if result.passed else ExitCode.DIFFERENCE


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to check and how, as given."""

    steps: tuple[int, ...]
    traces: int
    ops: int
    seed: int
    jobs: int
    budget: int
    copies: tuple[tuple[int, str], ...]
    lane: str | None
    sanitize: bool
    compiler: str | None
    folder: str | None

    @property
    def wants_c(self) -> bool:
        """Whether it is said that C is to run, and so an error where it cannot."""
        return self.lane not in (None, "python") or self.sanitize or bool(self.compiler)

    def plan(self) -> Plan:
        """What these options ask for.

        Raises:
            click.UsageError: they do not go together.
        """
        subject = the_subject()
        steps = judged(self.steps)
        if self.lane == "python" and (self.sanitize or self.compiler):
            raise click.UsageError("--sanitize and --compiler build C, and --lane python runs none")
        if self.wants_c:
            only_built_in(f"--lane {self.lane}" if self.lane else "--sanitize, or --compiler,")
        language, kept = subject.language.drawing(self.ops), self.kept()
        if kept:
            from replay.dirty.language.language import Preceded, TraceLanguage

            assert isinstance(language, TraceLanguage), "the built-in subject's"
            language = Preceded(language.profile, kept)
        plan = Plan(
            subject,
            language,
            seed=self.seed,
            traces=self.traces + len(kept),
            steps=steps,
            copies=self.copies,
        )
        insist_on_use(plan.copies, plan.needed, "--steps")
        return plan

    def kept(self) -> tuple[Any, ...]:
        """The traces of the corpus, where it is asked for.

        Raises:
            UsageError: there is no such folder, or the subject has no corpus.
            TraceError: a file in it is no trace.

        """
        if self.folder is None:
            return ()
        only_built_in("--corpus")
        from replay.dirty.campaign.corpus import Corpus, default_folder

        folder = Path(self.folder) if self.folder else default_folder()
        if self.folder and not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder; see 'replay traces list'")
        return tuple(
            trace.renamed(trace.name or path.stem) for path, trace in Corpus(folder).read()
        )


def libraries_for(asked: CheckOptions, plan: Plan) -> tuple[Libraries | None, str]:
    """The C to run, None where none is to be run; and why, where nobody said so.

    Raises:
        BuildError: it cannot be built, and was asked for; or some of it cannot.

    """
    if asked.lane == "python" or named():
        return None, ""
    from replay.build.compile import Built
    from replay.build.errors import BuildError
    from replay.dirty.native.model import libraries_of

    calls = asked.lane != "native"
    try:
        made = build(asked.jobs, asked.sanitize, asked.compiler, calls, plan.needed)
        if not asked.wants_c and not isinstance(made[0], Built):
            libraries_of({0: made[0]})  # the tree itself: that is no fault of a step
    except BuildError as error:
        if asked.wants_c:
            raise
        return None, (
            f"Only the models were compared, as the C cannot be built: {error}. With a C "
            "compiler the C of the steps is compared, too; --lane python asks for the models alone."
        )
    return libraries_of(made), ""


def build(
    jobs: int,
    sanitize: bool,
    compiler: str | None,
    calls: bool = False,
    steps: Collection[int] | None = None,
) -> dict[int, Outcome]:
    """Build the C of steps under a progress bar, with calls of the inner API or without."""
    from replay.dirty.native.model import built_series  # the models need no compiler

    with progress_bar("building") as bar:

        def built(outcome: Outcome) -> None:
            bar.show(outcome.step, last_step(), f"built step {outcome.step}")

        return built_series(
            sanitize=sanitize, compiler=compiler, jobs=jobs, progress=built, calls=calls,
            steps=steps,
        )  # fmt: skip


def run(plan: Plan, jobs: int, budget: int, lane: str, libraries: Libraries | None) -> CheckResult:
    """Check a plan in a lane under a progress bar; without libraries on the models."""
    done = {"traces": 0, "examples": 0}
    total = [plan.traces]
    with progress_bar("checking") as bar:

        def traces(count: int) -> None:
            done["traces"] += count
            bar.show(done["traces"], total[0], f"{done['traces']} traces")

        def shrunk(count: int) -> None:
            done["examples"] += count
            bar.show(0, 0, f"{done['examples']} examples shortened")

        if libraries is None:
            return check(plan, jobs, traces, shrunk, budget, watched=True)
        from replay.dirty.native.check import check_both, check_native
        from replay.dirty.native.whole import check_whole, in_c, kept_by, traces_in_c

        if lane != "all":
            plan = in_c(plan, libraries)
            total[0] = plan.traces
        if lane == "native":
            return check_native(plan, libraries, jobs, traces, shrunk, budget)
        if lane == "both":
            return check_both(plan, libraries, jobs, traces, shrunk, budget, calls=libraries)
        total[0] += 2 * traces_in_c(plan.traces - kept_by(plan))
        return check_whole(plan, libraries, jobs, traces, shrunk, budget)


def examples_of(result: CheckResult, failing_only: bool) -> Iterator[tuple[int, Example]]:
    """(step, example) of what was found."""
    found: list[tuple[int, Any]] = [
        (0, p) for p in result.start if not failing_only or not p.declared
    ]
    for step in result.steps:
        found += [(step.step, failure) for failure in step.failures]
        if not failing_only:
            found += [(step.step, item) for item in (*step.deviations, *step.properties)]
    for number, item in found:
        if item.example is not None:
            yield number, item.example


def save_examples(subject: Subject, result: CheckResult, folder: Path | None) -> dict[int, Path]:
    """Save the examples of failures, or of everything where a folder was asked for."""
    saved = {}
    for _, example in examples_of(result, failing_only=folder is None):
        target = folder or Path("counterexamples")
        target.mkdir(parents=True, exist_ok=True)
        path = target / f"{example.trace.name}.jsonl"
        replace_file(path, subject.language.to_text(example.trace, example.trace.name).encode())
        saved[id(example)] = path
    return saved
