"""Trees → libraries that can be called: built, read, and bound to one plan.

What a tree lacks on the way is a verdict on its row. The rows need not be neighbours in a
history: whoever compares them says which with which.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from replay.build.compiler import sanitizer
from replay.elf.errors import ElfError
from replay.repo.binding import Binding, Plan
from replay.repo.binding import Mapping as Rule
from replay.repo.bindingfile import parse_binding
from replay.repo.bound import Unbound, bind
from replay.repo.building import Builder, Built, Outcome
from replay.repo.drafting import draft
from replay.repo.errors import RepoError
from replay.repo.pairing import Subject
from replay.repo.results import Row, Verdict
from replay.repo.shapes import LibraryShape, read_shape

Progress = Callable[[float, float, str], None]
"""Called with how much is done, of how much, and what that is."""


def build_rows(
    builder: Builder, rows: list[Row], jobs: int, progress: Progress
) -> dict[str, Outcome]:
    """Build the tree of each row once; outcomes by tree."""
    trees = dict.fromkeys(row.commit.tree for row in rows)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        progress(done, len(trees), f"{done} of {len(trees)} trees built")

    progress(0, len(trees), "building")
    return builder.build_all(trees, jobs, one_more)


def inspect_rows(rows: list[Row], outcomes: dict[str, Outcome]) -> list[LibraryShape | None]:
    """The shape of each row's library; rows without one get their verdict here."""
    known: dict[str, LibraryShape | str] = {}
    shapes: list[LibraryShape | None] = []
    for row in rows:
        outcome = outcomes[row.commit.tree]
        row.notes += outcome.notes
        shape: LibraryShape | None = None
        if isinstance(outcome, Built):
            row.cached = outcome.cached
            if outcome.checksum not in known:
                known[outcome.checksum] = _shape(outcome.library)
            found = known[outcome.checksum]
            if isinstance(found, str):
                row.verdict, row.reason = Verdict.NOT_JUDGED, found
            else:
                shape = found
                if shape.problem:
                    row.notes.append(f"its calls are unchecked: {shape.problem}")
        else:
            row.verdict, row.reason, row.output = Verdict.NOT_BUILT, outcome.reason, outcome.output
        shapes.append(shape)
    return shapes


def _shape(library: Path) -> LibraryShape | str:
    try:
        return read_shape(library)
    except ElfError as error:
        return f"the library: {error.problem}; {error.cure}"


def drafted(shapes: list[LibraryShape | None]) -> Binding:
    """A binding from the first library that could be read.

    Raises:
        RepoError: it says nothing of its functions.

    """
    shape = next(shape for shape in shapes if shape is not None)
    if not shape.functions:
        raise RepoError(
            f"no prototypes to draft a binding from ({shape.problem or 'nothing is exported'}); "
            "write one and give it with --binding"
        )
    return parse_binding(draft(shape, "the library"), "the drafted binding")


def bind_rows(
    plan: Plan, rows: list[Row], shapes: list[LibraryShape | None], outcomes: dict[str, Outcome],
    holds: Callable[[Rule, int], bool],
) -> list[Subject | None]:  # fmt: skip
    """What to run for each row; a row whose library cannot be called gets its verdict."""
    subjects: list[Subject | None] = []
    for index, (row, shape) in enumerate(zip(rows, shapes, strict=True)):
        outcome = outcomes[row.commit.tree]
        subject = None
        if shape is not None and isinstance(outcome, Built):
            rules: dict[str, list[Rule]] = {}
            for rule in plan.binding.maps:
                if holds(rule, index):
                    rules.setdefault(rule.op, []).append(rule)
            try:
                bound = bind(plan, shape, rules)
                preload = sanitizer(shape.needed)
                subject = Subject(bound, outcome.library, outcome.checksum, preload)
                if bound.missing:
                    row.notes.append(f"without {', '.join(bound.missing)}, not there yet or gone")
            except Unbound as error:
                row.verdict, row.reason = Verdict.NOT_JUDGED, str(error)
        subjects.append(subject)
    return subjects
