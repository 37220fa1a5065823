"""Reading ``binding.toml``: every defect is an error with its line, its key and the cure.

A binding is data; nothing in it is executed.

    format = "replay-binding/1"

    [library]                      # all of it may be left out
    setup = ["lib_init"]           # called before each trace, and teardown after it
    reset = ["lib_clear"]          # undoes what a trace did; [] where there is nothing to undo
    destroy_at_end = true          # destroy what a trace leaves alive
    errno = true                   # observe errno after each call
    behind = { ring = 16 }         # observe 16 bytes of memory behind each ring

    [[op]]
    function = "ring_put"          # or several, the first that is exported is called
    name = "put"                   # in traces; by default the function's
    [op.args]                      # what is left out is read from the library
    value = { range = [0, 9] }

    [[observe]]                    # called after each operation
    function = "ring_count"

    [[map]]                        # at some commits another function
    commits = "abc123..def456"
    op = "put"
    function = "ring_push"
    args = ["r", "value", 0]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from replay.base.jsonlines import nearest, shown
from replay.repo import behaving
from replay.repo.binding import MOST_BYTES, Binding, Draft, Param
from replay.repo.bindinglines import line_of, lines_of
from replay.repo.bindingmaps import read_map
from replay.repo.bindingroles import MORE_ROLES, RETURNS, choices, is_more, operations, read_role
from replay.repo.errors import BindingError
from replay.repo.shapes import TYPE_NAMES, shape_of
from replay.repo.tomlfile import parse_tables, read_text

FORMAT: Final = "replay-binding/1"
MOST_BEHIND: Final = 4096

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ROLE_KEYS: Final[dict[str, str]] = {
    "range": "int", "choices": "choice", "bytes": "bytes", "inout": "inout", "string": "string",
    "out": "out", "length_of": "length", "handle": "handle", "makes": "makes",
    "storage": "storage", "value": "value", "null": "null", "each": "each", **MORE_ROLES,
    **behaving.ROLE_KEYS,
}  # fmt: skip
_EXTRAS: Final = {
    "string": ("alphabet",), "storage": ("size",), "elements": ("fields",), **behaving.EXTRAS,
}  # fmt: skip


def read_binding(path: Path) -> Binding:
    """Read a binding file.

    Raises:
        BindingError: it cannot be read, or something in it is wrong.

    """
    text = read_text(path, "`replay init LIBRARY` writes a binding", "are no binding")
    return parse_binding(text, path)


def parse_binding(text: str, path: Path | str) -> Binding:
    """The same, of a text.

    Raises:
        BindingError: something in it is wrong.

    """
    return _File(path, lines_of(text)).binding(parse_tables(text, path))


class _File:
    def __init__(self, path: Path | str, lines: dict[str, int]) -> None:
        self.path = path
        self.lines = lines
        self.functions: dict[str, str] = {}

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise what is wrong at a key; the line is that of the nearest key above it."""
        function = self.functions.get(key.partition(".")[0], "")
        raise BindingError(problem, self.path, line_of(self.lines, key), key, function)

    # --- typed access -----------------------------------------------------------------

    def keys(self, value: Any, key: str, known: Iterable[str]) -> dict[str, Any]:
        known = tuple(known)
        if not isinstance(value, dict):
            self.fail(key, f"this must be a table, with the keys {', '.join(known)}")
        for name in value:
            if name not in known:
                free = [k for k in known if k not in value]
                place = f"{key}.{name}" if key else name
                self.fail(place, f"unknown key {shown(name)}{nearest(name, free)}")
        return value

    def tables(self, data: dict[str, Any], name: str) -> list[Any]:
        value = data.get(name, [])
        if not isinstance(value, list):
            self.fail(name, f"write [[{name}]], with double brackets: there may be several")
        return value

    def name(self, value: Any, key: str, what: str) -> str:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self.fail(key, f"{_seen(value)} is no {what}; write a C identifier in quotes")
        return value

    def names(self, value: Any, key: str, what: str) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        if not values:
            self.fail(key, f"name at least one {what}")
        return tuple(self.name(v, key, what) for v in values)

    def integer(self, value: Any, key: str, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(key, f"{_seen(value)} must be an integer from {low} to {high}")
        return value

    def flag(self, value: Any, key: str) -> bool:
        if not isinstance(value, bool):
            self.fail(key, f"{_seen(value)} must be true or false")
        return value

    def pair(self, value: Any, key: str, low: int, high: int) -> tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2:
            self.fail(key, f"{_seen(value)} must be two integers, as in [0, 9]")
        first, last = (self.integer(v, key, low, high) for v in value)
        if first > last:
            self.fail(key, f"the range is empty; write [{last}, {first}]")
        return first, last

    # --- the file ---------------------------------------------------------------------

    def binding(self, data: dict[str, Any]) -> Binding:
        self.keys(data, "", ("format", "library", "op", "observe", "map"))
        if data.get("format") != FORMAT:
            found = f"is {_seen(data['format'])}" if "format" in data else "is missing"
            self.fail("format", f'the format {found}; write format = "{FORMAT}"')
        library = self.keys(
            data.get("library", {}), "library",
            ("setup", "teardown", "reset", "destroy_at_end", "errno", "behind", "fail_malloc"),
        )  # fmt: skip
        ops = operations(self, self.tables(data, "op"))
        self.distinct(ops)
        observers = [
            self.draft(v, f"observe[{n}]", True)
            for n, v in enumerate(self.tables(data, "observe"), 1)
        ]
        known = [one.name for one in (*ops, *observers)]
        maps = [
            read_map(self, v, f"map[{n}]", known) for n, v in enumerate(self.tables(data, "map"), 1)
        ]
        simple = {
            when: self.names(library[when], f"library.{when}", "function")
            for when in ("setup", "teardown", "reset")
            if when in library and (when != "reset" or library[when] != [])
        }
        return Binding(
            self.path, tuple(ops), tuple(observers), tuple(maps),
            simple.get("setup", ()), simple.get("teardown", ()),
            self.flag(library.get("destroy_at_end", True), "library.destroy_at_end"),
            self.flag(library.get("errno", False), "library.errno"),
            self.behind(library.get("behind", {})),
            reset=simple.get("reset", ()) if "reset" in library else None,
            fail_malloc=self.flag(library.get("fail_malloc", False), "library.fail_malloc"),
        )  # fmt: skip

    def distinct(self, ops: list[Draft]) -> None:
        """Fail where there is no operation, or where two have one name."""
        if not ops:
            self.fail("op", 'no operation: add at least one [[op]] with function = "NAME"')
        seen: dict[str, str] = {}
        for op in ops:
            if op.name in seen:
                self.fail(
                    op.key, f"the name {op.name!r} is that of {seen[op.name]} too; give one of "
                    "them another name = \"…\"",
                )  # fmt: skip
            seen[op.name] = op.key

    def behind(self, value: Any) -> dict[str, int]:
        if not isinstance(value, dict):
            self.fail("library.behind", "write a table, as in { ring = 16 }")
        return {
            self.name(kind, "library.behind", "kind of handle"): self.integer(
                size, f"library.behind.{kind}", 1, MOST_BEHIND
            )
            for kind, size in value.items()
        }

    def draft(self, value: Any, key: str, observer: bool) -> Draft:
        known = ["function", "name", "args", "returns", "optional"]
        if not observer:
            known += ["makes", "destroys", "live", "weight", "requires", "varargs"]
            known += behaving.OP_KEYS
        named = value.get("function") if isinstance(value, dict) else None
        first = named[0] if isinstance(named, list) and named else named
        self.functions[key] = first if isinstance(first, str) and _NAME.fullmatch(first) else ""
        table = self.keys(value, key, known)
        if "function" not in table:
            self.fail(key, 'no function: write function = "NAME", the C function to call')
        functions = self.names(table["function"], f"{key}.function", "function")
        args = table.get("args", {})
        if not isinstance(args, dict):
            self.fail(f"{key}.args", "write [op.args] and a line for each parameter under it")
        params = [self.param(n, v, f"{key}.args.{n}", observer) for n, v in args.items()]
        return Draft(
            self.name(table.get("name", functions[0]), f"{key}.name", "name"),
            functions,
            tuple(params),
            self.returns(behaving.returned(table), f"{key}.returns"),
            behaving.made(self, table, key),
            self.kind(table, key, "destroys"),
            self.integer(table.get("live", 2), f"{key}.live", 1, 16),
            self.integer(table["weight"], f"{key}.weight", 1, 1000) if "weight" in table else 0,
            self.flag(table.get("optional", False), f"{key}.optional"),
            observer,
            self.kind(table, key, "requires") or "",
            self.lines.get(key),
            key,
            behaving.read_op(self, table, key),
        )

    def kind(self, table: dict[str, Any], key: str, name: str) -> str | None:
        if name not in table:
            return None
        if table[name] is False:
            return ""
        return self.name(table[name], f"{key}.{name}", "kind of handle")

    def returns(self, value: Any, key: str) -> str:
        if not isinstance(value, str):
            self.fail(key, f"{_seen(value)} must be a string, one of {', '.join(RETURNS)}")
        plain, _, size = value.partition(":")
        sized = plain == "bytes" and size.isdecimal() and 0 < int(size) <= MOST_BYTES
        named = plain != "bytes" and (plain in RETURNS or shape_of(plain) is not None)
        sized |= plain == "offset_of" and bool(_NAME.fullmatch(size))
        if value and not sized and (size or not named):
            hint = nearest(plain, (*RETURNS, *TYPE_NAMES))
            self.fail(key, f'unknown {shown(value)}{hint} (of bytes: "bytes:8")')
        return value

    # --- one parameter ----------------------------------------------------------------

    def param(self, name: str, value: Any, key: str, observer: bool) -> Param:
        """A parameter: one key of it is its role."""
        if not isinstance(value, dict):
            self.fail(key, f"{_seen(value)} is no role; write for instance {{ range = [0, 9] }}")
        roles = [k for k in value if k in _ROLE_KEYS and (k != "fields" or "elements" not in value)]
        known = ("type", *_ROLE_KEYS, *_EXTRAS.get(roles[0] if roles else "", ()))
        self.keys(value, key, known)
        if len(roles) != 1:
            self.fail(
                key, f"{'two roles' if roles else 'no role'}; give one of {', '.join(_ROLE_KEYS)}"
            )
        shape = None
        if "type" in value:
            text = value["type"]
            shape = behaving.type_of(text) if isinstance(text, str) else None
            if shape is None:
                hint = nearest(str(text), TYPE_NAMES)
                self.fail(f"{key}.type", f"{_seen(text)} is no C type known here{hint}")
        role = _ROLE_KEYS[roles[0]]
        if role == "each" and not observer:
            self.fail(key, "`each` is for observers; an operation has { range = [0, 9] }")
        if observer and role not in ("each", "handle", "out", "value", "null", "length"):
            self.fail(key, f"an observer is given no {roles[0]}; write each = [0, 9], or value = 0")
        if role == "int" and _has_fraction(value["range"]):
            role = "float"
        if is_more(role, value[roles[0]]):
            return Param(name, shape=shape, **read_role(self, role, value, roles[0], key))
        return Param(name, role, shape=shape, **self._role(role, value, roles[0], key))

    def _role(self, role: str, table: dict[str, Any], word: str, key: str) -> dict[str, Any]:
        value = table[word]
        readers: dict[str, Callable[[], dict[str, Any]]] = {
            "int": lambda: self._range(value, key, -(1 << 63), (1 << 64) - 1),
            "float": lambda: self._span(value, key),
            "each": lambda: self._each(value, key),
            "bytes": lambda: self._range(value, key, 0, MOST_BYTES),
            "inout": lambda: self._range(value, key, 0, MOST_BYTES),
            "string": lambda: self._string(table, key),
            "choice": lambda: {"choices": choices(self, value, key)},
            "out": lambda: self._out(value, key),
            "length": lambda: {"of": self.name(value, key, "name of a parameter")},
            "makes": lambda: {"kind": self.name(value, key, "kind of handle")},
            "storage": lambda: {
                "kind": self.name(value, key, "kind of handle"),
                "high": self.integer(table.get("size", 0), f"{key}.size", 0, MOST_BYTES),
            },
            "value": lambda: {"value": self.integer(value, key, -(1 << 63), (1 << 64) - 1)},
            "null": lambda: self._null(value, key),
        }
        own = behaving.role(self, word, table, key)
        return readers[role]() if own is None else own

    def _range(self, value: Any, key: str, low: int, high: int) -> dict[str, Any]:
        first, last = self.pair(value, key, low, high)
        return {"low": first, "high": last}

    def _span(self, value: list[Any], key: str) -> dict[str, Any]:
        for number in value:
            if isinstance(number, bool) or not isinstance(number, int | float):
                self.fail(key, f"{_seen(number)} is no number")
        if len(value) != 2 or not value[0] <= value[1]:
            self.fail(key, "write two numbers, the lower one first, as in [0.0, 1.5]")
        return {"least": float(value[0]), "most": float(value[1])}

    def _each(self, value: Any, key: str) -> dict[str, Any]:
        first, last = self.pair(value, key, -(1 << 63), (1 << 63) - 1)
        if last - first >= 256:
            self.fail(key, "an observer is called with each of these; give 256 at the most")
        return {"low": first, "high": last}

    def _string(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        alphabet = table.get("alphabet", "")
        if (
            not isinstance(alphabet, str)
            or ("alphabet" in table and not alphabet)
            or not all(0 < ord(c) < 256 for c in alphabet)
        ):
            self.fail(f"{key}.alphabet", 'write the characters to draw from, as in "abc"')
        return {**self._range(table["string"], key, 0, 4096), "alphabet": alphabet}

    def _out(self, value: Any, key: str) -> dict[str, Any]:
        if isinstance(value, str):
            return {"of": self.name(value, key, "name of a parameter")}
        return {"high": self.integer(value, key, 1, MOST_BYTES)}

    def _null(self, value: Any, key: str) -> dict[str, Any]:
        if value is not True:
            self.fail(key, "write null = true, or give another role")
        return {}


def _has_fraction(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(number, float) for number in value)


def _seen(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return shown(value)
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"
