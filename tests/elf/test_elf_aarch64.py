"""Code of aarch64: what is called identical is, and no mutant is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from elf_builds import Build

from replay.elf import Code, Comparison, compare, select
from replay.elf.a64 import Kind, decode
from replay.elf.a64flow import FIELDS
from replay.elf.image import Image

CROSS = "aarch64-linux-gnu-gcc"

SOURCE = """
extern int ext(const char *, ...);
extern int value;
int glob = 7;
static int count = 5;
static const int table[] = {1, 2, 3, 5, 7};
static const char *const names[] = {"a", "bb", "ccc"};
static __attribute__((noinline)) int local(int x) { return x * 3 + count++; }
static __attribute__((noinline)) int other(int x) { return x * 5 - count--; }
int says(int k) { return ext("one %d", k) + value; }
int calls(int k) { return ext("%d", local(k)); }
int others(int k) { return ext("%d", other(k)); }
double scales(double x) { return x * 3.1415 + 2.25; }
int looks(int i) { return table[i & 3] + names[i & 1][0]; }
void *points(int i) { return i ? (void *)local : (void *)ext; }
int loops(int n) { int s = 0; while (n--) { s += ext("loop %d", n) + glob; glob += s; } return s; }
int switches(int k) { switch (k) { case 0: return ext("zero"); case 1: return ext("1", k);
  case 2: return local(k); case 3: return glob; case 4: return value + 1; case 5: return 77;
  case 6: glob = 3; return 1; case 7: return ext("seven %d", k + 3); case 8: return other(k); }
  return 5; }
"""

MODES = {
    "object": ["-O2", "-c"],
    "object for libraries": ["-O2", "-c", "-fPIC"],
    "unoptimised": ["-O0", "-c", "-fPIC"],
    "library": ["-O2", "-shared", "-fPIC", "-nostdlib"],
}

CHANGES = {
    "says": [('"one %d"', '"two %d"'), ('ext("one %d", k) + value', 'ext("one %d", k) + glob')],
    "calls": [('ext("%d", local(k))', 'ext("%d", other(k))')],
    "scales": [("3.1415", "3.1416")],
    "looks": [("5, 7}", "6, 7}"), ('"bb"', '"bc"')],
    "points": [("(void *)local :", "(void *)other :")],
    "switches": [("glob = 3", "glob = 4"), ('"seven %d"', '"eight %d"'), ("case 5:", "case 9:")],
}


def code_of(found: Comparison, name: str) -> Code:
    return next(f.code for f in found.functions if f.name == name)


@pytest.mark.parametrize("mode", MODES)
def test_functions_are_identical_where_only_others_came_along(build: Build, mode: str) -> None:
    more = SOURCE.replace("int says", 'int added(int x) { return ext("added", x); }\nint says')
    found = compare(*(build(text, *MODES[mode], compiler=CROSS) for text in (SOURCE, more)))
    assert found.masked
    for name in ("says", "calls", "others", "scales", "points", "switches"):
        assert code_of(found, name) is Code.IDENTICAL


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "old", "new"), [(n, *change) for n, changes in CHANGES.items() for change in changes]
)
def test_what_code_refers_to_is_compared(
    build: Build, mode: str, name: str, old: str, new: str
) -> None:
    assert old in SOURCE
    texts = SOURCE, SOURCE.replace(old, new)
    found = compare(*(build(text, *MODES[mode], compiler=CROSS) for text in texts))
    assert code_of(found, name) in (Code.DIFFERENT, Code.DATA)


@pytest.mark.parametrize("mode", ["object", "library"])
@pytest.mark.parametrize("kind", ["int", "volatile int"])
def test_what_is_reached_from_the_anchor_of_a_section_is_told(
    build: Build, mode: str, kind: str
) -> None:
    """Variables are reached from one address by numbers, or two at once: the same in both."""
    text = f"""{kind} a, b, c, d, e;
    void set(int k) {{ a = k; b = k * 3; c = k * 5; d = k * 7; e = k * 9; }}"""
    swapped = text.replace("c = k", "X = k").replace("d = k", "c = k").replace("X = k", "d = k")
    swapped = swapped.replace("c, d", "d, c")
    flags = [*MODES[mode], "-fvisibility=hidden"]
    one, two = (build(t, *flags, compiler=CROSS) for t in (text, swapped))
    codes = []
    for path in (one, two):
        with Image(path) as image:
            codes.append(image.code_of(next(s for s in image.symbols if s.name == "set")))
    assert codes[0] == codes[1]
    found = next(f for f in compare(one, two).functions if f.name == "set")
    assert found.code is Code.DIFFERENT
    assert ("c", "d") in found.retargeted


def spots(path: Path) -> list[tuple[str, int]]:
    """(function, bit of the file) of all code that the linker does not write over."""
    found = []
    with Image(path) as image:
        for symbol in image.symbols:
            if not symbol.is_function or not symbol.size or symbol.section is None:
                continue
            section = image.sections[symbol.section]
            linked = image.type != "ET_REL"
            filled = {} if linked else {r.offset: r.type for r in image.relocations(section)}
            for at in range(symbol.value, symbol.value + symbol.size, 4):
                written = FIELDS[filled[at]] if at in filled else 0
                start = 8 * (section.offset + at - image.base(section))
                found += [(symbol.name, start + b) for b in range(32) if not written >> b & 1]
    return found


@pytest.mark.parametrize("mode", ["object", "library"])
def test_no_mutant_of_code_is_identical(build: Build, tmp_path: Path, mode: str) -> None:
    path = build(SOURCE, *MODES[mode], compiler=CROSS)
    raw, mutant = path.read_bytes(), tmp_path / "mutant"
    for name, bit in random.Random(7).sample(spots(path), 80):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        mutant.write_bytes(changed)
        found = compare(path, mutant, select([name]))
        assert code_of(found, name) is not Code.IDENTICAL, (name, bit)


def test_no_mutant_of_constants_is_identical(build: Build, tmp_path: Path) -> None:
    path = build(SOURCE, *MODES["library"], compiler=CROSS)
    with Image(path) as image:
        section = image.find(".rodata")
        assert section
        held = image.bytes_of(section)
    raw, mutant = path.read_bytes(), tmp_path / "mutant"
    for at in random.Random(7).sample([at for at, byte in enumerate(held) if byte], 30):
        changed = bytearray(raw)
        changed[section.offset + at] ^= 0x10
        mutant.write_bytes(changed)
        codes = {f.code for f in compare(path, mutant).functions}
        assert codes - {Code.IDENTICAL}, at


@pytest.mark.parametrize(
    ("word", "kind", "value"),
    [
        (0x90000001, Kind.PAGE, 0),
        (0xF00000E0, Kind.PAGE, 0x1F000),
        (0x91274000, Kind.ADD, 0x9D0),
        (0xF947D400, Kind.OFFSET, 4008),
        (0x3DC00420, Kind.OFFSET, 16),
        (0xA9BF7BFD, Kind.MEMORY, -16),
        (0x97FFFFFF, Kind.CALL, -4),
        (0x17FFFFD8, Kind.JUMP, -160),
        (0x54000500, Kind.BRANCH, 160),
        (0x37F80040, Kind.BRANCH, 8),
        (0x58000040, Kind.LITERAL, 8),
        (0x10000040, Kind.NEAR, 8),
        (0xD61F0220, Kind.COMPUTED_JUMP, 0),
        (0xD53BD042, Kind.THREAD, 0),
        (0x8B020020, Kind.MOVE, 0),
        (0x1F420400, Kind.PLAIN, 0),
    ],
)
def test_the_class_of_an_instruction_is_told(word: int, kind: Kind, value: int) -> None:
    found = decode(word)
    assert (found.kind, found.value) == (kind, value)


def test_registers_are_told() -> None:
    assert decode(0x8B020020).reads == (1, 2)
    assert decode(0xF8627823).writes == (3,)
    assert decode(0x1E260003).writes == (3,)  # fmov w3, s0
    assert not decode(0x1F420400).reads
    assert decode(0xA8C17BFD).changes


SWITCH = "int {0}(int k) {{ switch (k) {{ {1} }} return 0; }}\n"


def switching(name: str, factor: int, order: list[int]) -> str:
    cases = "".join(
        f"case {case}: return ext({factor} * {i} + k {'^+'[i % 2]} g{i % 3}); "
        for i, case in enumerate(order)
    )
    return SWITCH.format(name, cases)


@pytest.mark.parametrize("compiler", ["gcc", "clang", CROSS])
def test_tables_of_switches_that_moved_are_decided(build: Build, compiler: str) -> None:
    head = "extern int ext(int); int g0, g1, g2;\n"
    plain, swapped = list(range(9)), [0, 1, 2, 4, 3, 5, 6, 7, 8]
    one, two = switching("one", 3, plain), switching("two", 7, plain)
    flags = ["-O2", "-shared", "-fPIC", "-nostdlib"]
    first = build(head + one + two, *flags, compiler=compiler)
    moved = build(head + two + one, *flags, compiler=compiler)
    found = compare(first, moved)
    assert {code_of(found, name) for name in ("one", "two")} == {Code.IDENTICAL}
    other = build(head + switching("two", 7, swapped) + one, *flags, compiler=compiler)
    found = compare(first, other)
    assert code_of(found, "one") is Code.IDENTICAL
    assert code_of(found, "two") is Code.DIFFERENT
