from __future__ import annotations

import json
from pathlib import Path

import pytest
from elf_builds import Build
from elf_craft import sample_unit, with_debug

from replay.elf import (
    DIRTY_TRACKING,
    ElfError,
    FunctionInfo,
    functions,
    normalise_prototype,
    select,
    show,
)
from replay.report.binaries import to_json, to_text

HEADER = """
typedef unsigned long ram_addr_t;
typedef _Bool bool;
extern unsigned long *dirty_memory[3];
extern void tell(ram_addr_t start, ram_addr_t length);

static inline bool cpu_physical_memory_get_dirty(ram_addr_t start, ram_addr_t length,
                                                 unsigned client)
{
    return dirty_memory[client][start / length] & 1;
}
static inline void cpu_physical_memory_never_called(ram_addr_t addr) { tell(addr, 1); }
"""

SOURCE = """
#include "memory.h"
struct block { ram_addr_t offset; };
enum kind { RAM, ROM };
int declared_only(int x);
bool test(ram_addr_t addr, enum kind kind) {
    return cpu_physical_memory_get_dirty(addr, 4, 2) + declared_only(kind);
}
static __attribute__((noinline)) int helper(int a[static 3], const int n, volatile char *restrict p)
{
    return a[n] + *p;
}
int variadic(const char *format, ...)
{
    char c = 1; int x[3] = {1, 2, *format}; return helper(x, 1, &c);
}
void (*handler(int sig, void (*func)(int)))(int) { return func; }
unsigned long *bitmap_zero_extend(unsigned long *old, long old_nbits, long new_nbits)
{
    return old;
}
struct block many(struct block b, double d, long double ld, unsigned char uc, unsigned short us,
                  long long ll, unsigned long long ull, signed char sc, float f, const void *p,
                  int (*table)[4], const char *const *names) { return b; }
int old_style() { return 7; }
void nothing(void) { tell(0, 0); }
"""

EXPECTED = {
    "bool cpu_physical_memory_get_dirty(ram_addr_t start, ram_addr_t length, unsigned client)",
    "bool test(ram_addr_t addr, enum kind kind)",
    "int helper(int *a, const int n, volatile char *restrict p)",
    "int variadic(const char *format, ...)",
    "void (*handler(int sig, void (*func)(int)))(int)",
    "unsigned long *bitmap_zero_extend(unsigned long *old, long old_nbits, long new_nbits)",
    "struct block many(struct block b, double d, long double ld, unsigned char uc, "
    "unsigned short us, long long ll, unsigned long long ull, signed char sc, float f, "
    "const void *p, int (*table)[4], const char *const *names)",
    "int old_style()",
    "void nothing(void)",
}


def by_name(path: Path) -> dict[str, FunctionInfo]:
    found = functions(path)
    assert len({f.name for f in found}) == len(found)
    return {f.name: f for f in found}


@pytest.fixture
def sample(build: Build, compiler: str, dwarf: str, level: str) -> Path:
    headers = {"memory.h": HEADER}
    return build(SOURCE, "-c", dwarf, level, compiler=compiler, headers=headers)


def test_the_prototypes_are_those_of_the_source(sample: Path) -> None:
    found = functions(sample)
    assert {f.prototype for f in found} == EXPECTED
    for function in found:
        assert normalise_prototype(function.prototype) == function.prototype
        assert normalise_prototype(function.prototype, types_only=True) == function.types


def test_functions_that_are_not_called_or_only_declared_are_not_in_the_file(sample: Path) -> None:
    names = set(by_name(sample))
    assert not names & {"cpu_physical_memory_never_called", "declared_only", "tell"}


def test_a_function_says_whether_it_is_static_and_where_it_is(sample: Path) -> None:
    found = by_name(sample)
    assert [name for name, f in found.items() if not f.external] == [
        "cpu_physical_memory_get_dirty",
        "helper",
    ]
    assert (found["test"].file, found["test"].line) == ("unit.c", 6)
    inlined = found["cpu_physical_memory_get_dirty"]
    assert (inlined.file.removeprefix("./"), inlined.line) == ("memory.h", 7)


def test_an_inlined_function_is_there_without_code(build: Build, compiler: str) -> None:
    made = build(SOURCE, "-c", "-g", "-O2", compiler=compiler, headers={"memory.h": HEADER})
    found = by_name(made)
    inlined = found["cpu_physical_memory_get_dirty"]
    assert inlined.inlined
    assert not inlined.has_code
    assert inlined.inline == (compiler == "gcc")
    assert found["test"].has_code
    assert found["helper"].has_code
    plain = build(SOURCE, "-c", "-g", "-O0", compiler=compiler, headers={"memory.h": HEADER})
    assert by_name(plain)["cpu_physical_memory_get_dirty"].has_code


@pytest.mark.parametrize(
    "flags",
    [
        ["-gdwarf64"],
        ["-gz=zlib"],
        ["-m32"],
        ["-fdebug-types-section"],
        ["-flto", "-ffat-lto-objects"],
    ],
)
def test_unusual_debug_information_reads_the_same(build: Build, flags: list[str]) -> None:
    made = build(SOURCE, "-c", "-g", "-O2", *flags, headers={"memory.h": HEADER})
    assert {f.prototype for f in functions(made)} == EXPECTED


def test_a_function_of_a_header_is_told_once_for_all_units(build: Build, compiler: str) -> None:
    other = '#include "memory.h"\nint two(void) { return cpu_physical_memory_get_dirty(8, 1, 1); }'
    flags = ("-shared", "-fPIC", "-g", "-O1")
    linked = build(SOURCE, other, *flags, compiler=compiler, headers={"memory.h": HEADER})
    names = [f.name for f in functions(linked)]
    assert names.count("cpu_physical_memory_get_dirty") == 1
    assert "two" in names
    assert "test" in names


def test_static_functions_of_one_name_are_told_apart(build: Build) -> None:
    one = "static int same(int a) { return a; } int f(void) { return same(1); }"
    two = "static int same(long b) { return b; } int g(void) { return same(2); }"
    linked = build(one, two, "-shared", "-fPIC", "-g", "-O0")
    shown = [(f.prototype, f.file) for f in functions(linked, select(["same"]))]
    assert shown == [("int same(int a)", "unit.c"), ("int same(long b)", "unit1.c")]


def test_the_selection_is_of_names_and_patterns(build: Build) -> None:
    made = build(SOURCE, "-c", "-g", "-O2", headers={"memory.h": HEADER})
    names = [f.name for f in functions(made, DIRTY_TRACKING)]
    assert names == ["bitmap_zero_extend", "cpu_physical_memory_get_dirty"]
    assert [f.name for f in functions(made, select(["nothing"]))] == ["nothing"]
    assert "bitmap_set.part.0" in DIRTY_TRACKING
    assert "notdirty_mem_writes" not in DIRTY_TRACKING
    shown = show(made, select(["nothing", "dirty_*"]))
    assert {s.name for s in shown.symbols} == {"nothing", "dirty_memory"}


def test_symbols_and_sections_are_those_of_the_file(build: Build) -> None:
    text = (
        "int value = 3; static int zero[10]; int f(void) { return value + zero[1]; }"
        "extern int g(void); int h(void) { return g(); }"
    )
    shown = show(build(text, "-c", "-g", "-O0"))
    symbols = {s.name: (s.type, s.bind, s.size, s.place) for s in shown.symbols}
    assert symbols["value"] == ("OBJECT", "GLOBAL", 4, ".data")
    assert symbols["zero"] == ("OBJECT", "LOCAL", 40, ".bss")
    assert symbols["g"] == ("NOTYPE", "GLOBAL", 0, "UNDEF")
    assert symbols["f"][:2] == ("FUNC", "GLOBAL")
    sections = {s.name: (s.type, s.letters) for s in shown.sections}
    assert sections[".text"] == ("SHT_PROGBITS", "AX")
    assert sections[".bss"] == ("SHT_NOBITS", "WA")
    assert (shown.bits, shown.little_endian, shown.kind) == (64, True, "object")
    assert shown.symbol_table == "complete"


@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_word_size_and_byte_order_make_no_difference(
    tmp_path: Path, version: int, bits: int, little: bool
) -> None:
    path = tmp_path / "made.o"
    path.write_bytes(with_debug(sample_unit(), version, bits=bits, little=little, machine=20))
    shown = show(path)
    assert shown.functions is not None
    assert [f.prototype for f in shown.functions] == [
        "bool get_dirty(ram_addr_t addr, unsigned client)"
    ]
    assert (shown.bits, shown.little_endian, shown.dwarf) == (bits, little, (version,))


CROSS = ["powerpc64", "powerpc", "mips", "s390x", "aarch64", "riscv64", "i386"]


def test_other_machines_read_the_same_where_clang_is(build: Build, compiler: str) -> None:
    targets = CROSS if compiler == "clang" else []
    for target in targets:
        for dwarf in ("-gdwarf-4", "-gdwarf-5"):
            flags = ("-c", "-O1", dwarf, f"--target={target}-linux-gnu")
            made = build(SOURCE, *flags, compiler=compiler, headers={"memory.h": HEADER})
            assert {f.prototype for f in functions(made)} >= EXPECTED - {
                "bool cpu_physical_memory_get_dirty(ram_addr_t start, ram_addr_t length, "
                "unsigned client)",
            }, target


def test_a_stripped_file_shows_symbols_and_says_to_build_with_g(build: Build) -> None:
    stripped = build("int f(void) { return 1; }", "-shared", "-fPIC", "-s")
    shown = show(stripped)
    assert shown.functions is None
    assert "-g" in shown.problem
    assert shown.symbol_table == "dynamic"
    assert "f" in {s.name for s in shown.symbols}
    with pytest.raises(ElfError, match=r"stripped.*; build it with -g"):
        functions(stripped)


def test_an_object_without_code_of_its_own_says_how_to_build(build: Build) -> None:
    text = "struct s { int a; }; int f(struct s *p) { return p->a; }"
    flags = ("-c", "-g", "-O0", "-flto", "-fno-fat-lto-objects")
    with pytest.raises(ElfError, match="-fno-lto"):
        functions(build(text, *flags, compiler="gcc"))


def test_results_are_plain_text_and_json(build: Build) -> None:
    made = build(SOURCE, "-c", "-g", "-O2", headers={"memory.h": HEADER})
    shown = show(made)
    text = to_text(shown)
    assert "  bool test(ram_addr_t addr, enum kind kind);  unit.c:6" in text.splitlines()
    assert "[static, inline, inlined everywhere]" in text
    again = json.loads(json.dumps(to_json(shown)))
    assert again["functions"][0]["name"] == "bitmap_zero_extend"
    assert again["dwarf"] == [5]
    assert to_text(shown.functions[0]) if shown.functions else False
