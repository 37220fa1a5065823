"""Entries that are read by plans are those that pyelftools reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from elf_builds import Build

from replay.elf import units
from replay.elf.debug import DebugInfo
from replay.elf.entries import UnreadError, leb, signed_leb
from replay.elf.image import Image

TEXT = """
typedef unsigned long size;
enum colour { RED, GREEN = -5, BLUE = 70000 };
union either { int whole; float part; };
struct node { struct node *next; enum colour c : 3; unsigned f : 5; union either e; char s[7];
  int (*call)(const struct node *, ...); double table[3][4]; };
volatile struct node first = {0};
static inline int twice(int a) { return a * 2; }
int f(struct node *restrict n, size k, ...) { return twice(n->f) + (int)k + first.f; }
_Bool g(void) { return f(0, 3); }
"""


def entries(path: Path) -> list[tuple[Any, ...]]:
    """All that is kept of a file, with what each entry has below it."""
    with Image(path) as image:
        return [
            (die.offset, die.tag, die.values, [child.offset for child in die.children])
            for unit in DebugInfo(image).units()
            for die in unit.dies.values()
        ]


@pytest.mark.parametrize("link", ["-c", "-shared"])
def test_plans_read_what_pyelftools_does(
    build: Build, monkeypatch: pytest.MonkeyPatch, compiler: str, dwarf: str, link: str
) -> None:
    path = build(TEXT, "-g", dwarf, link, "-fPIC", "-O1", compiler=compiler)
    planned = entries(path)
    asked = []

    def refuse(*args: object) -> None:
        asked.append(args)
        raise UnreadError("all")

    monkeypatch.setattr(units, "Entries", refuse)
    assert entries(path) == planned
    assert asked
    assert {"structure_type", "enumerator", "member", "subprogram"} <= {e[1] for e in planned}


def test_plans_are_used_for_what_gcc_makes(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(TEXT, "-g", "-c", compiler="gcc")

    def never(*args: object) -> None:
        raise AssertionError("read singly")

    monkeypatch.setattr(units, "_read_singly", never)
    assert entries(path)


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 128, 300, 1 << 40, -1, -64, -65, -(1 << 40)])
def test_numbers_are_read_with_their_signs(value: int) -> None:
    packed, rest = bytearray(), value
    while True:
        byte = rest & 0x7F
        rest >>= 7
        done = (rest == 0 and not byte & 0x40) or (rest == -1 and byte & 0x40)
        packed.append(byte | (0 if done else 0x80))
        if done:
            break
    assert signed_leb(b"\xff" + bytes(packed), 1) == (value, 1 + len(packed))


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 10 bytes"):
        leb(b"\xff" * 64, 0)
