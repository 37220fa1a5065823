"""The C of the steps as a lane: built when a step is first asked for."""

from __future__ import annotations

from pathlib import Path

from replay.build.compile import BuildFailed, Built, Outcome, build
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Run
from replay.dirty.native.model import NativeModel
from replay.dirty.native.session import Libraries
from replay.errors import UsageError
from replay.search.bisect import Answer
from replay.series.latertrees import later_tree
from replay.series.names import Later, before
from replay.series.subject import Unbuilt
from replay.series.symptoms import Ask
from replay.series.trees import StepTree, trees


class Compiled:
    """The C of a series, the built-in one or a changed copy in a folder."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.outcomes: dict[int, Outcome] = {}
        self.trees: dict[int, StepTree] | None = None

    def outcome(self, step: int) -> Outcome:
        """The C of a step, built."""
        if self.trees is None:
            self.trees = {tree.step: tree for tree in trees(self.folder)}
        if step not in self.outcomes:
            if isinstance(step, Later) and step not in self.trees:
                last = self.trees[max(s for s in self.trees if not isinstance(s, Later))]
                self.trees[step] = later_tree(step, last, self.folder)
            if step not in self.trees:
                raise UsageError(f"the series has no step {step}")
            self.outcomes[step] = build(step, self.trees[step].files)
        return self.outcomes[step]

    def run(self, step: int, trace: Trace) -> Run | Unbuilt:
        """Run a trace; a step that cannot be built is a value."""
        made = self.outcome(step)
        if isinstance(made, BuildFailed):
            return Unbuilt(step, made.text)
        return NativeModel(step, Libraries.of({step: made})).run(trace)

    def takes(self, trace: Trace) -> bool:
        """The C has words of 64 bits."""
        return trace.config.word_bits == 64

    def code(self, name: str) -> Ask:
        """Bad: the code of a function (or a section's bytes) is not that of the step before."""
        from replay import elf  # pyelftools, for those who ask about a binary alone

        def ask(step: int) -> tuple[Answer, str]:
            if step == 0:
                return Answer.GOOD, "the start"
            old, new = self.outcome(before(step)), self.outcome(step)
            if not isinstance(old, Built) or not isinstance(new, Built):
                return Answer.SKIP, "does not build"
            if name.startswith("."):
                sizes = [_section(made.path, name) for made in (old, new)]
                same = sizes[0] == sizes[1]
                return (Answer.GOOD if same else Answer.BAD), f"{sizes[0]} -> {sizes[1]} bytes"
            found = elf.compare(old.path, new.path, elf.select((name,)))
            if not found.functions:
                return Answer.GOOD, "not there"
            changes = list(found.changes())
            if not changes:
                return Answer.GOOD, "the same code"
            return Answer.BAD, ", ".join(change.change.value for change in changes)

        return ask


def _section(path: Path, name: str) -> int | None:
    from replay import elf

    for section in elf.show(path).sections:
        if section.name == name:
            return section.size
    return None
