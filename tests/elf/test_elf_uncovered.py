"""Data that belongs to no variable of a known size is compared, or said not to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_builds import COMPILERS, Build, run

from replay.elf import Kind, Whole, compare
from replay.elf.baseline import baseline, compare_saved
from replay.elf.changes import UNTYPED

UNREFERRED = 'int f(int x) {{ return x + 1; }} __asm__(".section {section}\\n.long 1, {value}\\n");'
NAMED = """
__asm__(".section .rodata\\n.globl tab\\n.hidden tab\\ntab: .long 1, {value}\\n.globl behind\\n"
        "behind: .long 5\\n.text");
extern const int tab[]; int f(int i) {{ return tab[i]; }}
"""
POINTERS = """
__attribute__((noinline)) int one(void) {{ return 11; }}
__attribute__((noinline)) int two(void) {{ return 22; }}
__asm__(".section ic,\\"aw\\"\\n.globl begin\\nbegin: .quad {value}\\n.previous");
extern int (*begin[])(void); int start(void) {{ return begin[0](); }}
"""
THROWING = """
int h(int); int k(int);
int f(int x) {{ int r = 0; {value} return r; }}
"""
INSIDE = "try { r = h(x); r += k(x); } catch (...) { r = 5; }"
OUTSIDE = "r = h(x); try { r += k(x); } catch (...) { r = 5; }"

PLAIN = """
#include <string.h>
int puts(const char *);
struct s { const char *n; int v[4]; double d; };
static const struct s tab[] = {{"one", {1, 2, 3, 4}, 2.5}, {"two", {5}, 7.25}};
const char *names[] = {"x", "yy", "zzz"}; __thread int own = 5; static int count = 3;
"""
FUNCTIONS = (
    """__attribute__((noinline)) int g(int x) { switch (x) { case 0: return puts("zero");
    case 1: return puts("a one"); case 2: return own; case 3: return count++;
    case 4: return puts("four"); case 5: return 99; case 6: return puts("six") * 2; }
    return (int)strlen(tab[x & 1].n); }""",
    "double h(double x) { return x * 3.25 + tab[1].d + (float)x * 1.5f; }",
    """int k(int i) { int a[8] = {5, 9, 2, 8, 1, 7, 4, 4};
    static const int w[] = {10, 20, 30, 40, 50}; return a[i] + w[i & 3]; }""",
    """int sw(int a) { switch (a) { case 1: return 17; case 2: return 33; case 3: return 5;
    case 4: return 81; case 5: return 2; } return 0; }""",
    'const char *n(int a) { switch (a) { case 1: return "aa"; case 2: return "bb";'
    ' case 3: return "cc"; case 4: return "dd"; } return names[a]; }',
)
OBJECT = ("-c", "-O2")
LIBRARY = ("-shared", "-fPIC", "-O2")
FIXED = ("-static", "-nostdlib", "-no-pie", "-fno-pic", "-fno-pie", "-O1", "-Wl,-e,start")


def _same(before: Path, after: Path) -> bool:
    found = compare(before, after)
    rest = [what for what, _ in found.uncompared if what != UNTYPED]
    return found.verdict is Whole.IDENTICAL and not found.kinds & ~Kind.UNCOMPARED and not rest


def _told(before: Path, after: Path) -> bool:
    found = compare(before, after)
    named = any(what == "bytes of data in no variable" for what, _ in found.uncompared)
    return found.verdict is Whole.UNDECIDED and named and found.kinds is Kind.UNCOMPARED


@pytest.mark.parametrize("mode", [OBJECT, LIBRARY], ids=["object", "library"])
@pytest.mark.parametrize(
    "section",
    [
        ".rodata",
        '.init7,\\"aw\\"',
        '.license,\\"a\\"',
        ".data",
        '.tail,\\"aG\\",%progbits,g,comdat',
    ],
)
def test_data_that_nothing_refers_to(build: Build, section: str, mode: tuple[str, ...]) -> None:
    three, four = (UNREFERRED.format(section=section, value=value) for value in (3, 4))
    assert _told(build(three, *mode), build(four, *mode))
    assert _same(build(three, *mode), build(three, *mode, "-fno-ident"))


@pytest.mark.parametrize("mode", [OBJECT, LIBRARY], ids=["object", "library"])
def test_data_behind_a_symbol_without_a_size(build: Build, mode: tuple[str, ...]) -> None:
    three, four = NAMED.format(value=3), NAMED.format(value=4)
    assert _told(build(three, *mode), build(four, *mode))
    assert _same(build(three, *mode), build(three, *mode, "-fno-ident"))


def test_data_that_was_exchanged_between_two_symbols(build: Build) -> None:
    text = (
        '__asm__(".data\\n.globl a, b\\na: .long {}\\nb: .long {}\\n"); int f(void) {{ return 1; }}'
    )
    assert _told(build(text.format(1, 2), *OBJECT), build(text.format(2, 1), *OBJECT))


@pytest.mark.parametrize("mode", [OBJECT, FIXED], ids=["object", "program at a fixed address"])
def test_a_table_of_pointers_in_a_section_of_its_own(build: Build, mode: tuple[str, ...]) -> None:
    one, two = POINTERS.format(value="one"), POINTERS.format(value="two")
    assert _told(build(one, *mode), build(two, *mode))
    assert _same(build(one, *mode), build(one, *mode, "-fno-ident"))


def test_which_calls_an_exception_is_caught_of(tmp_path: Path) -> None:
    made = []
    for number, value in enumerate((INSIDE, OUTSIDE, INSIDE)):
        source = tmp_path / f"{number}.cpp"
        source.write_text(THROWING.format(value=value))
        made.append(tmp_path / f"{number}.o")
        run(["g++", "-O2", "-c", source.name, "-o", made[-1].name], tmp_path)
    assert _told(made[0], made[1])
    assert _same(made[0], made[2])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("mode", [OBJECT, ("-c", "-O0"), LIBRARY], ids=["O2", "O0", "library"])
def test_the_same_source_has_nothing_uncompared(
    build: Build, compiler: str, mode: tuple[str, ...]
) -> None:
    text = PLAIN + "\n".join(FUNCTIONS)
    once = build(text, *mode, compiler=compiler)
    assert _same(once, build(text, *mode, "-g", compiler=compiler))


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("mode", [OBJECT, ("-c", "-O0")], ids=["O2", "O0"])
def test_functions_in_another_order_have_the_same_data(
    build: Build, compiler: str, mode: tuple[str, ...]
) -> None:
    once = build(PLAIN + "\n".join(FUNCTIONS), *mode, compiler=compiler)
    again = build(PLAIN + "\n".join(reversed(FUNCTIONS)), *mode, compiler=compiler)
    assert _same(once, again)


@pytest.mark.parametrize("text", [UNREFERRED.replace("{section}", ".rodata"), NAMED, POINTERS])
def test_a_baseline_has_such_data_too(build: Build, tmp_path: Path, text: str) -> None:
    values = ("one", "two") if text == POINTERS else (3, 4)
    before, after = (build(text.format(value=value), *OBJECT) for value in values)
    saved = tmp_path / "saved.json"
    saved.write_text(baseline(before))
    found = compare_saved(saved, after)
    assert found.kinds is Kind.UNCOMPARED
    assert "bytes of data in no variable" in dict(found.uncompared)
    same = compare_saved(saved, build(text.format(value=values[0]), *OBJECT, "-fno-ident"))
    assert same.verdict is Whole.IDENTICAL
    assert not same.kinds & ~Kind.UNCOMPARED
    assert [what for what, _ in same.uncompared] in ([], [UNTYPED])
