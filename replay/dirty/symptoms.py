"""Symptoms as predicates over steps: what ``replay bisect`` asks of each step.

A symptom is a trace whose observations change, a property that breaks, a function of the
API, or a piece of a binary. Each can be asked of the models, of changed copies of them,
or of the C of a series. A symptom is written down as plain values, so that a log holds
the whole question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from replay.build.compile import BuildFailed, Built, Outcome, build
from replay.dirty.check import machines
from replay.dirty.language.files import read_trace
from replay.dirty.language.generate import generate
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Run
from replay.dirty.machine.run import PythonModel, python_model
from replay.dirty.native.model import NativeModel
from replay.dirty.native.session import Libraries
from replay.dirty.rules.diff import first_difference
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.errors import UsageError
from replay.git.runner import GitError
from replay.search.bisect import Answer
from replay.series.declared import Series, name_of
from replay.series.trees import trees

LANES: Final = ("python", "native")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as plain values.

    Attributes:
        trace: a trace file, "" for none.
        against: with a trace: "before" (the step before), "model" (the built-in model of
            the same step) or the number of a step.
        property: the name of a property, "" for none.
        api: the name of a function, "" for none.
        elf: a symbol or section of the binary, "" for none.
        lane: "python" or "native".
        series: the folder of a changed copy of the series, "" for the built-in one.
        copies: changed copies of models as STEP=FILE.
        traces, seed: for a property without a trace.
    """

    trace: str = ""
    against: str = "before"
    property: str = ""
    api: str = ""
    elf: str = ""
    lane: str = "python"
    series: str = ""
    copies: tuple[str, ...] = ()
    traces: int = 300
    seed: int = 1

    def plain(self) -> dict[str, Any]:
        """As in a log."""
        return {**asdict(self), "copies": list(self.copies)}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Question:
        """From a log.

        Raises:
            UsageError: a key or a value that no question has.
        """
        plain = cls().plain()
        for name, value in values.items():
            if name not in plain or type(value) is not type(plain[name]):
                raise UsageError(f"the log's question has {name} = {value!r}, which is not known")
        copies = tuple(str(copy) for copy in values.get("copies", ()))
        return cls(**{**values, "copies": copies})


class Lane:
    """Runs traces at steps, in one lane; builds C when a step is first asked for."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.outcomes: dict[int, Outcome] = {}
        self.files: dict[int, dict[str, bytes]] | None = None
        copies = tuple(_copy(text) for text in question.copies)
        self.classes = machines(copies) if question.lane == "python" else []

    def outcome(self, step: int) -> Outcome:
        """The C of a step, built."""
        if self.files is None:
            folder = Path(self.question.series) if self.question.series else None
            self.files = {tree.step: tree.files for tree in trees(folder)}
        if step not in self.outcomes:
            if step not in self.files:
                raise UsageError(f"the series has no step {step}")
            self.outcomes[step] = build(step, self.files[step])
        return self.outcomes[step]

    def run(self, step: int, trace: Trace) -> Run | BuildFailed:
        """Run a trace; a step that cannot be built is a value."""
        if self.question.lane == "python":
            return PythonModel(step, self.classes[step]).run(trace)
        made = self.outcome(step)
        if isinstance(made, BuildFailed):
            return made
        return NativeModel(step, Libraries.of({step: made})).run(trace)


def _copy(text: str) -> tuple[int, str]:
    number, _, path = text.partition("=")
    return int(number), path


Ask = Callable[[int], tuple[Answer, str]]


def trace_changes(lane: Lane, trace: Trace) -> Ask:
    """Bad: the observations of a trace are not those of the step before."""

    def ask(step: int) -> tuple[Answer, str]:
        if step == 0:
            return Answer.GOOD, "the start"
        return _compared(lane.run(step - 1, trace), lane.run(step, trace))

    return ask


def trace_against(lane: Lane, trace: Trace, against: str) -> Ask:
    """Bad: the observations are not those of the built-in model of this step, or of one."""

    def ask(step: int) -> tuple[Answer, str]:
        wanted = python_model(step if against == "model" else int(against)).run(trace)
        return _compared(wanted, lane.run(step, trace))

    return ask


def _compared(old: Run | BuildFailed, new: Run | BuildFailed) -> tuple[Answer, str]:
    for run in (old, new):
        if isinstance(run, BuildFailed):
            return Answer.SKIP, f"step {run.step} does not build"
    assert isinstance(old, Run) and isinstance(new, Run)
    found = first_difference(old, new)
    if found is None:
        return Answer.GOOD, "the same"
    return Answer.BAD, f"operation {found.index}: {', '.join(found.fields)}"


def property_breaks(lane: Lane, name: str, traces: list[Trace]) -> Ask:
    """Bad: one of the traces shows that a property does not hold."""
    check = RUN_PROPERTIES[name]

    def ask(step: int) -> tuple[Answer, str]:
        for trace in traces:
            run = lane.run(step, trace)
            if isinstance(run, BuildFailed):
                return Answer.SKIP, f"step {step} does not build"
            violation = check(trace, run.records)
            if violation:
                where = f"{trace.name or 'trace'} operation {violation.index}"
                return Answer.BAD, f"{where}: {violation.text}"
        return Answer.GOOD, f"holds on {len(traces)} traces" if len(traces) > 1 else "holds"

    return ask


def api_changes(series: Series, name: str) -> Ask:
    """Bad: a function's prototype is not what it was at the step before.

    Raises:
        UsageError: no step has such a function.
    """
    lives = {
        step: frozenset(p for p in series.api(step) if name_of(p) == name)
        for step in range(len(series.steps) + 1)
    }
    if not any(lives.values()):
        raise UsageError(f"no step declares a function {name!r}; see 'replay elf show'")

    def ask(step: int) -> tuple[Answer, str]:
        now, before = lives[step], lives.get(step - 1, lives[step])
        shown = next(iter(now), "not there")
        if now == before:
            return Answer.GOOD, shown
        word = "appears" if not before else "changes" if now else "disappears"
        return Answer.BAD, f"{word}: {next(iter(now or before))}"

    return ask


def elf_changes(lane: Lane, name: str) -> Ask:
    """Bad: the code of a function (or a section's bytes) is not that of the step before."""
    from replay import elf  # pyelftools, for those who ask about a binary alone

    def ask(step: int) -> tuple[Answer, str]:
        if step == 0:
            return Answer.GOOD, "the start"
        old, new = lane.outcome(step - 1), lane.outcome(step)
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


class Kind(StrEnum):
    """What a predicate's answers at different steps have to do with each other."""

    MONOTONE = "going bad is for good"
    FREE = "a step may be good again"
    CHANGE = "a change at one step says nothing of the next"


def ask_of(question: Question, series: Series) -> tuple[Ask, Kind]:
    """The predicate of a question, and what sort it is of.

    Raises:
        UsageError: not exactly one symptom, or one that makes no sense.
        TraceError: the trace cannot be read.
    """
    lane = Lane(question)
    if question.property:
        if question.property not in RUN_PROPERTIES:
            known = ", ".join(sorted(RUN_PROPERTIES))
            raise UsageError(f"there is no property {question.property!r}; known are {known}")
        traces = the_traces(question)
        return property_breaks(lane, question.property, traces), Kind.MONOTONE
    if question.trace:
        trace = read_trace(Path(question.trace))
        if question.against == "before":
            return trace_changes(lane, trace), Kind.CHANGE
        kind = Kind.FREE if question.against == "model" else Kind.MONOTONE
        return trace_against(lane, trace, question.against), kind
    if question.api:
        return api_changes(series, question.api), Kind.CHANGE
    if question.elf:
        return elf_changes(lane, question.elf), Kind.CHANGE
    raise UsageError("nothing to look for: give --trace, --property, --api or --elf")


def the_traces(question: Question) -> list[Trace]:
    """The trace of a question, or the random ones that it asks for."""
    if question.trace:
        return [read_trace(Path(question.trace))]
    drawn = (generate(question.seed, number) for number in range(question.traces))
    usual = question.lane == "python"
    return [trace for trace in drawn if usual or trace.config.word_bits == 64]


# --- one checked-out tree -------------------------------------------------------------


def judge_tree(
    tree: Path, trace_file: Path, name: str, against: str, step: int | None
) -> tuple[Answer, str]:
    """Judge the C tree in a folder by a trace: a property, or against a model.

    The step, where it matters, is the number of commits between HEAD and the tag
    ``step-00`` that ``replay series materialize`` sets.
    """
    trace = read_trace(trace_file)
    if step is None:
        step = step_of(tree)
    if step is None and not name and against == "model":
        return Answer.SKIP, "which step this tree is cannot be told; give --step"
    made = build(step or 0, tree)
    if isinstance(made, BuildFailed):
        return Answer.SKIP, "does not build: " + made.text.partition("\n")[0]
    run = NativeModel(step or 0, Libraries.of({step or 0: made})).run(trace)
    if name:
        violation = RUN_PROPERTIES[name](trace, run.records)
        if violation:
            return Answer.BAD, f"operation {violation.index}: {violation.text}"
        return Answer.GOOD, "holds"
    wanted = python_model(step if against == "model" and step is not None else int(against))
    return _compared(wanted.run(trace), run)


def step_of(tree: Path) -> int | None:
    """How many commits a checked-out tree is after ``step-00``; None if that is not known."""
    from replay.git.sealed import opened  # GitPython, for ``probe`` alone

    try:
        with opened(tree) as repo:
            return int(repo.sealed.run("rev-list", "--count", "step-00..HEAD", "--"))
    except (GitError, ValueError):
        return None
