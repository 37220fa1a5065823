"""What the trees of two versions do, as text or as plain values, a patch at a time."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.base.style import Style, counted, wrapped
from replay.mail.behaviour import Contrast, Likeness, Ruling, StepBehaviour
from replay.mail.comparing import Pairing, Status

INDENT: Final = " " * 11
CELL: Final = 24
CELL_LINES: Final = 3
FIELDS_SHOWN: Final = 8
OPS_SHOWN: Final = 12
"""Operations shown of a trace, up to the one at which the two part."""


def step_lines(
    step: StepBehaviour, row: Pairing, style: Style, brief: bool, names: tuple[str, str],
    told: set[str],
) -> list[str]:  # fmt: skip
    """What a patch does to the tree and to what it does; ``brief`` leaves out examples.

    A problem that is in ``told`` is not told again; others are added to it.
    """
    if step.problem:
        if step.problem in told:
            return [f"{INDENT}not applied, as one before it is not"]
        told.add(step.problem)
        return [f"{INDENT}not applied: {printable(step.problem)}"]
    head = _head(step, row, names)
    begins = step.ruling is not None and step.since == step.new_place
    lines = [style.bad(line) if begins else line for line in _wrap(head)] if head else []
    if brief or step.example is None:
        return lines
    if begins and row.status is not Status.CHANGED and step.trees_since != step.new_place:
        lines += _wrap(
            f"its own diff is the same in both; the trees differ since patch {step.trees_since}"
        )
    if step.perhaps:
        others = ", ".join(
            f"patch {place} of {names[side == 'new']}" for side, place in step.perhaps
        )
        lines += _wrap(f"it may have come with {others} as well")
    return lines + _example(step.example, style, names)


def _head(step: StepBehaviour, row: Pairing, names: tuple[str, str]) -> str:
    """The ruling in a line; empty where there is nothing to tell."""
    again = ": the same again" if step.again else ""
    ruling = step.ruling
    if step.same_tree:
        return f"same tree after it{again}" if again or row.status is not Status.SAME else ""
    if ruling is None:
        return "another tree after it"
    if ruling.likeness is Likeness.DIFFERS:
        return _differs(step, ruling)
    if ruling.likeness is Likeness.SAME_CODE:
        return f"another tree after it, but the same code{again}"
    if ruling.likeness is Likeness.NO_DIFFERENCE:
        return f"another tree after it, no difference in {counted(ruling.traces, 'trace')}{again}"
    still = "" if step.since == step.new_place else "still "
    sides = {"": "", "old": f"{names[0]} ", "new": f"{names[1]} "}
    said = (f"{sides[side]}{still}{ruling.likeness}: {text}" for side, text in ruling.problems)
    return printable("; ".join(said))


def _differs(step: StepBehaviour, ruling: Ruling) -> str:
    on = f"on {len(ruling.differing)} of {counted(ruling.traces, 'trace')}"
    if step.since == step.new_place:
        return f"behaves differently since this patch, {on}"
    more = f", on {step.fresh} of them only since this patch" if step.fresh else ""
    return f"still behaves differently, since patch {step.since}, {on}{more}"


def _example(example: Contrast, style: Style, names: tuple[str, str]) -> list[str]:
    """The trace up to the operation at which the two part, and what was seen there."""
    indent = INDENT + "  "
    count = len(example.ops)
    what = "shortest trace" if example.shortest else "a trace"
    lines = [style.dim(f"{INDENT}{what} ({counted(count, 'operation')}):")]
    first = max(example.index + 1 - OPS_SHOWN, 0)
    if first:
        lines.append(f"{indent}  … {first} before")
    for index, op in enumerate(example.ops[first : example.index + 1], first):
        mark = style.bad(">") if index == example.index else " "
        lines.append(f"{indent}{mark} {printable(op)}")
    if example.index >= count:
        lines.append(f"{indent}{style.bad('>')} (the end)")
    if not example.fields:
        return lines
    wide = min(max(len(printable(what)) for what, _, _ in example.fields), CELL)
    lines.append(style.dim(f"{indent}    {'':{wide}}  {names[0]:{CELL}}  {names[1]}"))
    for what, old, new in example.fields[:FIELDS_SHOWN]:
        cells = ([printable(what)[:wide]], _cell(old), _cell(new))
        for parts in zip_longest(*cells, fillvalue=""):
            lines.append(
                f"{indent}    {parts[0]:{wide}}  {parts[1]:{CELL}}  {parts[2]}".rstrip()
            )  # fmt: skip
    more = len(example.fields) - FIELDS_SHOWN
    return [*lines, f"{indent}    and {more} more"] if more > 0 else lines


def _cell(text: str) -> list[str]:
    lines = textwrap.wrap(printable(text), CELL) or [""]
    if len(lines) > CELL_LINES:
        lines = [*lines[: CELL_LINES - 1], lines[CELL_LINES - 1][: CELL - 1] + "…"]
    return lines


def _wrap(text: str) -> list[str]:
    return wrapped(text, INDENT)


def summary_lines(steps: Sequence[StepBehaviour], style: Style) -> list[str]:
    """How many patches behave how, and with which the differences begin."""
    if all(step.ruling is None for step in steps):
        return []
    counts = Counter(step.ruling.likeness if step.ruling else "" for step in steps)
    said = {"": "not applied", Likeness.DIFFERS: "differ", Likeness.NOT_BUILT: "not built"}
    told = ", ".join(f"{count} {said.get(what, what)}" for what, count in counts.items())
    begin = [str(step.new_place) for step in begins(steps)]
    line = f"behaviour after each patch: {told}"
    if begin:
        line += f"; differences begin with patch {', '.join(begin)}"
    paint = style.good if behaves_same(steps) else style.bad
    return [paint(line)]


def begins(steps: Iterable[StepBehaviour]) -> list[StepBehaviour]:
    """The steps with which a difference begins."""
    return [
        step for step in steps
        if step.ruling is not None and step.ruling.likeness is Likeness.DIFFERS
        and step.since == step.new_place
    ]  # fmt: skip


def behaves_same(steps: Sequence[StepBehaviour]) -> bool | None:
    """Whether no difference is known after any patch; None where that was not asked."""
    if not steps or all(step.ruling is None for step in steps):
        return None
    return all(step.is_same for step in steps)


def behaviour_json(step: StepBehaviour) -> dict[str, Any] | None:
    """A step's behaviour as plain values; None where it was not asked."""
    ruling = step.ruling
    if ruling is None:
        return None
    example = step.example
    return {
        "verdict": ruling.likeness.value,
        "traces": ruling.traces,
        "differing": len(ruling.differing),
        "fresh": step.fresh,
        "since": step.since or None,
        "again": step.again,
        "perhaps": [{"series": side, "patch": place} for side, place in step.perhaps],
        "problems": [{"series": side or None, "text": text} for side, text in ruling.problems],
        "example": None if example is None else {
            "trace": example.file.splitlines(),
            "ops": list(example.ops),
            "index": example.index,
            "differs": [
                {"what": what, "old": old, "new": new} for what, old, new in example.fields
            ],
            "shortest": example.shortest,
        },
    }  # fmt: skip
