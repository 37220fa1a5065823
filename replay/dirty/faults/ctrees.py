"""The C of the steps as it is, and with a fault in it: built, and carried to later steps."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from replay.build.compile import BuildFailed, Built, Outcome, build
from replay.build.compiler import find_compiler
from replay.dirty.faults.fault import Fault
from replay.dirty.native.inner import with_calls
from replay.dirty.native.session import Libraries
from replay.dirty.subject import SUBJECT
from replay.errors import WorkerError
from replay.series.trees import StepTree, trees

FLAGS: Final = ("-g0", "-w")
"""No warnings: a fault that the compiler would warn of has to be shown by what it does."""

KEEP: Final = "-fkeep-inline-functions"
"""Has gcc compile inline functions that nobody calls, so that equal code proves something."""


@cache
def step_trees() -> list[StepTree]:
    """The trees of all steps."""
    return trees()


@cache
def right_trees() -> Trees:
    """The series as it is."""
    return Trees(None, None)


class Trees:
    """The trees of the steps, with a fault in them from its step on if there is one.

    Args:
        fault: a fault in the C, or None.
        folder: where what has the fault is built; it may go away afterwards.
    """

    def __init__(self, fault: Fault | None, folder: Path | None) -> None:
        self.fault = fault
        self.folder = folder
        self.built: dict[tuple[int, bool], Outcome] = {}

    def files(self, step: int) -> dict[str, bytes] | None:
        """The files of a step; None when the fault is no longer among them."""
        files = dict(step_trees()[step].files)
        fault = self.fault
        if fault is None or step < fault.step:
            return files
        before = step_trees()[fault.step].files[fault.file].decode()
        if step == fault.step:
            return files | {fault.file: fault.put_into(before).encode()}
        carried = carry(fault, before, files.get(fault.file, b"").decode())
        return None if carried is None else files | {fault.file: carried.encode()}

    def carried(self, step: int) -> bool:
        """Whether the lines with the fault are still there, and compile."""
        return self.files(step) is not None and isinstance(self.outcome(step), Built)

    def outcome(self, step: int, sanitize: bool = False) -> Outcome:
        """A step, built with the calls of its inner API."""
        key = (step, sanitize)
        if key not in self.built:
            faulty = self.fault is not None and step >= self.fault.step
            files = self.files(step)
            assert files is not None, "asked only of steps that the fault is carried to"
            self.built[key] = build(
                step, with_calls(files, SUBJECT.series, step), sanitize=sanitize, flags=flags(),
                cache=self.folder if faulty else None,
            )  # fmt: skip
        return self.built[key]

    def problem(self) -> str:
        """Why the fault is none to find: it does not compile, or to the same code; else ""."""
        assert self.fault is not None
        step = self.fault.step
        outcome, right = self.outcome(step), right_trees().outcome(step)
        if isinstance(outcome, BuildFailed):
            return "does not compile"
        assert isinstance(right, Built)
        if KEEP in flags() and outcome.path.read_bytes() == right.path.read_bytes():
            return "same machine code"
        return ""

    def libraries(self, steps: Sequence[int], sanitize: bool = False) -> Libraries:
        """The libraries of some steps.

        Raises:
            WorkerError: the series as it is does not compile.
        """
        outcomes = {step: self.outcome(step, sanitize) for step in steps}
        for step, outcome in outcomes.items():
            if isinstance(outcome, BuildFailed):
                raise WorkerError(f"step {step} of the series does not compile: {outcome.text}")
        return Libraries.of(outcomes)


def flags() -> tuple[str, ...]:
    """Flags for the compiler at hand."""
    return FLAGS if find_compiler().is_clang else (*FLAGS, KEEP)


def carry(fault: Fault, before: str, after: str) -> str | None:
    """A later text of the fault's file with the fault in it.

    None when the lines that the fault touches are not in it any more.
    """
    first = before.count("\n", 0, fault.start)
    last = before.count("\n", 0, fault.end) + 1
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    faulty = fault.put_into(before).splitlines(keepends=True)
    lines = faulty[first : len(faulty) - (len(old) - last)]
    for a, b, size in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        if a <= first and last <= a + size:
            at = b + first - a
            return "".join([*new[:at], *lines, *new[at + last - first :]])
    return None
