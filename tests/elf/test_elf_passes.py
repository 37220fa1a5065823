"""Differences that a comparison of code alone passes over, and what nothing tells of."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from elf_builds import Build, run

from replay.cli import main
from replay.elf import Comparison, Whole, compare
from replay.elf.baseline import baseline, compare_saved
from replay.elf.changes import PARTIAL, UNTYPED, Kind
from replay.elf.findings import findings

TWO = "int f(void) { return 1; } void g(void) { } void h(void) { }"
SHARED = ("-shared", "-fPIC", "-g", "-O1")


def told(found: Comparison) -> set[tuple[str, str, str, str]]:
    return {(c.name, c.what, c.before, c.after) for c in found.linkage}


@pytest.mark.parametrize(("flag", "what"), [("-Wl,-init=", "INIT"), ("-Wl,-fini=", "FINI")])
def test_another_function_at_loading_is_told(build: Build, flag: str, what: str) -> None:
    one, other = (build(TWO, *SHARED, flag + name) for name in "gh")
    found = compare(one, other)
    assert told(found) == {("", what, "g", "h")}
    assert found.kinds == Kind.LINKAGE


def test_another_entry_point_is_told(build: Build) -> None:
    text = TWO + " int main(void) { return 0; }"
    one, other = (build(text, "-g", f"-Wl,-e,{name}") for name in "gh")
    found = compare(one, other)
    assert told(found) == {("", "entry point", "g", "h")}
    assert found.kinds == Kind.LINKAGE


def test_the_entry_point_of_the_same_name_may_lie_elsewhere(build: Build) -> None:
    text = "int main(void) { return 0; }"
    one, other = build(text, "-g"), build("int grown(int a) { return a * a; }" + text, "-g")
    assert told(compare(one, other)) == set()


@pytest.mark.parametrize(("flag", "what"), [("-F", "FILTER"), ("-f", "AUXILIARY")])
def test_a_filter_is_told(build: Build, flag: str, what: str) -> None:
    found = compare(build(TWO, *SHARED), build(TWO, *SHARED, f"-Wl,{flag},libz.so"))
    assert told(found) == {("", what, "", "libz.so")}
    assert found.kinds == Kind.LINKAGE


@pytest.mark.parametrize("flags", [SHARED, ("-c", "-fPIC", "-g")])
def test_a_weak_need_is_not_a_strong_one(build: Build, flags: tuple[str, ...]) -> None:
    text = "extern void q(void); void f(void) { q(); }"
    found = compare(build("#pragma weak q\n" + text, *flags), build(text, *flags))
    assert told(found) == {("q", "need", "weak", "global")}
    assert found.kinds == Kind.LINKAGE


def test_the_value_of_an_absolute_symbol_is_told(build: Build) -> None:
    one, other = (build(TWO, *SHARED, f"-Wl,--defsym=A={v}") for v in ("0x1000", "0x2000"))
    found = compare(one, other)
    assert told(found) == {("A", "place", "absolute 0x1000", "absolute 0x2000")}
    assert found.kinds == Kind.LINKAGE


def inside(where: Path, distance: int, grown: str = "") -> Path:
    out = where / f"mid{distance}{len(grown)}.so"
    source = out.with_suffix(".c")
    source.write_text(f"""{grown} int tab[4] = {{1, 2, 3, 4}};
        __asm__(".globl mid\\n.set mid, tab + {distance}\\n");""")
    run(["gcc", *SHARED, source.name, "-o", out.name], where)
    return out


def test_a_name_inside_a_variable_is_told_by_its_distance(tmp_path: Path) -> None:
    found = compare(inside(tmp_path, 4), inside(tmp_path, 8))
    assert ("mid", "place", "tab+0x4", "tab+0x8") in told(found)
    assert Kind.LINKAGE in found.kinds
    moved = inside(tmp_path, 4, "int grown[9] = {5};")
    assert "mid" not in {c.name for c in compare(inside(tmp_path, 4), moved).linkage}


@pytest.mark.parametrize(("one", "other"), [("4", "8")])
def test_a_place_in_a_variable_by_the_linker_is_told(build: Build, one: str, other: str) -> None:
    text = "int tab[4] = {1, 2, 3, 4};"
    a, b = (build(text, *SHARED, f"-Wl,--defsym=mid=tab+{d}") for d in (one, other))
    (change,) = compare(a, b).linkage
    assert (change.name, change.what) == ("mid", "place")
    assert (change.before[-7:], change.after[-7:]) == ("tab+0x4", "tab+0x8")


KEPT = "int f(int a) { return a + 1; } int tab[2] = {1, 2};"
OTHER = "int f(int a) { return a + 2; } int tab[2] = {1, 3};"


def test_two_files_of_debug_information_are_not_compared(build: Build, tmp_path: Path) -> None:
    files = []
    for name, text in (("a", KEPT), ("b", OTHER)):
        files.append(tmp_path / f"{name}.debug")
        built = str(build(text, *SHARED))
        run(["objcopy", "--only-keep-debug", built, files[-1].name], tmp_path)
    found = compare(*files)
    assert found.verdict is Whole.UNDECIDED
    assert found.kinds == Kind.UNCOMPARED
    rows = dict(found.uncompared)
    assert rows["functions whose code a file does not hold"] >= 1
    assert rows["variables that one file does not tell of"] >= 1
    assert compare(files[0], build(KEPT, *SHARED)).kinds == Kind.UNCOMPARED
    assert compare(files[0], files[0]).kinds == Kind.UNCOMPARED


@pytest.mark.parametrize("level", ["-g1", "-g0"])
def test_types_that_nothing_tells_are_not_compared(build: Build, level: str) -> None:
    texts = (f"int f({kind} *p) {{ return p != 0; }}" for kind in ("int", "long"))
    one, other = (build(text, "-c", level) for text in texts)
    found = compare(one, other)
    assert found.verdict is Whole.IDENTICAL
    assert found.kinds == Kind.UNCOMPARED
    assert found.uncompared == ((UNTYPED, 2),)
    assert len(found.notes) == 2
    assert compare(one, build(KEPT, "-c", "-g")).uncompared[-1] == (UNTYPED, 1)


def test_types_that_a_baseline_does_not_tell_are_not_compared(build: Build, tmp_path: Path) -> None:
    file, saved = build(KEPT, "-c", "-g1"), tmp_path / "base.json"
    saved.write_text(baseline(file))
    assert compare_saved(saved, build(KEPT, "-c", "-g")).uncompared == ((UNTYPED, 1),)
    saved.write_text(baseline(build(KEPT, "-c", "-g")))
    assert compare_saved(saved, file).uncompared == ((UNTYPED, 1),)


def test_what_is_not_decided_says_what_was_not_compared(build: Build, tmp_path: Path) -> None:
    built = build(KEPT, *SHARED)
    run(["strip", str(built), "-o", "stripped.so"], tmp_path)
    found = compare(tmp_path / "stripped.so", tmp_path / "stripped.so")
    assert found.verdict is Whole.UNDECIDED
    assert dict(found.uncompared) == {UNTYPED: 2, PARTIAL: 2}


def test_unknown_types_are_accepted_by_their_name(build: Build) -> None:
    found = compare(build(KEPT, "-c", "-g0"), build(KEPT, "-c", "-g0"))
    (finding,) = findings(found)
    assert (finding.kind, finding.name) == (Kind.UNCOMPARED, "types")


def test_help_tells_one_meaning_of_exit_codes() -> None:
    text = CliRunner().invoke(main, ["elf", "compare", "--help"]).output
    assert text.count("Exit codes") == 1
    assert "1 a difference" not in text
    assert "are added or removed" in " ".join(text.split())
    other = CliRunner().invoke(main, ["elf", "sizes", "--help"]).output
    assert "1 a difference" in " ".join(other.split())


@pytest.mark.parametrize(("kept", "kinds"), [("", Kind.CODE | Kind.LINKAGE), ("static", Kind.CODE)])
def test_a_new_function_is_code_and_if_exported_linkage(
    build: Build, kept: str, kinds: Kind
) -> None:
    used = "__attribute__((used)) "
    one, other = build(TWO, *SHARED), build(f"{TWO} {used}{kept} void n(void) {{}}", *SHARED)
    assert compare(one, other).kinds == kinds
