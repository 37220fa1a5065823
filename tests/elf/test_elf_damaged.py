from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elf_builds import Build
from elf_craft import SYMTAB, Elf, Entry, Part, leb, sample_unit, with_debug
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from replay.elf import ElfError, compare, functions, identify, layout, show
from replay.errors import ReplayError
from replay.report.binaries import to_json, to_text

SOURCE = """
typedef unsigned long ram_addr_t;
struct list { ram_addr_t *map[3]; unsigned flag:3; union { int a; char b; }; } ram_list;
static inline int get(ram_addr_t addr, unsigned client) { return ram_list.map[client][addr] & 1; }
int test(ram_addr_t addr, int (*call)(const char *name, ...)) { return get(addr, 2) + call("x"); }
int set(int a) { switch (a) { case 0: return 7; case 1: return test(1, 0); case 2: return 9;
    case 3: return 12; case 4: return 31; case 5: return 99; } return 0; }
"""

APIS = {1: {"int get(ram_addr_t addr, unsigned client)"}, 2: {"int get(ram_addr_t addr)"}}


def everything(path: Path, whole: Path) -> None:
    """Ask all that can be asked; each answer is a value or one clear error."""
    questions: list[Callable[[], Any]] = [
        lambda: show(path),
        lambda: functions(path),
        lambda: layout(path, "ram_list"),
        lambda: compare(whole, path),
        lambda: compare(path, whole),
        lambda: identify(path, APIS),
    ]
    for question in questions:
        try:
            answer = question()
        except ReplayError as error:
            assert "\n" not in str(error)
            if isinstance(error, ElfError):
                assert str(path) in str(error)
                assert error.cure
            continue
        to_text(answer) if not isinstance(answer, tuple) else [to_text(a) for a in answer]
        to_json(answer)


KINDS = {
    "object, DWARF 5": ["-c", "-O2", "-gdwarf-5"],
    "object, DWARF 4": ["-c", "-O2", "-gdwarf-4"],
    "shared library": ["-shared", "-fPIC", "-O1", "-g"],
    "object of 32 bits, packed": ["-c", "-O1", "-g", "-m32", "-gz=zlib"],
}


@pytest.fixture(params=KINDS)
def whole(request: pytest.FixtureRequest, build: Build, compiler: str) -> Path:
    return build(SOURCE, *KINDS[request.param], compiler=compiler)


def test_a_truncated_file_is_an_answer_or_an_error(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    path = tmp_path / "cut"
    for length in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        everything(path, whole)
        with pytest.raises(ElfError):
            show(path)


VALUES = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 1 << 20), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    ),
    min_size=1,
    max_size=12,
)
FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(changes=CHANGES)
@example(changes=[(4, 1)])
@example(changes=[(5, 2)])
@example(changes=[(18, 0)])
def test_changed_bytes_give_an_answer_or_an_error(
    whole: Path, tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(whole.read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / "changed"
    path.write_bytes(data)
    everything(path, whole)


@FUZZ
@given(changes=CHANGES, cut=st.integers(0, 400))
def test_changed_debug_information_gives_an_answer_or_an_error(
    tmp_path: Path, changes: list[tuple[int, int]], cut: int
) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(with_debug(sample_unit(), 4))
    data = bytearray(whole.read_bytes())
    for at, value in changes:
        data[64 + at % 500] = value
    path = tmp_path / "changed"
    path.write_bytes(data[: len(data) - cut] if cut < 100 else data)
    everything(path, whole)


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes_give_an_answer_or_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(b"\x7fELF" + data)
    everything(path, path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"int main(void);", "not an ELF file"),
        (b"!<arch>\n", "archive.*`ar x`"),
        (b"!<thin>\n", "thin archive"),
        (b"BC\xc0\xde1234", "LLVM bitcode.*-flto"),
        (b"/* GNU ld script */", "linker script"),
        (b"MZ\x90", "Windows"),
        (b"\x7fELF", "ELF header: truncated or corrupt"),
    ],
)
def test_what_is_no_elf_file_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "given"
    path.write_bytes(data)
    with pytest.raises(ElfError, match=said) as caught:
        show(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "; " in str(caught.value)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ElfError, match="is a directory"):
        show(tmp_path)
    with pytest.raises(ElfError, match="no such file"):
        show(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ElfError, match="not a regular file"):
        show(tmp_path / "pipe")
    with pytest.raises(ElfError, match="cannot be opened"):
        show("a\0b")


def one_unit(*entries: Entry) -> Entry:
    return Entry("compile_unit", {"name": "a.c"}, list(entries))


CIRCLES = {
    "a typedef of itself": [
        Entry("typedef", {"name": "t", "type": "t"}, label="t"),
        Entry("variable", {"name": "v", "type": "t"}),
    ],
    "a pointer to itself": [
        Entry("pointer_type", {"type": "p"}, label="p"),
        Entry("variable", {"name": "v", "type": "p"}),
    ],
    "an array of itself": [
        Entry("array_type", {"type": "a"}, [Entry("subrange_type", {"upper_bound": 1})], label="a"),
        Entry("variable", {"name": "v", "type": "a"}),
    ],
    "a function that takes itself": [
        Entry(
            "subroutine_type",
            {"type": "f"},
            [Entry("formal_parameter", {"type": "f"})] * 3,
            label="f",
        ),
        Entry("variable", {"name": "v", "type": "f"}),
    ],
    "a reference to nowhere": [Entry("variable", {"name": "v", "type": 0x7FFFFFFF})],
}


@pytest.mark.parametrize("circle", CIRCLES)
def test_types_that_never_end_are_an_error(tmp_path: Path, circle: str) -> None:
    uses = Entry("subprogram", {"name": "g", "type": "bad", "low_pc": 0})
    kept = [*CIRCLES[circle]]
    bad = next((e.label for e in kept if e.label), None)
    uses.values["type"] = bad if bad else 0x7FFFFFFF
    path = tmp_path / "circle.o"
    path.write_bytes(with_debug(one_unit(*kept, uses)))
    with pytest.raises(ElfError, match=r"\.debug_info.*truncated or corrupt"):
        layout(path, "v")
    if circle == "a typedef of itself":
        # Its name is all that a prototype needs.
        assert [f.prototype for f in functions(path)] == ["t g()"]
        return
    with pytest.raises(ElfError, match=r"\.debug_info.*truncated or corrupt"):
        functions(path)


def quickly(question: Callable[[], Any], said: str) -> None:
    start = time.process_time()
    with pytest.raises(ElfError, match=said):
        question()
    assert time.process_time() - start < 20


def test_an_endless_number_is_an_error_soon(tmp_path: Path) -> None:
    elf = Elf()
    numbers = leb(1) + leb(0x11) + b"\0" + b"\x80" * 4_000_000
    unit = b"\x0c\0\0\0\x04\0\0\0\0\0\x08\x01\0\0\0\0"
    elf.parts = [Part(".debug_info", unit), Part(".debug_abbrev", numbers)]
    path = tmp_path / "number.o"
    path.write_bytes(elf.build())
    quickly(lambda: functions(path), "a number of more than 4096 bytes")


def test_a_table_of_countless_empty_files_is_an_error_soon(tmp_path: Path) -> None:
    head = b"\x05\0\x08\0" + b"\x20\0\0\0" + b"\x01\x01\x01\xfb\x0e\x0d" + bytes(12)
    lines = head + b"\x00" + leb(1 << 60)
    elf = Elf()
    root = one_unit(Entry("subprogram", {"name": "f", "low_pc": 0}))
    root.values["stmt_list"] = 0
    made = with_debug(root)
    assert made
    from elf_craft import ATTRIBUTES, Dwarf

    ATTRIBUTES["decl_file"] = (0x3A, "data1")
    root.children[0].values["decl_file"] = 1
    elf.parts = Dwarf(root, elf).sections()
    elf.parts.append(Part(".debug_line", len(lines).to_bytes(4, "little") + lines))
    path = tmp_path / "files.o"
    path.write_bytes(elf.build())
    quickly(lambda: functions(path), "entries without fields")


def test_units_that_share_a_table_too_often_are_an_error_soon(tmp_path: Path) -> None:
    # Every unit reads the rest of one long table again, from a place of its own.
    table = (leb(1) + leb(0x11) + b"\0\0\0") * 20_000
    units = b"".join(
        b"\x08\0\0\0\x04\0" + (5 * n).to_bytes(4, "little") + b"\x08\x01" for n in range(8_000)
    )
    elf = Elf(parts=[Part(".debug_info", units), Part(".debug_abbrev", table + b"\0")])
    path = tmp_path / "units.o"
    path.write_bytes(elf.build())
    start = time.process_time()
    with pytest.raises(ElfError, match="without end"):
        functions(path)
    assert time.process_time() - start < 120


def test_a_section_that_claims_to_unpack_to_more_than_memory_is_an_error(tmp_path: Path) -> None:
    head = (1).to_bytes(4, "little") + bytes(4) + (1 << 60).to_bytes(8, "little") + bytes(8)
    packed = head + zlib.compress(bytes(1000))
    elf = Elf(parts=[Part(".debug_info", packed, flags=0x800), Part(".debug_abbrev", b"\0")])
    path = tmp_path / "packed.o"
    path.write_bytes(elf.build())
    quickly(lambda: functions(path), "more than this tool reads")


def test_a_section_without_bytes_that_claims_many_is_an_error(tmp_path: Path) -> None:
    elf = Elf(parts=[Part(".debug_info", b"", type=8, size=1 << 50)])
    path = tmp_path / "nobits.o"
    path.write_bytes(elf.build())
    quickly(lambda: functions(path), "its .debug_info is empty")


def test_functions_that_lie_upon_one_another_are_an_error_soon(tmp_path: Path) -> None:
    code = b"\x90" * 50_000
    names = b"\0" + b"".join(b"f%d\0" % n for n in range(2000))
    places = [m.start() for m in re.finditer(rb"f", names)]
    symbols = bytes(24) + b"".join(
        place.to_bytes(4, "little")
        + b"\x12\0\x01\0"
        + bytes(8)
        + (len(code) - number).to_bytes(8, "little")
        for number, place in enumerate(places)
    )
    path, other = tmp_path / "upon.o", tmp_path / "other.o"
    for name, text in ((path, code), (other, code + b"\x90")):
        elf = Elf(
            parts=[
                Part(".text", text, flags=6),
                Part(".strtab", names, type=3),
                Part(".symtab", symbols, type=SYMTAB, link=2, entry=24),
            ]
        )
        name.write_bytes(elf.build())
    quickly(lambda: compare(path, other), "lie upon one another")


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "names.o"
    path.write_bytes(
        with_debug(one_unit(Entry("subprogram", {"name": "f\x1b[2J\x07", "low_pc": 0})))
    )
    text = to_text(show(path))
    assert "\x1b" not in text
    assert "\x07" not in text
