"""All forty models as one script: step 0's table and each step's changes to it.

Then what each fix that came after the series changes of the last step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from refmodels import FOLD, delta
from replay.teach.page.sources import Signature, TranslationError, signature
from replay.teach.page.transpile import Names, translate
from replay.teach.page.vocabulary import FIELDS, OBSERVERS, Type

HEAD = """\
// The reference models of every step, translated from refmodels/ when the site was built.
// Step 0 is a whole table of functions; each later step says what it adds, changes and
// removes. What is not listed stays as it was.
"use strict";
replay.defineSteps(function ($) {
return [
"""

TAIL = "];\n});\n"

FIXES = """\
// What came after the last step: what all fixes stand on, and each fix by its name; which of
// them are all fixes.
replay.defineFixes(function ($) {
return {
"""

FIXES_TAIL = "};\n});\n"


def names_at(table: Mapping[str, delta.Entry]) -> Names:
    """What ``vm.name`` can stand for in the functions of a table."""
    functions: dict[str, Signature] = {}
    values: dict[str, Type] = {}
    for entry in table.values():
        if entry.kind == "constant":
            values[entry.name] = "int"
        elif entry.kind == "field":
            values[entry.name] = field_type(entry.name)
        elif entry.name not in OBSERVERS:
            functions[entry.name] = signature(entry.value)
    return Names(functions, values)


def field_type(name: str) -> Type:
    """What a field of ``ram_list`` holds.

    Raises:
        TranslationError: a field that the page does not know.

    """
    if name not in FIELDS:
        raise TranslationError(f"the field {name} is not known to replay/page/vocabulary.py")
    return FIELDS[name]


def step_script(number: int | str, step: delta.Step, table: Mapping[str, delta.Entry]) -> str:
    """One step's delta as an object of JavaScript; that of a fix under its name."""
    names = names_at(table)
    removed: list[str] = []
    entries: dict[str, list[str]] = {"constants": [], "fields": [], "functions": []}
    for change in step.deltas:
        if change.name in OBSERVERS or change.action in ("moves", "declares"):
            continue
        if change.action == "removes":
            removed.append(change.name)
        elif change.kind == "constant":
            entries["constants"].append(f"{change.name}: {int(change.value)}n,")
        elif change.kind == "field":
            entries["fields"].append(f"{change.name}{translate(change.value, names)},")
        else:
            entries["functions"].append(f"{translate(change.value, names)},")
    lines = [f"// step {number}", "{"] if isinstance(number, int) else [f"{json.dumps(number)}: {{"]
    if removed:
        lines.append(f"  removes: [{', '.join(repr(name) for name in removed)}],")
    for kind, texts in entries.items():
        if texts:
            lines += [f"  {kind}: {{", *texts, "  },"]
    return "\n".join([*lines, "},"])


def models_script(steps: Mapping[int, delta.Step] | None = None) -> str:
    """The script; ``steps`` replaces some steps by changed copies, for tests.

    Raises:
        TranslationError: a model uses what the page cannot run, with file and line.

    """
    table: delta.Table = {}
    parts = []
    for number in range(FOLD.last + 1):
        step = (steps or {}).get(number) or FOLD.load(number)
        table = delta.apply(table, step)
        parts.append(step_script(number, step, table))
    return HEAD + "\n".join(parts) + "\n" + TAIL + fixes_script(table)


def fixes_script(table: delta.Table) -> str:
    """What each fix changes of the last step.

    Args:
        table: of the last step.

    """
    ground = FOLD.fixes.ground()
    parts = []
    if ground is not None:
        table = delta.apply(table, ground, FOLD.last + 1)
        parts.append(step_script("", ground, table))
    for name in FOLD.fixes.modules:
        fix = FOLD.fixes.load(name)
        parts.append(step_script(name, fix, delta.apply(table, fix, FOLD.last + 1)))
    parts.append(f"all: {json.dumps(FOLD.names.fixes)},")
    return FIXES + "\n".join(parts) + "\n" + FIXES_TAIL


@cache
def built_in_script() -> str:
    """The script of the built-in models, made once."""
    return models_script()
