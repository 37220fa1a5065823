"""Equal code is a proof, and what is said to have changed is what a programmer changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from replay.repo.code import CodeComparison, compare_code

SOURCE = """\
#include <stdlib.h>
#include <string.h>
int counter = 5;
static int hidden = 7;
static const int table[4] = {1, 2, 3, 4};
static const char *const names[] = {"north", "south", "east"};
static inline int clamp(int v) { return v > 100 ? 100 : v; }
static __attribute__((noinline)) int helper(int v) { return v * 3 + hidden; }
int first(int v) { return clamp(v) + 1; }
int second(int v) { hidden += v; return clamp(v * v) + helper(v); }
int looked(int v) { return table[v & 3]; }
const char *named(int v) { return names[v % 3]; }
const char *greeting(void) { return "good morning"; }
const char *parting(void) { return "good night"; }
int counted(void) { return counter++; }
double scaled(double v) { return v * 2.5; }
int chosen(int v)
{
    switch (v) {
    case 0: return counter; case 1: return helper(v); case 2: return 17;
    case 3: return abs(v - 9); case 4: return hidden; case 5: return -1;
    case 6: return helper(v + 1); default: return 0;
    }
}
__attribute__((constructor)) static void begin(void) { counter += 1; }
"""


class Shop:
    """Builds a library of a text in a folder like that of a verified commit."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.made = 0

    def build(self, text: str, *flags: str, compiler: str = "cc") -> Path:
        self.made += 1
        folder = self.place / f"tree-{self.made:040x}"
        folder.mkdir()
        (folder / "x.c").write_text(text)
        library = folder / "libx.so"
        command = [compiler, "-O2", "-g", "-fPIC", "-shared", "-Wl,--build-id", *flags,
                   "-o", "libx.so", str(folder / "x.c")]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, timeout=60)
        return library

    def compare(self, old: str, new: str, *flags: str) -> CodeComparison:
        return compare_code(self.build(old, *flags), self.build(new, *flags))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def replaced(old: str, new: str) -> str:
    assert SOURCE.count(old) == 1
    return SOURCE.replace(old, new)


IDENTICAL = CodeComparison(identical=True)


@pytest.mark.parametrize("flags", [(), ("-O0",), ("-g0",), ("-O3", "-ffunction-sections")])
def test_a_comment_changes_no_code_wherever_it_was_built(shop: Shop, flags: tuple[str]) -> None:
    assert shop.compare(SOURCE, "/* one */\n\n" + SOURCE, *flags) == IDENTICAL


def test_the_debug_information_alone_or_the_build_id_alone_is_no_change(shop: Shop) -> None:
    plain, debug = shop.build(SOURCE, "-g0"), shop.build(SOURCE, "-g3")
    assert compare_code(plain, debug) == IDENTICAL
    other = shop.build(SOURCE, "-Wl,--build-id=0x" + "ab" * 20)
    assert plain.read_bytes() != other.read_bytes()
    assert compare_code(plain, other) == IDENTICAL
    bare = [shop.build(SOURCE, "-s", f"-Wl,--build-id=0x{byte * 20}") for byte in ("ab", "cd")]
    assert bare[0].read_bytes() != bare[1].read_bytes()
    assert compare_code(*bare) == IDENTICAL


def test_a_static_function_that_is_renamed_is_no_change(shop: Shop) -> None:
    assert shop.compare(SOURCE, SOURCE.replace("helper", "assist")) == IDENTICAL
    stripped = SOURCE.replace("good night", "good luck.").replace("helper", "assist")
    assert shop.compare(SOURCE, stripped).changed == {"parting"}


def test_the_folder_of_the_build_in_a_string_is_no_change(shop: Shop) -> None:
    text = SOURCE + "const char *where(void) { return __FILE__; }\n"
    assert shop.compare(text, "/**/" + text) == IDENTICAL
    two = text.replace("good night", f"/tmp/tree-{7:040x}")
    assert shop.compare(two, two) != IDENTICAL


def test_a_line_number_in_the_code_is_a_change(shop: Shop) -> None:
    text = SOURCE + "int line(void) { return __LINE__; }\n"
    found = shop.compare(text, "/* one */\n" + text)
    assert found == CodeComparison(False, frozenset({"line"}))


MOVED = """\
static int state = 3;
int other(int v) { return v * v * v - 12 * v; }
static __attribute__((noinline)) int inner(int v) { return state + v; }
"""
ONE = "int one(int v) { state += v; return inner(v) * 7; }\n"
TWO = "int two(int v) { return v ? one(v - 1) + other(v) + inner(2) : state; }\n"


@pytest.mark.parametrize("flags", [(), ("-Wl,-Bsymbolic",), ("-fno-plt",)])
def test_functions_in_another_order_are_the_same_code(shop: Shop, flags: tuple[str]) -> None:
    head = "int one(int v);\n" + MOVED
    assert shop.compare(head + ONE + TWO, head + TWO + ONE, "-g0", *flags) == IDENTICAL


def test_functions_in_another_order_of_which_one_changed_are_not(shop: Shop) -> None:
    head = "int one(int v);\n" + MOVED
    found = shop.compare(head + ONE + TWO, head + TWO + ONE.replace("* 7", "* 9"))
    assert found == CodeComparison(False, frozenset({"one"}))
    found = shop.compare(head + ONE + TWO, head + TWO.replace("other(v)", "one(v)") + ONE)
    assert found == CodeComparison(False, frozenset({"two"}))
    # Only where the pointer leads has changed, and the two have changed places.
    more = "int (*const call)(int) = {};\nint called(int v) {{ return call(v); }}\n"
    found = shop.compare(
        head + ONE + TWO + more.format("one"), head + TWO + ONE + more.format("two")
    )
    assert not found.identical


LOCAL = """\
int seen;
#define APART static __attribute__((noinline, noipa))
APART int a(int v);
APART int b(int v);
APART int c(int v);
static int (*const table[])(int) = {a, b};
int used(int v) { return a(v) + table[v & 1](v); }
"""
A = "APART int a(int v) { seen += 3; return v * 11; }\n"
B = "APART int b(int v) { seen += 4; return v * 13; }\n"
C = "APART int c(int v) { seen += 5; return v * 17; }\nint held(int v) { return c(v) + b(v); }\n"


def test_local_functions_in_another_order_are_followed_to_where_they_went(shop: Shop) -> None:
    old = LOCAL + A + B + C
    assert shop.compare(old, LOCAL + B + A + C, "-fno-toplevel-reorder") == IDENTICAL
    called = shop.compare(old, LOCAL.replace("a(v) +", "b(v) +") + B + A + C,
                          "-fno-toplevel-reorder")  # fmt: skip
    assert called == CodeComparison(False, frozenset({"used"}))
    table = shop.compare(old, LOCAL.replace("{a, b}", "{b, a}") + B + A + C,
                         "-fno-toplevel-reorder")  # fmt: skip
    assert table == CodeComparison(False, frozenset({"used"}))


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("v * 3", "v * 5", {"helper"}),
        ("v * 2.5", "v * 2.25", {"scaled"}),
        ("good night", "good luck.", {"parting"}),
        ("good night", "see you tomorrow", {"parting"}),
        ("south", "sooth", {"named"}),
        ("south", "the south", {"named"}),
        ("{1, 2, 3, 4}", "{1, 2, 3, 5}", {"looked"}),
        ("counter = 5", "counter = 6", {"counted", "chosen", "begin"}),
        ("hidden = 7", "hidden = 8", {"second", "helper", "chosen"}),
        ("100 : v", "99 : v", {"first", "second"}),
        ("return 17", "return 18", {"chosen"}),
        ("case 5: return -1;", "case 7: return -1;", {"chosen"}),
        ("int first(int v)", "__attribute__((visibility(\"hidden\"))) int first(int v)", {"first"}),
        ("int first(int v)", "int premier(int v)", {"premier", "first"}),
        ("__attribute__((constructor)) ", "__attribute__((destructor)) ", {"begin"}),
    ],
)  # fmt: skip
def test_what_a_commit_changed_is_named_and_nothing_else(
    shop: Shop, old: str, new: str, changed: set[str]
) -> None:
    found = shop.compare(SOURCE, replaced(old, new))
    assert not found.identical
    assert not found.unknown
    # A function exported under another name is told by both, or found to be renamed.
    assert found.changed - {"frame_dummy", "__do_global_dtors_aux"} == changed
    assert shop.compare(replaced(old, new), SOURCE).identical is False


def test_the_order_of_constructors_and_the_name_of_the_library_count(shop: Shop) -> None:
    two = SOURCE + "__attribute__((constructor({}))) static void early(void) {{ counter *= 2; }}\n"
    two += "__attribute__((constructor(200))) static void late(void) {{ counter += 9; }}\n"
    found = shop.compare(two.replace("{}", "150"), two.replace("{}", "250"))
    assert not found.identical
    assert {"early", "late"} <= found.changed
    a, b = shop.build(SOURCE, "-Wl,-soname,liba.so"), shop.build(SOURCE, "-Wl,-soname,libb.so")
    found = compare_code(a, b)
    assert (found.identical, found.changed) == (False, frozenset())
    assert found.unknown == "the libraries differ in .dynstr, but no function is known to"


def test_a_stripped_library_can_be_identical_but_tells_no_function(shop: Shop) -> None:
    assert shop.compare(SOURCE, "//\n" + SOURCE, "-s") == IDENTICAL
    found = shop.compare(SOURCE, replaced("v * 3", "v * 5"), "-s")
    assert (found.identical, found.changed) == (False, frozenset())
    assert "stripped" in found.unknown


def test_an_executable_stack_is_a_change(shop: Shop) -> None:
    a, b = shop.build(SOURCE, "-Wl,-z,noexecstack"), shop.build(SOURCE, "-Wl,-z,execstack")
    assert not compare_code(a, b).identical


def test_what_is_no_library_is_not_identical_and_no_error(shop: Shop, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no library\n")
    found = compare_code(shop.build(SOURCE), text)
    assert not found.identical
    assert "not an ELF file" in found.unknown


def test_clang_too(shop: Shop) -> None:
    a = shop.build(SOURCE, compiler="clang")
    assert compare_code(a, shop.build("//\n" + SOURCE, compiler="clang")) == IDENTICAL
    for other in ("sooth", "the south"):
        found = compare_code(a, shop.build(replaced("south", other), compiler="clang"))
        assert found == CodeComparison(identical=False, changed=frozenset({"named"}))
