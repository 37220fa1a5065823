"""What a step of the series is: its words, its source, its deltas; and a function's life."""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import textwrap
from itertools import groupby
from typing import Any

from refmodels import delta
from replay.base.style import PLAIN, Style
from replay.errors import UsageError
from replay.series import declared as series

WIDTH = 80


def step_lines(number: int, style: Style = PLAIN) -> list[str]:
    """A step as its patch reads: docstring, claim, API delta, and its own source.

    Raises:
        UsageError: there is no such step.
    """
    _check(number)
    lines = [style.strong(f"step {number}: {series.load().title(number)}")]
    if number:
        step = series.load().step(number)
        theme = next(t for t in series.load().themes if t.letter == step.theme)
        lines.append(style.dim(f"theme {step.theme}, {theme.title}; {step.kind}"))
    lines += ["", *_body(number)]
    if number:
        lines += ["", *_claim(series.load().step(number))]
    lines += ["", style.strong("What it touches"), *_delta_lines(number)]
    lines += ["", style.strong("API"), *_api_lines(number, style)]
    if number:
        lines += [
            "",
            style.strong(f"Source, {_file(number)}"),
            "",
            *own_source(number).splitlines(),
        ]
    else:
        lines += ["", "The source of step 0 is long: replay show 0 --whole"]
    return lines


def step_json(number: int) -> dict[str, Any]:
    """A step as plain values: series.toml's of it, its delta, docstring and source.

    Raises:
        UsageError: there is no such step.
    """
    _check(number)
    declared = series.to_json(series.load().step(number)) if number else {}
    return {
        "number": number,
        "title": series.load().title(number),
        "docstring": _docstring(number),
        "file": _file(number),
        "deltas": [
            {
                "action": entry.action,
                "kind": _kind(entry, number),
                "name": entry.name,
                "file": entry.home,
                "value": entry.value if entry.kind == "constant" else None,
            }
            for entry in delta.load(number).deltas
        ],
        "source": own_source(number),
        "series": declared,
        "api": sorted(series.load().api(number)),
    }


def whole_lines(number: int) -> list[str]:
    """The folded source of a step, file by file.

    Raises:
        UsageError: there is no such step.
    """
    _check(number)
    return delta.whole_source(number).rstrip().splitlines()


def _check(number: int) -> None:
    if not 0 <= number <= delta.LAST_STEP:
        raise UsageError(f"there is no step {number}: steps run from 0 to {delta.LAST_STEP}")


def own_source(number: int) -> str:
    """The module of a step without its docstring; of step 0, which is a package, all of it."""
    if number == 0:
        return delta.whole_source(0)
    source = inspect.getsource(importlib.import_module(delta.step_module(number)))
    first = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[first.end_lineno :]).strip("\n")


def _docstring(number: int) -> str:
    module = importlib.import_module(delta.step_module(number))
    # A string after the first statement, as step 0's module has it, is found as well.
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return inspect.cleandoc(str(node.value.value))
    return ""


def _body(number: int) -> list[str]:
    """The docstring without its first line, which is the title; paragraphs are filled anew."""
    lines = _docstring(number).splitlines()
    body = lines[2:] if len(lines) > 2 and not lines[1] else lines
    filled: list[str] = []
    for plain, group in groupby(body, lambda line: bool(line) and not line[0].isspace()):
        paragraph = list(group)
        filled += textwrap.wrap(" ".join(paragraph), WIDTH) if plain else paragraph
    return filled


def _file(number: int) -> str:
    path = delta.step_module(number).replace(".", "/")
    return f"{path}.py" if number else f"{path}/"


def _claim(step: series.StepData) -> list[str]:
    lines = _wrapped(f"Claim: {step.claim}")
    if step.needs:
        lines.append("Needs " + ", ".join(f"step {need}" for need in step.needs))
    for deviation in step.deviations:
        lines += _wrapped(f"Deviation {deviation.id} ({deviation.kind}): {deviation.text}")
    for name in step.breaks:
        lines.append(f"Breaks the property {name}")
    if step.domain:
        lines += _wrapped(f"Domain: {step.domain}")
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), WIDTH, subsequent_indent="  ")


# --- deltas -------------------------------------------------------------------------


def _kind(entry: delta.Delta, number: int) -> str:
    """Of a removed name the delta does not say what it was; the step before does."""
    if entry.action == "adds" or number == 0:
        return entry.kind
    return delta.table(number - 1)[entry.name].kind


def _delta_lines(number: int) -> list[str]:
    entries = delta.load(number).deltas
    if number == 0:
        kinds = [entry.kind for entry in entries]
        return [
            f"  {kinds.count('function')} functions, {kinds.count('constant')} constants, "
            f"{kinds.count('field')} field of ram_list, in "
            f"{len({entry.home for entry in entries})} files"
        ]
    return [f"  {entry.action:8} {_entry_text(entry, number)}" for entry in entries] or [
        "  nothing"
    ]


def _entry_text(entry: delta.Delta, number: int) -> str:
    kind = _kind(entry, number)
    text = entry.name
    if kind == "constant":
        text = f"constant {entry.name}"
        if entry.action != "removes":
            text += f" = {entry.value}"
    elif kind == "field":
        text = f"field ram_list.{entry.name}"
    if entry.action in ("moves", "declares"):
        return f"{text} -> {entry.home}"
    return text


def _api_lines(number: int, style: Style) -> list[str]:
    if number == 0:
        return [f"  {prototype};" for prototype in series.load().start.api]
    step = series.load().step(number)
    lines = [style.bad(f"  - {prototype};") for prototype in step.removes]
    for old, new in step.changes:
        lines += [style.bad(f"  - {old};"), style.good(f"  + {new};")]
    lines += [style.good(f"  + {prototype};") for prototype in step.adds]
    lines += [f"  moved: {move}" for move in step.moves]
    return lines or ["  no prototype changes"]


# --- the life of a function -----------------------------------------------------------


def life_lines(name: str, number: int | None = None, style: Style = PLAIN) -> list[str]:
    """When a name came, changed, moved and went; with ``number``, its source at that step.

    Raises:
        UsageError: no step has the name, or that step has not.
    """
    events = _life(name)
    lines = [style.strong(name)]
    for step, action in events:
        lines.append(f"  step {step:2}  {action:8}  {series.load().title(step)}")
    gone = events[-1][1] == "removes"
    lines.append(f"  {'gone since step ' + str(events[-1][0]) if gone else 'there at the end'}")
    if number is not None:
        lines += ["", style.strong(f"at step {number}, {_entry(name, number).home}"), ""]
        lines += _source(name, number).splitlines()
    return lines


def life_json(name: str, number: int | None = None) -> dict[str, Any]:
    """The life of a name as plain values.

    Raises:
        UsageError: as :func:`life_lines`.
    """
    events = _life(name)
    found: dict[str, Any] = {
        "name": name,
        "life": [{"step": step, "action": action} for step, action in events],
    }
    if number is not None:
        found["step"] = number
        found["file"] = _entry(name, number).home
        found["source"] = _source(name, number)
    return found


def _life(name: str) -> list[tuple[int, str]]:
    events = list(delta.life(name))
    if not events:
        steps = range(delta.LAST_STEP + 1)
        known = {entry.name for step in steps for entry in delta.load(step).deltas}
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"; did you mean '{near[0]}'?" if near else "; replay show 0 --whole lists all"
        raise UsageError(f"no step has a function {name!r}{hint}")
    return events


def _entry(name: str, number: int) -> delta.Entry:
    entry = delta.table(number).get(name)
    if entry is None:
        first = next(iter(delta.life(name)))[0]
        when = f"it comes with step {first}" if number < first else "it is gone by then"
        raise UsageError(f"step {number} has no function {name!r}: {when}")
    return entry


def _source(name: str, number: int) -> str:
    entry = _entry(name, number)
    if entry.kind == "function":
        return delta.source(entry.value)
    return f"{name} = {entry.value}" if entry.kind == "constant" else f"ram_list.{name}"
