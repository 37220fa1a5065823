"""Reading ``expect.toml``: which differences are intended, each with its commit and reason.

    format = "replay-expect/1"

    [[expect]]
    subject = "fees are rounded up"      # or patch_id = "…", as git patch-id --stable gives it
    functions = ["fee"]                  # by default any
    fields = ["ret", "out rest"]         # as reports name them, see below
    kind = "new result"                  # in your own words
    reason = "halves were lost"
    rule = "rules.py:rounds_up"          # a Python function beside the file, which is EXECUTED
    results = [{ call = "fee(amount=15)", now = 3 }]    # or: new results on these inputs alone

A field is ``ret``, ``made``, ``skipped``, ``errno``, ``stdout``, ``stderr``, ``crash``,
``hang``; ``out NAME`` of a parameter, ``observer NAME``, ``data NAME`` with all its members,
``behind KIND``; or one of these names alone. As a report shows them will do as well:
``returns``, ``count(ring1)``, ``table[3]``.

Of a program a field is ``stdout``, ``stderr``, ``status``, ``crash``, ``hang``, ``end`` for any
of these three, ``file NAME`` as it is written in the folder of a run, or ``files``; there are no
functions and no results.

A rule is ``rule(operation, values, before, after) -> bool``: the name, the values of the call
by the names of its parameters, and both records, see ``replay.repo.worker``. Where a call or
its end is missing, the record is ``{"crash": how}`` or ``{"hang": how}``. Of a program the
operation is ``run``, the values are ``args``, ``stdin`` and ``files`` as far as they are given,
and a record is described in ``replay.repo.program.expecting``.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from replay.base.jsonlines import nearest, shown
from replay.repo.bindinglines import line_of, lines_of
from replay.repo.errors import ExpectError
from replay.repo.tomlfile import parse_tables, read_text

FORMAT: Final = "replay-expect/1"
LEAST_PATCH_ID: Final = 7

_KEYS: Final = (
    "subject", "patch_id", "functions", "fields", "kind", "reason", "rule", "results",
)  # fmt: skip
_PATCH_ID: Final = re.compile(f"[0-9a-f]{{{LEAST_PATCH_ID},64}}")
_CALL: Final = re.compile(r"(?:\w+ = )?([A-Za-z_]\w*)\((.*)\)", re.ASCII | re.DOTALL)
_ARGUMENT: Final = re.compile(
    r"""\s*([A-Za-z_]\w*)\s*=\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,\s]+)\s*(?:,|$)""",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class NewResult:
    """What a call gives from this commit on: of any object, where it names none."""

    text: str
    op: str
    values: tuple[tuple[str, int | float | str], ...]
    now: int | float | str | bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference that is declared.

    Attributes:
        number: of the entry in its file, counted from 1.
        line: where it stands.
        path: of the file.
        subject: of the commit, and ``patch_id``: of its change; one of the two may be empty.
        functions: at whose calls something differs; none for any.
        fields: what differs there, as in the file.
        kind, reason: in words.
        rule: a Python file and a function in it that says whether a difference is the
            declared one; None where any is.
        results: the only calls that are concerned, each with its result; none for all.

    """

    number: int
    line: int | None
    path: Path
    subject: str
    patch_id: str
    functions: tuple[str, ...]
    fields: tuple[str, ...]
    kind: str
    reason: str
    rule: tuple[Path, str] | None = None
    results: tuple[NewResult, ...] = ()

    @property
    def key(self) -> str:
        """What to call it: ``expect[2]``."""
        return f"expect[{self.number}]"

    @property
    def place(self) -> str:
        """Where it stands: ``expect.toml:12: expect[2]``."""
        return f"{self.path}:{self.line}: {self.key}" if self.line else f"{self.path}: {self.key}"

    @property
    def text(self) -> str:
        """What it declares: ``fee: ret, out rest``."""
        return ": ".join(filter(None, (", ".join(self.functions), ", ".join(self.fields))))

    def fail(self, problem: str, key: str = "") -> NoReturn:
        """Raise what is wrong with it."""
        raise ExpectError(problem, self.path, self.line, f"{self.key}.{key}" if key else self.key)


def read_expect(path: Path) -> tuple[Entry, ...]:
    """The entries of a file.

    Raises:
        ExpectError: it cannot be read, or something in it is wrong.

    """
    cure = "replay verify --write-expect FILE drafts one"
    text = read_text(path, cure, "declare nothing", ExpectError)
    return _File(path, lines_of(text)).entries(parse_tables(text, path, ExpectError))


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    lines: dict[str, int]

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise what is wrong at a key; the line is that of the nearest key above it."""
        raise ExpectError(problem, self.path, line_of(self.lines, key), key)

    def entries(self, data: dict[str, Any]) -> tuple[Entry, ...]:
        for name in data:
            if name not in ("format", "expect"):
                self.fail(name, f"unknown key {shown(name)}{nearest(name, ('format', 'expect'))}")
        if data.get("format") != FORMAT:
            found = f"is {shown(data['format'])}" if "format" in data else "is missing"
            self.fail("format", f'the format {found}; write format = "{FORMAT}"')
        tables = data.get("expect", [])
        if not isinstance(tables, list):
            self.fail("expect", "write [[expect]], with double brackets: there may be several")
        return tuple(self.entry(table, number) for number, table in enumerate(tables, 1))

    def entry(self, table: Any, number: int) -> Entry:
        key = f"expect[{number}]"
        if not isinstance(table, dict):
            self.fail(key, f"this must be a table, with the keys {', '.join(_KEYS)}")
        for name in table:
            if name not in _KEYS:
                free = [one for one in _KEYS if one not in table]
                self.fail(f"{key}.{name}", f"unknown key {shown(name)}{nearest(name, free)}")
        subject, patch_id = (self.text(table, key, name) for name in ("subject", "patch_id"))
        if not subject and not patch_id:
            self.fail(key, 'which commit? Write subject = "…", or patch_id = "…"')
        if patch_id and not _PATCH_ID.fullmatch(patch_id):
            self.fail(f"{key}.patch_id", f"{shown(patch_id)} is none; git patch-id --stable tells")
        for name, why in (("kind", "say what it is"), ("reason", "say why it is right")):
            if not self.text(table, key, name):
                self.fail(f"{key}.{name}", f'{why}, in words: {name} = "…"')
        results = self.results(table, key)
        fields = self.texts(table, key, "fields")
        if not fields and not results:
            self.fail(f"{key}.fields", 'what differs? Write fields = ["ret"], as reports name it')
        functions = self.texts(table, key, "functions") or tuple(
            dict.fromkeys(one.op for one in results)
        )
        return Entry(
            number, self.lines.get(key), self.path, subject, patch_id, functions,
            fields or ("ret",), self.text(table, key, "kind"), self.text(table, key, "reason"),
            self.rule(table, key), results,
        )  # fmt: skip

    def text(self, table: dict[str, Any], key: str, name: str) -> str:
        value = table.get(name, "")
        if not isinstance(value, str):
            self.fail(f"{key}.{name}", f"{shown(value)} must be a text in quotes")
        return value.strip()

    def texts(self, table: dict[str, Any], key: str, name: str) -> tuple[str, ...]:
        value = table.get(name, [])
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) and one.strip() for one in several):
            self.fail(f"{key}.{name}", 'write names in quotes, as in ["fee", "total"]')
        return tuple(" ".join(one.split()) for one in several)

    def rule(self, table: dict[str, Any], key: str) -> tuple[Path, str] | None:
        text = self.text(table, key, "rule")
        if "rule" not in table:
            return None
        file, colon, name = text.rpartition(":")
        if not colon or not file or not name.isidentifier():
            self.fail(f"{key}.rule", f'{shown(text)}: write FILE:FUNCTION, as in "rules.py:fits"')
        path = self.path.parent / file
        if not path.is_file():
            self.fail(f"{key}.rule", f"{path}: no such file; it stands beside this one")
        return path.resolve(), name

    def results(self, table: dict[str, Any], key: str) -> tuple[NewResult, ...]:
        value = table.get("results", [])
        if not isinstance(value, list):
            self.fail(f"{key}.results", 'write a list, as in [{ call = "f(n=15)", now = 3 }]')
        return tuple(self.result(one, f"{key}.results") for one in value)

    def result(self, value: Any, key: str) -> NewResult:
        if not isinstance(value, dict) or value.keys() != {"call", "now"}:
            self.fail(key, 'each is of the form { call = "f(n=15)", now = 3 }')
        call, now = value["call"], value["now"]
        found = _CALL.fullmatch(call.strip()) if isinstance(call, str) else None
        if found is None or not isinstance(now, int | float | str):
            self.fail(key, 'each is of the form { call = "f(n=15)", now = 3 }')
        assert isinstance(call, str)
        values, rest = [], found[2].strip()
        while rest:
            one = _ARGUMENT.match(rest)
            if one is None:
                self.fail(key, f'{shown(call)}: the values are written as in f(n=15, s="ab")')
            values.append((one[1], _value(one[2])))
            rest = rest[one.end() :]
        return NewResult(call.strip(), found[1], tuple(values), now)


def _value(text: str) -> int | float | str:
    """A value as a report writes it: a number, a text in quotes, or a word."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, int | float | str) else text
