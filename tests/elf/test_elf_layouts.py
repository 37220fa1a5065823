from __future__ import annotations

import json
from pathlib import Path

import pytest
from elf_builds import Build
from elf_craft import Entry, sample_unit, with_debug

from replay.elf import ElfError, Layout, layout
from replay.elf.image import Image
from replay.report.binaries import to_json, to_text

MEMBERS = ["lock", "mru", "a", "x", "y", "dirty_memory", "name", "callback", "block"]

SOURCE = """
typedef unsigned long ram_addr_t;
struct block { ram_addr_t offset; struct block *next; };
typedef struct RAMList {
    char lock;
    struct block *mru;
    union { int a; struct { char x; short y; }; };
    unsigned three:3, seven:7;
    long nine:9;
    unsigned long *dirty_memory[3];
    const volatile char *name;
    int (*callback)(void *opaque, const char *const *names, ...);
    struct block block[2][2];
    int open[];
} RAMList;
RAMList ram_list;
struct hidden *pointer;
extern struct hidden only_declared;
void *use(void) { return &only_declared; }
struct block blocks[4];
int plain;
#define O(m) __builtin_offsetof(RAMList, m), sizeof(((RAMList *)0)->m)
const unsigned expected[] __attribute__((section(".expected"))) = {
    sizeof(RAMList), O(lock), O(mru), O(a), O(x), O(y), O(dirty_memory), O(name), O(callback),
    O(block),
};
"""

TARGETS = {
    "gcc": [[], ["-m32"]],
    "clang": [[], ["-m32"], ["--target=powerpc64-linux-gnu"], ["--target=mips-linux-gnu"]],
}


def numbers(path: Path) -> list[int]:
    """What the compiler itself says, from a constant in the object."""
    with Image(path) as image:
        section = image.find(".expected")
        assert section is not None
        data = image.bytes_of(section)
        order = "little" if image.little_endian else "big"
    return [int.from_bytes(data[at : at + 4], order) for at in range(0, len(data), 4)]  # type: ignore[arg-type]


def flat(found: Layout) -> dict[str, tuple[int, int | None]]:
    pending, out = list(found.members), {}
    while pending:
        member = pending.pop()
        pending += member.members
        if member.name:
            out[member.name] = (member.offset, member.size)
    return out


def test_offsets_and_sizes_are_those_that_the_compiler_uses(
    build: Build, compiler: str, dwarf: str
) -> None:
    for target in TARGETS.get(compiler, [[]]):
        made = build(SOURCE, "-c", dwarf, *target, compiler=compiler)
        size, *rest = numbers(made)
        found = layout(made, "ram_list")
        assert found.size == size
        members = flat(found)
        told = [number for name in MEMBERS for number in members[name]]
        assert told == rest, target


def test_types_and_bit_fields_are_told(build: Build, compiler: str, dwarf: str) -> None:
    found = layout(build(SOURCE, "-c", dwarf, compiler=compiler), "ram_list")
    members = {m.name: m for m in found.members if m.name}
    assert members["dirty_memory"].type == "unsigned long *[3]"
    assert members["callback"].type == "int (*)(void *, const char *const *, ...)"
    assert members["block"].type == "struct block [2][2]"
    assert members["name"].type == "const volatile char *"
    assert (members["open"].type, members["open"].size) == ("int []", None)
    bits = [(m.offset, m.bit, m.bits) for m in found.members if m.bits is not None]
    assert bits == [(20, 0, 3), (20, 3, 7), (21, 2, 9)]
    assert found.kind == "variable"
    assert found.type == "RAMList"


@pytest.mark.parametrize(("little", "bit"), [(True, 24), (False, 5)])
def test_old_bit_fields_count_from_the_end_that_the_machine_does(
    tmp_path: Path, little: bool, bit: int
) -> None:
    path = tmp_path / "made.o"
    path.write_bytes(with_debug(sample_unit(), 2, bits=32, little=little, machine=20))
    found = layout(path, "ram_list")
    flags = found.members[1]
    assert 8 * flags.offset + (flags.bit or 0) == 64 + bit
    assert (found.members[0].offset, found.members[0].size) == (0, 8)
    assert flags.bits == 3


def test_a_layout_is_found_by_variable_tag_or_typedef(build: Build) -> None:
    made = build(SOURCE, "-c", "-g")
    size = layout(made, "ram_list").size
    assert layout(made, "RAMList").size == size
    assert layout(made, "RAMList").kind == "typedef"
    assert layout(made, "struct RAMList").size == size
    assert layout(made, "struct RAMList").kind == "struct"
    assert layout(made, "plain").members == ()
    blocks = layout(made, "blocks")
    assert (blocks.size, [m.name for m in blocks.members]) == (64, ["offset", "next"])


def test_a_definition_in_another_unit_is_preferred_to_a_declaration(build: Build) -> None:
    user = "struct hidden; extern struct hidden h; void *f(void) { return &h; }"
    owner = "struct hidden { int a, b; } h;"
    linked = build(user, owner, "-shared", "-fPIC", "-g")
    assert layout(linked, "h").size == 8
    shared = "struct open { int a; }; extern struct open o; int g(void) { return o.a; }"
    both = build(shared, "struct open { int a; } o;", "-shared", "-fPIC", "-g")
    assert layout(both, "o").file == "unit1.c"


def test_what_is_not_there_says_what_is(build: Build) -> None:
    made = build(SOURCE, "-c", "-g")
    with pytest.raises(ElfError, match="did you mean ram_list"):
        layout(made, "ram_lst")
    with pytest.raises(ElfError, match="what it is made of is not"):
        layout(made, "only_declared")
    with pytest.raises(ElfError, match="struct RAMBlock"):
        layout(made, "struct RAMBlock")


def test_a_layout_is_plain_text_and_json(build: Build) -> None:
    found = layout(build(SOURCE, "-c", "-g"), "ram_list")
    lines = to_text(found).splitlines()
    assert lines[0].startswith("variable ram_list: RAMList, ")
    assert "    20.3   7 bits  seven: unsigned" in lines
    assert json.loads(json.dumps(to_json(found)))["members"][0]["name"] == "lock"
    assert to_text(layout(build(SOURCE, "-c", "-g"), "struct block")).startswith("struct block, 16")


def test_a_struct_that_contains_itself_is_an_error(tmp_path: Path) -> None:
    member = Entry("member", {"name": "", "type": "loop", "member_at": b"\x23\x00"})
    loop = Entry("structure_type", {"name": "loop", "byte_size": 4}, [member], label="loop")
    variable = Entry("variable", {"name": "v", "type": "loop"})
    path = tmp_path / "made.o"
    path.write_bytes(with_debug(Entry("compile_unit", {"name": "a.c"}, [loop, variable])))
    with pytest.raises(ElfError, match="contains itself"):
        layout(path, "v")
