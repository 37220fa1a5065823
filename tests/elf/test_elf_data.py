"""What functions refer to and what variables hold is compared, and told with both values."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_builds import Build, run

from replay.elf import Change, Code, Comparison, DataChange, FunctionChange, Whole, compare
from replay.report.binaries import to_text

SOURCE = """
struct in { short a; double b; };
struct cfg { const char *name; int n[3]; struct in in; int (*cb)(int); unsigned f:3; };
__attribute__((noinline)) static int inc(int x) { return x + 1; }
__attribute__((noinline)) static int dec(int x) { return x - 1; }
struct cfg config = { "abc", {1, 2, 3}, {4, 2.5}, inc, 5 };
int (*const both[])(int) = { inc, dec };
double factor = 3.25; float part = 1.5f; int zero; long big = 77;
const char *const words[] = {"one", "two", "three"};
const char msg[] = "message text";
__thread int own = 3;
int nought; int *at = &zero;
double scale(double x) { return x * 3.25; }
float scalef(float x) { return x * 3.25f; }
const char *say(void) { return "hello"; }
__attribute__((noinline)) int ext(int a) { return a + zero; }
int sw(int a) { switch (a) { case 0: return ext(9); case 1: return ext(1) + 2;
    case 2: return ext(7) * 3; case 3: return 12; case 4: return ext(a) * 5;
    case 5: return 99; case 6: return ext(4) - 8; } return 0; }
int go(const unsigned char *p) { static void *t[] = {&&a, &&b, &&c}; int r = 0;
    goto *t[*p++]; a: r += 3; goto *t[*p++]; b: r *= 7; goto *t[*p++]; c: return r; }
int look(int i) { static const int v[] = {10, 20, 30, 40, 50}; return v[i]; }
int copy(int i) { int x[6] = {5, 9, 2, 8, 1, 7}; return x[i] + ext(x[1]); }
int use(int i) { return config.cb(i) + words[i][0] + (int)factor + *at; }
int calls(int i) { return both[i & 1](i); }
"""

FIXED = ("-static", "-nostdlib", "-no-pie", "-fno-pie", "-Wl,-e,use")
MODES = {
    "object": ("-c", "-O2"),
    "object, not optimised": ("-c", "-O0"),
    "shared library": ("-shared", "-fPIC", "-O2"),
    "shared library, not optimised": ("-shared", "-fPIC", "-O0"),
    "program at a fixed address": (*FIXED, "-O2"),
}

VARIABLES = {
    "a number in a struct": ("{1, 2, 3}, {4", "{1, 7, 3}, {4", "config", 12, ".n[1]", "2", "7"),
    "a member of a member": ("{4, 2.5}", "{4, 2.75}", "config", 32, ".in.b", "2.5", "2.75"),
    "a pointer to a function": ("2.5}, inc", "2.5}, dec", "config", 40, ".cb", "inc", "dec"),
    "a pointer to characters": ('"abc"', '"abd"', "config", 0, ".name", '"abc"', '"abd"'),
    "a floating number": ("factor = 3.25", "factor = 3.5", "factor", 0, "", "3.25", "3.5"),
    "a small floating number": ("part = 1.5f", "part = 1.25f", "part", 0, "", "1.5", "1.25"),
    "what was zero": ("int zero;", "int zero = 4;", "zero", 0, "", "0", "4"),
    "a table of characters": ('"two"', '"tow"', "words", 8, "[1]", '"two"', '"tow"'),
    "characters": ("message", "massage", "msg", 0, "", '"message text"', '"massage text"'),
    "a variable of the thread": ("own = 3", "own = -9", "own", 0, "", "3", "-9"),
    "where a variable points": ("at = &zero", "at = &nought", "at", 0, "", "zero", "nought"),
    "a table of functions": ("{ inc, dec }", "{ dec, inc }", "both", 0, "[0]", "inc", "dec"),
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return MODES[request.param]


def built(build: Build, mode: tuple[str, ...], old: str = "", new: str = "") -> Path:
    assert SOURCE.count(old) == 1 or not old
    return build(SOURCE.replace(old, new) if old else SOURCE, "-g", *mode)


def variable(found: Comparison, name: str) -> DataChange:
    return next(d for d in found.data if d.name == name)


def function(found: Comparison, name: str) -> FunctionChange:
    return next(f for f in found.functions if f.name == name)


@pytest.mark.parametrize("change", VARIABLES)
def test_what_a_variable_holds_is_told_with_its_place_and_both_values(
    build: Build, mode: tuple[str, ...], change: str
) -> None:
    old, new, name, offset, member, before, after = VARIABLES[change]
    found = compare(built(build, mode), built(build, mode, old, new))
    changed = variable(found, name)
    assert changed.change is Change.CHANGED
    first = changed.differences[0]
    assert (first.offset, first.member, first.before, first.after) == (
        offset, member, before, after,
    )  # fmt: skip
    place = f"offset {offset} ({member})" if member else f"offset {offset}"
    assert f"  {place}: {after} instead of {before}" in to_text(found).splitlines()
    assert found.verdict in (Whole.DATA, Whole.DIFFERENT)
    assert found.kinds & 1


@pytest.mark.parametrize(("name", "user"), [("config", "use"), ("both", "calls"), ("words", "use")])
def test_a_function_that_refers_to_data_that_changed_is_changed(
    build: Build, name: str, user: str
) -> None:
    old, new = {"config": ("4, 2.5", "4, 9.5"), "both": ("{ inc, dec }", "{ dec, inc }"),
                "words": ('"three"', '"trees"')}[name]  # fmt: skip
    for mode in (MODES["object"], MODES["shared library, not optimised"]):
        found = compare(built(build, mode), built(build, mode, old, new))
        changed = function(found, user)
        assert (changed.change, changed.code) == (Change.CHANGED, Code.DATA)
        assert changed.data == (name,)
        assert f"  refers to {name}, which holds something else" in to_text(found).splitlines()
        assert function(found, "scale").code is Code.IDENTICAL


def test_data_that_is_reached_through_data_changes_a_function_too(build: Build) -> None:
    text = "int deep = {0}; int *mid = &deep; int **top = &mid; int f(void) {{ return **top; }}"
    one, two = (build(text.format(n), "-c", "-g", "-O1") for n in (1, 2))
    found = compare(one, two)
    assert function(found, "f").data == ("deep",)
    assert variable(found, "mid").change is Change.SAME


CONSTANTS = {
    "a floating constant": ("x * 3.25;", "x * 3.5;", "scale", "3.5 instead of 3.25"),
    "a small floating constant": ("x * 3.25f", "x * 3.5f", "scalef", "3.5 instead of 3.25"),
    "characters": ('"hello"', '"hullo"', "say", '"hullo" instead of "hello"'),
}


@pytest.mark.parametrize("change", CONSTANTS)
def test_a_constant_without_a_name_is_told_with_both_values(
    build: Build, mode: tuple[str, ...], change: str
) -> None:
    old, new, name, said = CONSTANTS[change]
    found = compare(built(build, mode), built(build, mode, old, new))
    assert function(found, name).code is Code.DIFFERENT
    assert f"  refers to {said}" in to_text(found).splitlines()
    others = {f.name for f in found.functions if f.change is not Change.SAME} - {name}
    assert not others


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("case 3: return 12; case 4", "case 4: return 12; case 3", "sw"),
        ("{&&a, &&b, &&c}", "{&&b, &&a, &&c}", "go"),
        ("30, 40, 50", "30, 45, 50", "look"),
        ("{5, 9, 2, 8", "{5, 9, 3, 8", "copy"),
    ],
)
def test_tables_are_compared_entry_by_entry(
    build: Build, mode: tuple[str, ...], old: str, new: str, name: str
) -> None:
    found = compare(built(build, mode), built(build, mode, old, new))
    assert function(found, name).code in (Code.DIFFERENT, Code.DATA)
    assert {f.name for f in found.changes()} == {name}


def test_a_table_of_a_switch_tells_which_entry(build: Build) -> None:
    for mode in (MODES["object, not optimised"], MODES["shared library, not optimised"]):
        swapped = ("case 3: return 12; case 4", "case 4: return 12; case 3")
        found = compare(built(build, mode), built(build, mode, *swapped))
        old, new = function(found, "sw").retargeted[0]
        assert old.startswith("a jump table at offset 12: the function+0x")
        assert new.startswith("a jump table at offset 12: the function+0x")
        assert old != new


MORE = """
const char *more(void) { return "other text"; } double dd(double x) { return x * 7.25; }
int spare[9] = {1}; const char *extra[] = {"four"};
int many(int a) { switch (a) { case 0: return ext(2); case 1: return ext(3); case 2: return
    ext(a); case 3: return 5; case 4: return ext(8); case 5: return 1; } return 2; }
"""


def test_data_that_only_moved_is_the_same(build: Build, mode: tuple[str, ...]) -> None:
    early = 'const char *early(void) { return "first of all"; } const int low[3] = {7, 8, 9};'
    moved = f"{early}{SOURCE}{MORE}"
    found = compare(built(build, mode), build(moved, "-g", *mode))
    added = {"early", "more", "dd", "many"}
    assert {f.name for f in found.changes()} == added, to_text(found)
    assert {d.name for d in found.data if d.change is not Change.SAME} == {"spare", "extra", "low"}
    assert function(found, "scale").code is Code.IDENTICAL
    assert function(found, "say").code is Code.IDENTICAL
    assert function(found, "sw").code is Code.IDENTICAL


def test_static_variables_that_the_compiler_numbered_anew_are_the_same(build: Build) -> None:
    text = "{0} int f(void) {{ static int count = 3; return count++; }}"
    before = "int g(void) { static int other; return ++other; } "
    found = compare(
        build(text.format(""), "-c", "-g", "-O1", compiler="gcc"),
        build(text.format(before), "-c", "-g", "-O1", compiler="gcc"),
    )
    assert {f.name for f in found.changes()} == {"g"}
    assert function(found, "f").code is Code.IDENTICAL


def test_an_array_that_grew_is_no_less_changed_where_its_end_is_all_that_is_used(
    build: Build,
) -> None:
    text = """
    static const int table[{0}] = {{1, 2, 3, 4}}; const char next[] = "next";
    const int *end(void) {{ return table + {0}; }} int all(int i) {{ return table[i]; }}
    """
    for mode in MODES.values():
        flags = [f.replace("use", "all") for f in mode]
        one, two = (build(text.format(n), "-g", *flags) for n in (8, 16))
        found = compare(one, two)
        assert function(found, "end").code is not Code.IDENTICAL
        assert variable(found, "table").change is Change.CHANGED
        assert variable(found, "table").size_changed


def test_a_program_for_a_fixed_address_tells_pointers_from_numbers(build: Build) -> None:
    text = "long size = {0}; int f(void) {{ return size; }} void *g(void) {{ return f; }}"
    flags = ("-g", *(f.replace("use", "f") for f in FIXED), "-O1")
    one, two = (build(text.format(n), *flags) for n in (0x400000, 0x400008))
    changed = variable(compare(one, two), "size")
    assert [(d.before, d.after) for d in changed.differences] == [("0x400000", "0x400008")]


def test_packed_relocations_are_read(build: Build) -> None:
    text = "int a, b; int *p = &{0}; int f(void) {{ return *p + a + b; }}"
    flags = ("-g", "-O1", "-shared", "-fPIC", "-Wl,-z,pack-relative-relocs")
    one, two = (build(text.format(n), *flags, compiler="gcc") for n in "ab")
    changed = variable(compare(one, two), "p")
    assert [(d.before, d.after) for d in changed.differences] == [("a", "b")]


CROSS = ["aarch64-linux-gnu-gcc"]


def cross(where: Path, compiler: str, name: str, text: str) -> Path:
    (where / f"{name}.c").write_text(text)
    run([compiler, "-g", "-O1", "-w", "-c", f"{name}.c"], where)
    return where / f"{name}.o"


@pytest.mark.parametrize("compiler", CROSS)
def test_objects_of_machines_whose_relocations_tell_all_are_decided(
    tmp_path: Path, compiler: str
) -> None:
    one = cross(tmp_path, compiler, "one", SOURCE)
    moved = 'const char *early(void) { return "first of all"; }' + SOURCE
    found = compare(one, cross(tmp_path, compiler, "moved", moved))
    assert {f.name for f in found.changes()} == {"early"}
    assert function(found, "say").code is Code.IDENTICAL
    assert compare(one, cross(tmp_path, compiler, "again", "\n" + SOURCE)).kinds == 0
    for change in ("characters",):
        old, new, name, said = CONSTANTS[change]
        found = compare(one, cross(tmp_path, compiler, "two", SOURCE.replace(old, new)))
        assert function(found, name).code is Code.DIFFERENT
        assert f"  refers to {said}" in to_text(found).splitlines()
    for change, (old, new, name, offset, member, before, after) in VARIABLES.items():
        found = compare(one, cross(tmp_path, compiler, "two", SOURCE.replace(old, new)))
        first = variable(found, name).differences[0]
        told = (first.offset, first.member, first.before, first.after)
        assert told == (offset, member, before, after), change


@pytest.mark.parametrize("compiler", CROSS)
def test_a_variable_that_is_reached_from_a_neighbour_is_not_mistaken(
    tmp_path: Path, compiler: str
) -> None:
    # The code of g is the same: both load what is 4 bytes behind the first variable.
    text = (
        "static int x, {0}; int g(void) {{ return x++ + {1}++; }} int f(void) {{ return x + {2}; }}"
    )
    one = cross(tmp_path, compiler, "one", text.format("a, b", "b", "a"))
    two = cross(tmp_path, compiler, "two", text.format("b, a", "a", "b"))
    found = compare(one, two)
    assert function(found, "g").code is Code.DIFFERENT
    assert found.verdict is not Whole.IDENTICAL
