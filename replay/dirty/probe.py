"""Judge one checked-out tree of the C series by a trace, as ``git bisect run`` asks it."""

from __future__ import annotations

from pathlib import Path

from replay.build.compile import BuildFailed, build
from replay.dirty.native.model import NativeModel
from replay.dirty.native.session import Libraries
from replay.dirty.subject import SUBJECT
from replay.git.runner import GitError
from replay.search.bisect import Answer
from replay.series.names import parse_step
from replay.series.symptoms import compared


def judge_tree(
    tree: Path, trace_file: Path, name: str, against: str, step: int | None
) -> tuple[Answer, str]:
    """Judge the C tree in a folder by a trace: a property, or against a model.

    The step, where it matters, is the number of commits between HEAD and the tag
    ``step-00`` that ``replay series materialize`` sets.
    """
    trace = SUBJECT.language.read(trace_file)
    if step is None:
        step = step_of(tree)
    if step is None and not name and against == "model":
        return Answer.SKIP, "which step this tree is cannot be told; give --step"
    made = build(step or 0, tree)
    if isinstance(made, BuildFailed):
        return Answer.SKIP, "does not build: " + made.text.partition("\n")[0]
    run = NativeModel(step or 0, Libraries.of({step or 0: made})).run(trace)
    if name:
        violation = SUBJECT.properties[name](trace, run.records)
        if violation:
            return Answer.BAD, f"operation {violation.index}: {violation.text}"
        return Answer.GOOD, "holds"
    other = against if against != "model" or step is None else str(step)
    wanted = parse_step(other, SUBJECT.names)
    return compared(SUBJECT, SUBJECT.model(wanted, trace), run)


def step_of(tree: Path) -> int | None:
    """How many commits a checked-out tree is after ``step-00``; None if that is not known."""
    from replay.git.sealed import opened  # GitPython, for ``probe`` alone

    try:
        with opened(tree) as repo:
            return int(repo.sealed.run("rev-list", "--count", "step-00..HEAD", "--"))
    except (GitError, ValueError):
        return None
