"""From a symptom to the guilty step: a search over steps that knows nothing of models.

A predicate says of a step whether it is good, bad, or cannot be judged. Where going bad
is for good (*monotone*), a binary search finds the first bad step in a handful of probes;
where it is not, every step is asked, and the answer says so. Probes are kept, in order,
so that a search can be written down and repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.errors import UsageError

LOG_FORMAT: Final = "replay-bisect/1"


class Answer(StrEnum):
    """What a predicate says of a step."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"
    """It cannot be built or judged."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One step that was asked, the answer, and a few words on it."""

    step: int
    answer: Answer
    note: str = ""


Predicate = Callable[[int], tuple[Answer, str]]
"""Step to answer and a note. Asked at most once a step."""

Watch = Callable[[Probe], None]


@dataclass(slots=True)
class Bisection:
    """The outcome of a search.

    Attributes:
        method: "binary search" or "full scan".
        guilty: the steps that went bad, when their predecessor was good; with a binary
            search at most one.
        suspects: the steps among which a skipped step hides the guilty one.
        mended: the steps that went good again (full scan only).
        probes: every step asked, in order.
    """

    method: str
    guilty: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    mended: tuple[int, ...] = ()
    probes: list[Probe] = field(default_factory=list)


class _Asked:
    """The predicate, its answers kept, each probe told."""

    def __init__(self, predicate: Predicate, watch: Watch | None) -> None:
        self.predicate = predicate
        self.watch = watch
        self.probes: dict[int, Probe] = {}

    def __call__(self, step: int) -> Answer:
        if step not in self.probes:
            answer, note = self.predicate(step)
            self.probes[step] = Probe(step, answer, note)
            if self.watch:
                self.watch(self.probes[step])
        return self.probes[step].answer

    def in_order(self) -> list[Probe]:
        return list(self.probes.values())


def binary_search(
    predicate: Predicate, good: int, bad: int, watch: Watch | None = None
) -> Bisection:
    """The first bad step after ``good``, where bad stays bad up to ``bad``.

    Both ends are asked first, since a search from wrong ends finds nonsense.

    Raises:
        UsageError: the ends are not what they are said to be.
    """
    ask = _Asked(predicate, watch)
    if ask(good) is not Answer.GOOD:
        raise UsageError(
            f"step {good} is {ask.probes[good].answer.value}, not good "
            f"({ask.probes[good].note or 'no more is known'}); choose an earlier one with --good"
        )
    if ask(bad) is not Answer.BAD:
        raise UsageError(
            f"step {bad} is {ask.probes[bad].answer.value}, not bad "
            f"({ask.probes[bad].note or 'no more is known'}): there is nothing to find"
        )
    skipped: set[int] = set()
    while untried := [step for step in range(good + 1, bad) if step not in skipped]:
        middle = min(untried, key=lambda step: (abs(2 * step - good - bad), step))
        answer = ask(middle)
        if answer is Answer.SKIP:
            skipped.add(middle)
        elif answer is Answer.BAD:
            bad = middle
        else:
            good = middle
    result = Bisection("binary search", probes=ask.in_order())
    between = [step for step in range(good + 1, bad) if step in skipped]
    if between:
        result.suspects = (*between, bad)
    else:
        result.guilty = (bad,)
    return result


def every_change(
    predicate: Predicate, steps: Sequence[int], watch: Watch | None = None
) -> Bisection:
    """Ask every step of a predicate that is bad where something changes: all that are."""
    ask = _Asked(predicate, watch)
    answers = {step: ask(step) for step in steps}
    return Bisection(
        "full scan",
        guilty=tuple(step for step, answer in answers.items() if answer is Answer.BAD),
        suspects=tuple(step for step, answer in answers.items() if answer is Answer.SKIP),
        probes=ask.in_order(),
    )


def full_scan(predicate: Predicate, steps: Sequence[int], watch: Watch | None = None) -> Bisection:
    """Ask every step: all that go bad, and all that go good again."""
    ask = _Asked(predicate, watch)
    result = Bisection("full scan")
    guilty, mended, suspects = [], [], []
    last: Answer | None = None
    pending: list[int] = []
    for step in steps:
        answer = ask(step)
        if answer is Answer.SKIP:
            pending.append(step)
            continue
        if answer is Answer.BAD and last is Answer.GOOD:
            if pending:
                suspects += [*pending, step]
            else:
                guilty.append(step)
        if answer is Answer.GOOD and last is Answer.BAD:
            mended.append(step)
        last, pending = answer, []
    result.guilty, result.mended, result.suspects = tuple(guilty), tuple(mended), tuple(suspects)
    result.probes = ask.in_order()
    return result


# --- logs ---------------------------------------------------------------------------


def log_lines(question: dict[str, Any], result: Bisection) -> Iterator[str]:
    """A search as JSON lines: the question, the probes, the outcome."""
    yield json.dumps({"format": LOG_FORMAT, "question": question, "method": result.method})
    for probe in result.probes:
        step = _value(probe.step)
        yield json.dumps({"step": step, "answer": probe.answer.value, "note": probe.note})
    found = {"guilty": result.guilty, "suspects": result.suspects}
    yield json.dumps({name: [_value(step) for step in steps] for name, steps in found.items()})


def _value(step: int) -> int | str:
    """A step that is more than a number is written by its name."""
    return step if type(step) is int else str(step)


def read_log(
    path: Path, last: int, named: Callable[[str], int | None] = lambda name: None
) -> tuple[dict[str, Any], list[Probe]]:
    """The question of a log, and what was answered.

    Args:
        path: the log.
        last: the last step that has a number alone.
        named: the step of a name, for those that have one; None where there is none.

    Raises:
        UsageError: not such a log; the message names the file and the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    values = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(
                f"{path}:{number}: not a line of JSON: {printable(line)[:60]}"
            ) from None
        if not isinstance(value, dict):
            raise UsageError(f"{path}:{number}: a line of a bisect log is a JSON object")
        values.append(value)
    head = values[0] if values else {}
    if head.get("format") != LOG_FORMAT or not isinstance(head.get("question"), dict):
        raise UsageError(f"{path}:1: not a bisect log; its first line has format {LOG_FORMAT!r}")
    probes = [
        _probe(value, f"{path}:{number}", last, named)
        for number, value in enumerate(values[1:], 2)
        if "step" in value
    ]
    return head["question"], probes


def _probe(
    value: dict[str, Any], where: str, last: int, named: Callable[[str], int | None]
) -> Probe:
    try:
        answer = Answer(str(value.get("answer")))
    except ValueError:
        raise UsageError(
            f"{where}: answer is {value.get('answer')!r}; it is good, bad or skip"
        ) from None
    step = value["step"]
    known = named(step) if isinstance(step, str) else None
    if type(step) is int and 0 <= step <= last:
        known = step
    if known is None:
        raise UsageError(f"{where}: step is {step!r}; it is a number from 0 to {last}")
    return Probe(known, answer, str(value.get("note", "")))
