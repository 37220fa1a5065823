"""Verify the C series: each patch applies, builds, declares and behaves as it should.

Four questions a step, in this order; the first that fails is the step's problem, and a
step that cannot be built is not asked the later ones. What is compared with what: the
prototypes in the binary's debug information with series.toml; the code of a step that
only moves or renames with the code before it; the behaviour in C with the model of the
same step (``both``, with direct calls of the inner API), and with the C of the step before
(``native``). A step is blamed for departing from its model only where the step before does
not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from replay import elf
from replay.build.compile import Built, Outcome, build_series
from replay.build.compiler import find_compiler
from replay.dirty.native.check import check_both, check_native
from replay.dirty.native.inner import with_calls
from replay.dirty.native.session import Libraries
from replay.errors import SeriesError
from replay.series.check import Plan
from replay.series.declared import Series, load, name_of
from replay.series.latertrees import later_tree
from replay.series.names import Later, before
from replay.series.patches import PatchError, series_folder
from replay.series.trees import StepTree, iter_trees
from replay.series.verdict import StepResult

KEEP_ALL: Final = ("-fkeep-inline-functions",)
"""Makes gcc keep inline functions that nobody calls, so that their prototypes are there.

Clang has no such option: with it, what is absent proves nothing."""

PURE: Final = ("move", "rename")
"""Kinds of steps whose code must be identical to the code before."""


@dataclass(slots=True)
class StepRow:
    """What was found about one step.

    Attributes:
        step, title: which.
        applies: whether the patch applies exactly; None when it was not tried.
        builds: whether it compiles without a warning; None when it was not tried.
        cached: whether the library was there already.
        api: whether the binary has the declared prototypes.
        code: "identical", "changed" or "" against the step before.
        behaviour: the findings of the checks, native and both; None when not run.
        problem: why the step fails, "" when it does not.
    """

    step: int
    title: str
    applies: bool | None = None
    builds: bool | None = None
    cached: bool = False
    api: bool | None = None
    code: str = ""
    behaviour: list[StepResult] = field(default_factory=list)
    problem: str = ""

    @property
    def good(self) -> bool:
        """Whether all that was to be asked was asked, and nothing failed."""
        return not self.problem and bool(self.applies and self.builds and self.behaviour)


@dataclass(slots=True)
class Verification:
    """The rows of a series, and the problem of step 0, which is no row."""

    rows: list[StepRow]
    base: str = ""

    @property
    def passed(self) -> bool:
        """Whether every row is good."""
        return not self.base and all(row.good for row in self.rows)

    @property
    def first_failing(self) -> StepRow | None:
        """The first row with a problem."""
        return next((row for row in self.rows if row.problem), None)


Told = Callable[[str, int, int], None]
"""(what is done, done so far, of how many)."""


def verify(
    folder: Path | None,
    plan: Plan,
    jobs: int = 1,
    compiler: str | None = None,
    told: Told = lambda what, done, total: None,
    budget: int = 2000,
) -> Verification:
    """Verify a series: the built-in one, or a changed copy of its folder.

    Args:
        folder: with tree/, patches/ and series.toml; None for the built-in one.
        plan: seed, traces and the steps to judge; ``series`` is set from the folder.
        jobs: processes for building and checking.
        compiler: cc by default.
        told: is told of progress.
        budget: evaluations for shortening each example.

    Raises:
        SeriesError, PatchError: the folder or a patch cannot be read at all.
        BuildError: there is no compiler.
    """
    series = load(series_folder(folder) / "series.toml")
    rows = {step: StepRow(step, series.title(step)) for step in range(1, len(series.steps) + 1)}
    trees = _apply(folder, rows)
    wanted = {0, *plan.steps, *(before(step) for step in plan.steps)}
    later = [step for step in sorted(wanted) if isinstance(step, Later)]
    rows |= {step: StepRow(step, series.title(step)) for step in later}
    _apply_later(folder, rows, trees, later)
    trees = {step: tree for step, tree in trees.items() if step in wanted}
    outcomes = _build(trees, rows, jobs, compiler, told)
    result = Verification([row for row in rows.values() if row.step in plan.steps])
    if not isinstance(outcomes.get(0), Built):
        result.base = "step 0, the tree itself, does not build"
        return result
    _inspect(series, trees, outcomes, rows, (jobs, compiler), told)
    calls = _with_calls(series, trees, rows, (jobs, compiler))
    result.base = _behave(plan, outcomes, calls, rows, jobs, told, budget)
    return result


def _apply(folder: Path | None, rows: Mapping[int, StepRow]) -> dict[int, StepTree]:
    trees: dict[int, StepTree] = {}
    try:
        for tree in iter_trees(folder):
            if tree.step and tree.step not in rows:
                raise SeriesError(
                    f"there is a patch for step {tree.step}, but series.toml has only {len(rows)}"
                )
            trees[tree.step] = tree
            if tree.step:
                rows[tree.step].applies = True
    except PatchError as error:
        if not trees:
            raise
        row = rows.get(len(trees))
        if row is None:
            raise
        row.applies, row.problem = False, f"does not apply: {error}"
    missing = len(trees)
    if missing in rows and not rows[missing].problem:
        rows[missing].applies, rows[missing].problem = False, "there is no patch for it"
    return trees


def _apply_later(
    folder: Path | None,
    rows: Mapping[int, StepRow],
    trees: dict[int, StepTree],
    later: Sequence[Later],
) -> None:
    for step in later:
        row = rows[step]
        if step.base not in trees:
            row.problem = f"step {step.base}, which it stands on, does not apply"
            continue
        try:
            trees[step] = later_tree(step, trees[step.base], folder)
            row.applies = True
        except PatchError as error:
            row.problem = f"does not apply: {error}"


def _build(
    trees: Mapping[int, StepTree],
    rows: Mapping[int, StepRow],
    jobs: int,
    compiler: str | None,
    told: Told,
) -> dict[int, Outcome]:
    done: list[int] = []

    def progress(outcome: Outcome) -> None:
        done.append(outcome.step)
        told("built", len(done), len(trees))

    files = {step: tree.files for step, tree in trees.items()}
    outcomes = build_series(files, compiler=compiler, jobs=jobs, progress=progress)
    for step, outcome in outcomes.items():
        row = rows.get(step)
        if row is None:
            continue
        row.builds = isinstance(outcome, Built)
        if isinstance(outcome, Built):
            row.cached = outcome.cached
        else:
            row.problem = row.problem or f"does not build:\n{outcome.text}"
    return outcomes


def _inspect(
    series: Series,
    trees: Mapping[int, StepTree],
    outcomes: Mapping[int, Outcome],
    rows: Mapping[int, StepRow],
    how: tuple[int, str | None],
    told: Told,
) -> None:
    jobs, compiler = how
    complete = not find_compiler(compiler).is_clang
    flags: Sequence[str] = KEEP_ALL if complete else ()
    files = {step: tree.files for step, tree in trees.items() if step in rows}
    done: list[int] = []

    def progress(outcome: Outcome) -> None:
        done.append(outcome.step)
        told("inspected", len(done), len(files))

    kept = build_series(files, compiler=compiler, flags=flags, jobs=jobs, progress=progress)
    every = {name_of(p) for step in range(len(series.steps) + 1) for p in series.api(step)}
    for step, outcome in kept.items():
        row = rows[step]
        if not isinstance(outcome, Built) or row.problem:
            continue
        wrong = api_problem(series, step, outcome.path, every, complete)
        row.api, row.problem = not wrong, wrong
        last, after = outcomes.get(before(step)), outcomes.get(step)
        if isinstance(last, Built) and isinstance(after, Built):
            same = elf.compare(last.path, after.path).verdict is elf.Whole.IDENTICAL
            row.code = "identical" if same else "changed"
            if not same and series.step(step).kind in PURE and not row.problem:
                row.problem = (
                    f"binary differs: a {series.step(step).kind} changes no code, but this one does"
                )


def _with_calls(
    series: Series,
    trees: Mapping[int, StepTree],
    rows: Mapping[int, StepRow],
    how: tuple[int, str | None],
) -> Libraries:
    """The steps without a problem so far, built with calls of their inner API."""
    jobs, compiler = how
    files = {
        step: with_calls(tree.files, series, step)
        for step, tree in trees.items()
        if step not in rows or not rows[step].problem
    }
    outcomes = build_series(files, compiler=compiler, jobs=jobs)
    for step, outcome in outcomes.items():
        if step in rows and not isinstance(outcome, Built):
            rows[step].problem = f"the declared API cannot be called:\n{outcome.text}"
    return Libraries.of(outcomes)


def api_problem(series: Series, step: int, library: Path, every: set[str], complete: bool) -> str:
    """How the prototypes in a binary differ from those declared; "" when they do not.

    ``every`` are the names that any step declares: one that is in the binary and not
    declared at this step is wrong. Where ``complete`` is false, absence proves nothing.
    """
    declared = {elf.normalise_prototype(prototype) for prototype in series.api(step)}
    found = {info.prototype for info in elf.functions(library, elf.select(every))}
    extra = sorted(found - declared)
    missing = sorted(declared - found) if complete else []
    if not complete:
        names = {name_of(prototype) for prototype in extra}
        missing = sorted(p for p in declared - found if name_of(p) in names)
    parts = [f"declared but not there: {p}" for p in missing]
    parts += [f"there but not declared: {p}" for p in extra]
    return "binary differs from the declared API:\n" + "\n".join(parts) if parts else ""


def _behave(
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    calls: Libraries,
    rows: Mapping[int, StepRow],
    jobs: int,
    told: Told,
    budget: int,
) -> str:
    """Fill in the behaviour of each row; gives the problem of step 0, if it has one."""
    base = ""
    built = {step: outcome for step, outcome in outcomes.items() if isinstance(outcome, Built)}
    libraries = Libraries.of(built)
    done = {"traces": 0}
    total = 2 * plan.traces

    def progress(count: int) -> None:
        done["traces"] += count
        told("traces", done["traces"], total)

    checks = (
        ("behaviour differs from the model", partial(check_both, calls=calls)),
        ("behaviour differs from the step before without a declaration", check_native),
    )
    for what, check in checks:
        for found in check(plan, libraries, jobs, progress, budget=budget).steps:
            texts = [failure.text for failure in found.failures if failure.text]
            if found.step == 0:
                base = f"{what}: {texts[0]}" if texts else base
                continue
            row = rows[found.step]
            if not row.builds:
                continue
            row.behaviour.append(found)
            if not found.verdict.passes and not row.problem:
                reason = what if found.failures else found.verdict.value
                row.problem = f"{reason}: {texts[0]}" if texts else reason
    return base
