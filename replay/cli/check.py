"""``replay check``: every step against its claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from replay.cli.subjects import command_line, copies_option, last_step, only_built_in, the_subject
from replay.report.checking import CheckView, Saved
from replay.series.check import BUDGET, Plan, check
from replay.series.subject import Subject
from replay.series.verdict import CheckResult, Example

if TYPE_CHECKING:
    from replay.build.compile import Outcome

LANES = ("python", "native", "both")


@click.command(
    "check",
    epilog=examples(
        "replay check                             all steps, the default traces",
        "replay check --steps 27-30 --traces 5000 --seed 7",
        "replay check --lane both                 the C of each step and its model",
        "replay check --model 27=mine.py          with a changed copy of step 27",
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
    "--lane", type=click.Choice(LANES), default="python", show_default=True,
    help="What runs: the models, the C of the steps, or C against the models.",
)  # fmt: skip
@click.option("--sanitize", is_flag=True, help="Build the C with ASan and UBSan.")
@click.option("--compiler", metavar="CC", help="The C compiler; cc by default.")
@click.option("--brief", is_flag=True, help="Only the rows, and what is not as claimed.")
@format_option
def command(save: Path | None, brief: bool, format: str, **options: Any) -> int:
    """Check every step against the one before, against step 0, and by itself.

    Random traces run on the models of all steps. A step is "same" when no observation
    differs from the step before, "deviates as declared" when every difference is
    exactly the one that series.toml declares and every declared one was shown. All
    else fails: an undeclared difference, a property broken without saying so, a
    declared deviation that nothing showed. Examples are shortened and shown.
    """
    asked = CheckOptions(**options)
    plan = asked.plan()
    subject = plan.subject
    outcomes = None
    if asked.lane != "python":
        calls = asked.lane == "both"
        outcomes = build(asked.jobs, asked.sanitize, asked.compiler, calls, plan.needed)
    result = run(plan, asked.jobs, asked.budget, asked.lane, outcomes)
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
    lane: str
    sanitize: bool
    compiler: str | None

    def plan(self) -> Plan:
        """What these options ask for.

        Raises:
            click.UsageError: they do not go together.
        """
        subject = the_subject()
        steps = judged(self.steps)
        if self.lane == "python" and (self.sanitize or self.compiler):
            raise click.UsageError("--sanitize and --compiler are for --lane native or both")
        if self.lane != "python":
            only_built_in(f"--lane {self.lane}")
        return Plan(
            subject,
            subject.language.drawing(self.ops),
            seed=self.seed,
            traces=self.traces,
            steps=steps,
            copies=self.copies,
        )


def build(
    jobs: int,
    sanitize: bool,
    compiler: str | None,
    calls: bool = False,
    later: Sequence[int] = (),
) -> dict[int, Outcome]:
    """Build the C of all steps under a progress bar, with calls of the inner API or without.

    Of ``later`` those are built, too, that come after the last step.
    """
    from replay.dirty.native.model import built_series  # the models need no compiler

    with progress_bar("building") as bar:

        def built(outcome: Outcome) -> None:
            bar.show(outcome.step, last_step(), f"built step {outcome.step}")

        return built_series(
            sanitize=sanitize, compiler=compiler, jobs=jobs, progress=built, calls=calls,
            later=later,
        )  # fmt: skip


def run(
    plan: Plan, jobs: int, budget: int, lane: str, outcomes: dict[int, Outcome] | None
) -> CheckResult:
    """Check a plan under a progress bar."""
    done = {"traces": 0, "examples": 0}
    with progress_bar("checking") as bar:

        def traces(count: int) -> None:
            done["traces"] += count
            bar.show(done["traces"], plan.traces, f"{done['traces']} traces")

        def shrunk(count: int) -> None:
            done["examples"] += count
            bar.show(0, 0, f"{done['examples']} examples shortened")

        if outcomes is None:
            return check(plan, jobs, traces, shrunk, budget, watched=True)
        from replay.dirty.native.check import check_both, check_native
        from replay.dirty.native.model import libraries_of

        libraries = libraries_of(outcomes)
        if lane == "native":
            return check_native(plan, libraries, jobs, traces, shrunk, budget)
        return check_both(plan, libraries, jobs, traces, shrunk, budget, calls=libraries)


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
