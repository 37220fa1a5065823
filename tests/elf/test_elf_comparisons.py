from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from elf_builds import Build

from replay.elf import (
    Change,
    Code,
    Comparison,
    ElfError,
    FunctionChange,
    Whole,
    compare,
    select,
)
from replay.errors import UsageError
from replay.report.binaries import to_json, to_text

SOURCE = """
extern int ext(int);
extern int other(int);
extern int value;
static int counter;
static int spare;
static int table[4] = {1, 2, 3, 4};
static int after = 9;
static const char *message = "x";
__thread int own;
__thread int own2;
#define NOINLINE __attribute__((noinline))
static NOINLINE int helper(int a) { return ext(a) + counter++; }
static NOINLINE int helper2(int a) { return ext(a) - counter--; }
int calls(int a) { return helper(a) + value; }
int counts(void) { return ++counter; }
int sums(void) { int s = 0; for (int *p = table; p < table + 4; p++) s += ext(*p); return s; }
int lasts(void) { return after + spare + *message; }
double scales(double x) { return x * 3.25 + 1.5; }
int says(void) { return ext((int)(long)"hello"); }
int switches(int a) { switch (a) { case 0: return ext(9); case 1: return value;
    case 2: return helper(7); case 3: return 12; case 4: return ext(a) * 3;
    case 5: return 99 + value; case 6: return other(4); } return 0; }
int tails(int a) { return helper(a + 1); }
const char *names(void) { return __func__; }
int owns(void) { return own++; }
int points(int (**f)(int)) { *f = helper; return 0; }
int keeps(void) { static int calls; return ++calls; }
"""

ELSEWHERE = """
int ext(int a) { return a; }
int other(int a) { return -a; }
int value = 5, value2 = 6;
"""

MODES = {
    "object": ["-c", "-O2"],
    "object, position-independent": ["-c", "-O2", "-fPIC"],
    "object, not optimised": ["-c", "-O0"],
    "shared library": ["-shared", "-fPIC", "-O2"],
    "executable at a fixed address": [
        "-static",
        "-nostdlib",
        "-no-pie",
        "-fno-pie",
        "-O2",
        "-Wl,-e,calls",
        ELSEWHERE,
    ],
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> list[str]:
    return ["-g", *MODES[request.param]]


def named(comparison: Comparison, name: str) -> FunctionChange:
    return next(f for f in comparison.functions if f.name == name)


def test_two_builds_of_one_source_are_identical_code(
    build: Build, compiler: str, mode: list[str]
) -> None:
    one = build(SOURCE, *mode, compiler=compiler)
    two = build("\n\n\n" + SOURCE + "\n#define MORE 1", *mode, compiler=compiler)
    found = compare(one, two)
    assert one.read_bytes() != two.read_bytes()
    assert {f.change for f in found.functions} == {Change.SAME}
    if "-c" not in mode:
        assert found.verdict is Whole.IDENTICAL, to_text(found)
    else:
        assert not found.changes()
        doubtful = [f.name for f in found.functions if f.code is not Code.IDENTICAL]
        assert found.verdict is Whole.IDENTICAL, doubtful


ADDED = SOURCE.replace(
    "int calls(int a)", "int pad(int x) { return x * x * x + x; }\nint calls(int a)"
)


def test_code_that_only_moved_is_the_same(build: Build, compiler: str, mode: list[str]) -> None:
    found = compare(build(SOURCE, *mode, compiler=compiler), build(ADDED, *mode, compiler=compiler))
    assert found.verdict is Whole.DIFFERENT
    assert [f.name for f in found.changes()] == ["pad"]
    assert named(found, "pad").change is Change.ADDED
    assert named(found, "calls").code is Code.IDENTICAL
    assert named(found, "tails").code is Code.IDENTICAL
    codes = {f.code for f in found.functions}
    assert codes <= {Code.IDENTICAL, Code.MASKED, Code.ONE_SIDE}
    if "-c" in mode:
        assert codes == {Code.IDENTICAL, Code.ONE_SIDE}


CHANGES = {
    "a constant": ("calls", "return helper(a) + value;", "return helper(a) + value + 1;"),
    "a called function": ("tails", "return helper(a + 1)", "return helper2(a + 1)"),
    "a called function elsewhere": (
        "helper",
        "return ext(a) + counter++",
        "return other(a) + counter++",
    ),
    "a variable of the file": ("counts", "return ++counter", "return ++spare"),
    "a global variable": (
        "calls",
        "return helper(a) + value",
        "extern int value2; return helper(a) + value2",
    ),
    "where an array ends": ("sums", "p < table + 4", "p < table + 3"),
    "a string": ("says", '"hello"', '"hullo"'),
    "a floating-point constant": ("scales", "3.25", "3.75"),
    "two cases of a switch": (
        "switches",
        "case 3: return 12; case 4:",
        "case 4: return 12; case 3:",
    ),
    "a function that is pointed to": ("points", "*f = helper", "*f = helper2"),
    "a variable of the thread": ("owns", "return own++", "return own2++"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_never_called_identical(
    build: Build, compiler: str, mode: list[str], change: str
) -> None:
    name, old, new = CHANGES[change]
    assert SOURCE.count(old) == 1
    one = build(SOURCE, *mode, compiler=compiler)
    two = build(SOURCE.replace(old, new), *mode, compiler=compiler)
    found = compare(one, two)
    assert named(found, name).code not in (Code.IDENTICAL, Code.NONE), to_text(found)
    assert found.verdict is not Whole.IDENTICAL
    if "-c" in mode and (change, "-O0" in mode) != ("a string", True):
        assert named(found, name).code in (Code.DIFFERENT, Code.MASKED)


def test_a_longer_array_is_not_taken_for_what_follows_it(
    build: Build, compiler: str, mode: list[str]
) -> None:
    # The loop's code is the same but for the address where it stops, and that is, in
    # both builds, where the next variable starts.
    shape = """
    extern int ext(int);
    static int table[{n}] = {{1, 2, 3, 4}};
    static int after = 9;
    int sums(void) {{ int s = 0;
        for (int *p = table; p < table + {n}; p++) s += ext(*p); return s; }}
    int lasts(void) {{ return after++; }}
    """
    one, two = (build(shape.format(n=n), *mode, compiler=compiler) for n in (64, 128))
    found = compare(one, two, select(["sums", "lasts"]))
    assert named(found, "sums").code is not Code.IDENTICAL
    assert found.verdict is not Whole.IDENTICAL


def test_a_call_of_something_else_says_what(build: Build, compiler: str) -> None:
    flags = ("-c", "-g", "-O2")
    two = SOURCE.replace("int counts(void) { return ++counter", "int counts(void) { return ++spare")
    found = compare(build(SOURCE, *flags, compiler=compiler), build(two, *flags, compiler=compiler))
    change = named(found, "counts")
    assert {old for old, _ in change.retargeted} == {"counter"}
    assert {new for _, new in change.retargeted} == {"spare"}
    assert "  refers to spare instead of counter" in to_text(found).splitlines()


RENAMED = SOURCE.replace("helper(", "assistant(").replace("*f = helper", "*f = assistant")


def test_renamed_functions_are_found_and_are_identical_code(
    build: Build, compiler: str, mode: list[str]
) -> None:
    one = build(SOURCE, *mode, compiler=compiler)
    two = build(RENAMED.replace("tails(", "follows("), *mode, compiler=compiler)
    found = compare(one, two)
    renames = {
        f.name: f.after.name for f in found.functions if f.change is Change.RENAMED and f.after
    }
    assert renames == {"helper": "assistant", "tails": "follows"}
    assert {f.name for f in found.changes()} == set(renames)
    assert not named(found, "helper").signature_changed
    if "-c" in mode and "-O2" in mode:
        assert found.verdict is Whole.IDENTICAL
    else:
        assert found.verdict is not Whole.DIFFERENT


def test_renamed_functions_that_call_one_another_are_found(build: Build) -> None:
    text = """
    int {odd}(int n);
    __attribute__((noinline)) int {even}(int n) {{ return n ? {odd}(n - 1) + 1 : 1; }}
    __attribute__((noinline)) int {odd}(int n) {{ return n ? {even}(n - 1) + 2 : 0; }}
    """
    flags = ("-c", "-g", "-O2", "-fno-optimize-sibling-calls", "-fno-inline", "-fno-ipa-cp")
    one = build(text.format(odd="odd", even="even"), *flags, compiler="gcc")
    two = build(text.format(odd="uneven", even="level"), *flags, compiler="gcc")
    found = compare(one, two)
    renames = {f.name: f.after.name for f in found.functions if f.after}
    assert renames == {"odd": "uneven", "even": "level"}
    assert found.verdict is Whole.IDENTICAL


def test_a_rename_that_could_be_another_is_not_claimed(build: Build) -> None:
    one = build("int a(int x) { return x; } int b(int x) { return x; }", "-c", "-g", "-O2")
    two = build("int c(int x) { return x; } int d(int x) { return x; }", "-c", "-g", "-O2")
    found = compare(one, two)
    assert {f.change for f in found.functions} == {Change.ADDED, Change.REMOVED}
    assert found.verdict is Whole.DIFFERENT
    typed = build("int c(int x) { return x; } int d(int y, int z) { return y; }", "-c", "-g", "-O2")
    mixed = build("int a(int x) { return x; } int b(int y, int z) { return y; }", "-c", "-g", "-O2")
    renames = {f.name: f.after.name for f in compare(mixed, typed).functions if f.after}
    assert renames == {"a": "c", "b": "d"}


def test_a_new_signature_with_the_same_code_is_a_change(build: Build, compiler: str) -> None:
    text = "{0} cpu_physical_memory_is_dirty(unsigned long addr) {{ return 0; }}"
    one, two = (
        build(text.format(kind), "-c", "-g", "-O2", compiler=compiler)
        for kind in ("int", "unsigned")
    )
    found = compare(one, two)
    change = found.functions[0]
    assert (change.change, change.code) == (Change.CHANGED, Code.IDENTICAL)
    assert change.signature_changed
    assert not change.size_changed
    assert found.verdict is Whole.IDENTICAL
    assert "  + unsigned cpu_physical_memory_is_dirty(unsigned long addr)" in to_text(found)


def test_a_function_that_was_inlined_and_is_no_longer_is_a_change(
    build: Build, compiler: str
) -> None:
    text = "static {0} int f(int a) {{ return a * 3 + 1; }} int g(int a) {{ return f(a); }}"
    flags = ("-c", "-g", "-O2")
    one = build(text.format("inline"), *flags, compiler=compiler)
    two = build(text.format("__attribute__((noinline))"), *flags, compiler=compiler)
    change = named(compare(one, two), "f")
    assert (change.change, change.code) == (Change.CHANGED, Code.ONE_SIDE)
    assert change.size_changed
    assert change.before is not None
    assert change.before.size is None


def test_static_functions_of_one_name_are_compared_by_their_files(build: Build) -> None:
    parts = [
        f"__attribute__((noinline)) static int same(int a) {{ return a + {number}; }}"
        f"int {name}(int x) {{ return same(x); }}"
        for number, name in ((1, "f"), (2, "g"), (3, "g"))
    ]
    flags = ("-shared", "-fPIC", "-g", "-O2", "-fno-ipa-icf")
    one, two = build(parts[0], parts[1], *flags), build(parts[0], parts[2], *flags)
    found = compare(one, two)
    assert named(found, "unit.c:same").code is Code.IDENTICAL
    assert named(found, "unit1.c:same").code is Code.DIFFERENT
    assert named(found, "unit.c:same").before is not None
    assert [f.name for f in found.changes()] == ["unit1.c:same"]


def test_bytes_of_an_unknown_machine_are_compared_without_masking(build: Build) -> None:
    flags = ("-c", "-g", "-O2", "-m32")
    one, two = build(SOURCE, *flags), build("\n" + SOURCE, *flags)
    found = compare(one, two)
    assert not found.masked
    assert {f.code for f in found.functions} <= {Code.BYTES, Code.OTHER_BYTES}
    assert found.verdict is Whole.UNDECIDED
    assert "code bytes compared without masking" in to_text(found)
    assert compare(one, build(ADDED, *flags)).verdict is Whole.DIFFERENT


def test_code_that_the_loader_changes_is_compared_without_masking(build: Build) -> None:
    flags = ("-shared", "-fno-pic", "-mcmodel=large", "-O2", "-Wl,-z,notext", "-g")
    text = "extern int ext(int); int before = {0}; int calls(int a) {{ return ext(a) + 1; }}"
    one, two = (build(text.format(number), *flags, compiler="gcc") for number in (1, 2))
    found = compare(one, two)
    assert named(found, "calls").code is Code.BYTES
    assert ("functions of which only bytes were compared", 1) in found.uncompared
    assert found.verdict is Whole.DATA


@pytest.mark.parametrize("flags", [["-m32"], ["-m64"]])
def test_a_file_and_its_copy_are_identical_on_any_machine(
    build: Build, flags: list[str], tmp_path: Path
) -> None:
    made = build(SOURCE, "-c", "-O2", *flags)
    shutil.copy(made, tmp_path / "copy.o")
    found = compare(made, tmp_path / "copy.o")
    assert found.verdict is Whole.IDENTICAL
    assert not found.changes()


def test_without_debug_information_the_code_is_compared(build: Build, compiler: str) -> None:
    one, two = (build(text, "-c", "-O2", compiler=compiler) for text in (SOURCE, ADDED))
    found = compare(one, two)
    assert [f.name for f in found.changes()] == ["pad"]
    assert named(found, "calls").before is not None
    assert sum("no debug information" in note for note in found.notes) == 2


def test_a_stripped_library_is_compared_by_what_it_exports(build: Build) -> None:
    flags = ("-shared", "-fPIC", "-O2", "-s")
    found = compare(build(SOURCE, *flags), build(SOURCE, *flags, "-DX"))
    assert "calls" in {f.name for f in found.functions}
    assert "helper" not in {f.name for f in found.functions}
    assert found.verdict is Whole.UNDECIDED
    assert "only exported functions" in to_text(found)


def test_nothing_to_compare_by_is_an_error(build: Build) -> None:
    flags = ("-static", "-nostdlib", "-no-pie", "-s", "-Wl,-e,f")
    bare = build("int f(void) { return 1; }", *flags)
    with pytest.raises(ElfError, match="neither symbols nor debug"):
        compare(bare, bare)


def test_files_of_different_kinds_are_refused(build: Build) -> None:
    text = "int f(void) { return 1; }"
    one = build(text, "-c", "-g")
    with pytest.raises(UsageError, match="machine"):
        compare(one, build(text, "-c", "-g", "-m32"))
    with pytest.raises(UsageError, match="kind"):
        compare(one, build(text, "-shared", "-fPIC", "-g"))


def test_a_comparison_is_json(build: Build) -> None:
    found = compare(build(SOURCE, "-c", "-g", "-O2"), build(ADDED, "-c", "-g", "-O2"))
    again = json.loads(json.dumps(to_json(found)))
    assert again["verdict"] == "different code"
    assert [f["name"] for f in again["functions"] if f["change"] == "added"] == ["pad"]
