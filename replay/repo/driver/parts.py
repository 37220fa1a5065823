"""C for structs and arrays: their types, which parts of them are observed, where pointers point.

All as ``replay.repo.structs`` does it in the worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.repo.driver.pieces import TYPES, key, size

BUFFERS: Final = ("bytes", "inout", "string", "out", "storage")
"""Roles of what a pointer may point into."""
_KINDS: Final = {"p": 1, "bi": 2, "bu": 2}


@dataclass(slots=True)
class Layouts:
    """The layouts that an interface has, each with a number."""

    known: dict[str, int] = field(default_factory=dict)

    def number(self, layout: Mapping[str, Any]) -> int:
        """The number of a layout."""
        return self.known.setdefault(json.dumps(layout, sort_keys=True), len(self.known))

    def type_of(self, data: Mapping[str, Any]) -> str | None:
        """The C type of a parameter or result; None where there is none."""
        if data["type"] != "s":
            return TYPES.get(data["type"])
        return f"struct passed_{self.number(data['layout'])}"

    def declared(self) -> Iterator[str]:
        """The types, and the tables of what is observed of them."""
        for text, number in self.known.items():
            layout = json.loads(text)
            if layout["abi"]:
                members = [
                    f"{TYPES[{'p': 'u8', 'b1': 'u1'}.get(code, code)]} m{n}[{count}];"
                    for n, (code, count) in enumerate(layout["abi"])
                ]
                yield f"struct passed_{number} {{ {' '.join(members)} }};"
            rows = ", ".join(_part(one) for one in layout["fields"])
            yield f"static const struct part parts_{number}[] = {{{rows}}};"
            count = len(layout["fields"])
            yield (
                f"static const struct parts layout_{number} = "
                f"{{{layout['size']}, {count}, parts_{number}}};"
            )

    def observed(self, arg: Mapping[str, Any], name: str, bytes_: str) -> Iterator[str]:
        """The statements that observe a buffer."""
        if arg["number"] or "layout" not in arg:
            yield f"mix_buffer(t, {name}, {bytes_});"
        else:
            number = self.number(arg["layout"])
            yield f"mix_elements(t, {name}, {bytes_}, &layout_{number});"

    def result(self, returns: Mapping[str, Any]) -> Iterator[str]:
        """The statements that observe a struct that is returned."""
        if returns["as"] == "struct":
            number = self.number(returns["layout"])
            names = json.dumps(returns["layout"], sort_keys=True)
            yield f"mix(t, {key('layout', names)});"
            yield f"mix_parts(t, (const unsigned char *)&r, &layout_{number});"


def _part(one: Sequence[Any]) -> str:
    _, offset, code, count = one
    width = 1 if code in ("c", "x", "bi", "bu") else 8 if code == "p" else int(code[1:])
    return f"{{{offset}, {count * width}, {_KINDS.get(code, 0)}}}"


def passed(n: int, arg: Mapping[str, Any]) -> tuple[list[str], str] | None:
    """What comes before the call, and what is passed; None for other roles."""
    at, role = arg["value"], arg["role"]
    if role == "struct":
        return [f"{{}} a{n};", f"memcpy(&a{n}, v{at}.data, sizeof a{n});"], f"a{n}"
    if role == "start":
        made = f"buffer(t, &v{at}, {arg['constant']}, {arg['constant']})"
        return [f"unsigned char *a{n} = {made};"], f"a{n}"
    if role == "strings":
        return [f"void *a{n} = strings(t, v{at});"], f"a{n}"
    if role == "pointer":
        return [f"void **a{n} = room(t, 8);", f"*a{n} = NULL;"], f"a{n}"
    return None


def length(arg: Mapping[str, Any], value: str) -> str | None:
    """How many elements or strings a value is; None where it is bytes or characters."""
    if arg["lines"]:
        return f"lines({value})"
    return f"{value}.size / {arg['unit']}" if arg["unit"] > 1 else None


def placed(
    data: Mapping[str, Any], pointer: str, of: str, kinds: Mapping[str, int]
) -> Iterator[str]:
    """The statements that observe where a pointer points."""
    yield "{"
    yield f"    const unsigned char *p = (const unsigned char *){pointer};"
    yield "    int found = mix_handle(t, p);"
    for n, arg in enumerate(data["args"]):
        if arg["role"] in BUFFERS and (not of or arg["name"] == of):
            bytes_ = f"v{arg['value']}.size" if arg["role"] == "bytes" else size(arg, "v{}")
            if arg["role"] == "string":
                bytes_ = f"v{arg['value']}.size - 1"
            inside = f"mix_inside(t, p, a{n}, {bytes_}, {key('in', arg['name'])})"
            yield f"    found = found || {inside};"
    for kind, bytes_ in data["sizes"].items():
        yield f"    found = found || mix_behind_handle(t, p, {kinds.get(kind, 255)}, {bytes_});"
    yield from ("    if (!found) mix(t, 9);", "}")
