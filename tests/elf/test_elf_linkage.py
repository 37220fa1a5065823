"""How files and their symbols are linked is compared: exports, versions, aliases, sections."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_builds import run

from replay.elf import Comparison, Whole, compare, select

BASE = """
int api(int a) {{ return a + 1; }}
int other(int a) {{ return a; }}
{0}
"""


def pair(where: Path, texts: tuple[str, str], *flags: str) -> Comparison:
    """Two builds, in each of which ``{0}`` of the base is one of the texts."""
    for name, text in zip("ab", texts, strict=True):
        (where / f"{name}.c").write_text(BASE.format(text))
        run(["gcc", "-g", "-O1", *flags, f"{name}.c", "-o", f"{name}.out"], where)
    return compare(where / "a.out", where / "b.out")


def told(found: Comparison) -> set[tuple[str, str, str, str]]:
    return {(c.name, c.what, c.before, c.after) for c in found.linkage}


SHARED = ("-shared", "-fPIC")
OBJECT = ("-c",)

START = 'void s(void) { __asm__("nop"); }'

CHANGES = {
    "hidden in an object": (
        OBJECT, ("int v;", '__attribute__((visibility("hidden"))) int v;'),
        ("v", "visibility", "default", "hidden"),
    ),
    "hidden in a library": (
        SHARED, ("int v;", '__attribute__((visibility("hidden"))) int v;'),
        ("v", "export", "exported", "in the file, not exported"),
    ),
    "protected": (
        SHARED, ("int v;", '__attribute__((visibility("protected"))) int v;'),
        ("v", "visibility", "default", "protected"),
    ),
    "a lost export": (
        SHARED, ("int f(void) { return 1; }", "static int f(void) { return 1; }"),
        ("f", "export", "exported", ""),
    ),
    "a new export": (
        SHARED, ("static int v = 1; int *p(void) { return &v; }",
                 "int v = 1; int *p(void) { return &v; }"),
        ("v", "export", "in the file, not exported", "exported"),
    ),
    "weak": (SHARED, ("int v = 1;", "__attribute__((weak)) int v = 1;"),
             ("v", "binding", "global", "weak")),
    "weak in an object": (OBJECT, ("int v = 1;", "__attribute__((weak)) int v = 1;"),
                          ("v", "binding", "global", "weak")),
    "an alias": (
        SHARED, ('int twin(int) __attribute__((alias("api")));',
                 'int twin(int) __attribute__((alias("other")));'),
        ("api", "aliases", "twin", ""),
    ),
    "an indirect function": (
        SHARED, ("int f(int a) { return a; }",
                 "static void *r(void) { return api; } int f(int) __attribute__((ifunc(\"r\")));"),
        ("f", "kind", "FUNC", "IFUNC"),
    ),
    "a constructor": (
        SHARED, (START, f"__attribute__((constructor)) {START}"),
        ("", "constructors", "frame_dummy", "frame_dummy, s"),
    ),
    "a destructor with a priority in an object": (
        OBJECT, (START, f"__attribute__((destructor(200))) {START}"),
        ("", "destructors", "", "s (00200)"),
    ),
    "the section of a function": (
        OBJECT, ('__attribute__((section(".init.text"))) int f(void) { return 1; }',
                 "int f(void) { return 1; }"),
        ("f", "section", ".init.text", ".text"),
    ),
    "the section of a variable": (
        OBJECT, ("const int v = 1;", "int v = 1;"), ("v", "section", ".rodata", ".data"),
    ),
    "a variable of the thread": (
        SHARED, ("int v = 1;", "__thread int v = 1;"), ("v", "kind", "OBJECT", "TLS"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_linkage_is_named_and_sets_its_bit(tmp_path: Path, change: str) -> None:
    flags, texts, said = CHANGES[change]
    found = pair(tmp_path, texts, *flags)
    assert said in told(found)
    assert found.kinds & 32


def test_equal_linkage_is_no_change(tmp_path: Path) -> None:
    for flags in (SHARED, OBJECT):
        found = pair(tmp_path, ("int v = 1;", "\nint v = 1;"), *flags)
        assert (found.linkage, found.kinds) == ((), 0)


def test_where_the_compiler_puts_data_by_itself_is_no_change_of_linkage(tmp_path: Path) -> None:
    found = pair(tmp_path, ("int v;", "int v = 1;"), *OBJECT)
    assert (found.linkage, found.kinds) == ((), 1)


def test_what_a_library_is_called_and_needs_is_compared(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(BASE.format(""))
    link = ["gcc", "-g", "-shared", "-fPIC", "a.c"]
    run([*link, "-Wl,-soname,libx.so.1", "-o", "a.so"], tmp_path)
    more = ["-Wl,--no-as-needed", "-lm", "-Wl,-z,now", "-Wl,-rpath,/opt/x", "-Wl,-z,execstack"]
    run([*link, "-Wl,-soname,libx.so.2", *more, "-o", "b.so"], tmp_path)
    found = {what: (x, y) for _, what, x, y in told(compare(tmp_path / "a.so", tmp_path / "b.so"))}
    assert found["SONAME"] == ("libx.so.1", "libx.so.2")
    assert "libm.so.6" in found["NEEDED"][1]
    assert found["RUNPATH"] == ("", "/opt/x")
    assert found["stack"] == ("", "executable")
    assert "NOW" in found["flags"][1]


def test_a_changed_version_is_no_rename(tmp_path: Path) -> None:
    for number in "23":
        text = f'__asm__(".symver f2,f@@V{number}"); int f2(int a) {{ return a + 1; }}'
        (tmp_path / f"v{number}.c").write_text(text)
        (tmp_path / f"V{number}.map").write_text(f"V{number} {{ global: f; local: *; }};")
        flags = ["-g", "-O1", "-fPIC", "-shared", f"-Wl,--version-script=V{number}.map"]
        run(["gcc", *flags, f"v{number}.c", "-o", f"v{number}.so"], tmp_path)
    found = compare(tmp_path / "v2.so", tmp_path / "v3.so")
    assert told(found) == {("f", "version", "@@V2", "@@V3")}
    assert not found.changes()
    assert (found.verdict, found.kinds) == (Whole.IDENTICAL, 32)
    assert compare(tmp_path / "v2.so", tmp_path / "v2.so").kinds == 0


def test_a_second_version_of_a_name_is_a_function_of_its_own(tmp_path: Path) -> None:
    old = '__asm__(".symver f1,f@V1"); int f1(int a) {{ return a + {0}; }}'
    new = '__asm__(".symver f2,f@@V2"); int f2(int a) { return a + 7; }'
    (tmp_path / "V.map").write_text("V1 { global: f; local: *; }; V2 { global: f; } V1;")
    for number in (1, 2):
        (tmp_path / f"{number}.c").write_text(old.format(number) + new)
        flags = ["-g", "-O1", "-fPIC", "-shared", "-Wl,--version-script=V.map"]
        run(["gcc", *flags, f"{number}.c", "-o", f"{number}.so"], tmp_path)
    found = compare(tmp_path / "1.so", tmp_path / "2.so")
    assert {f.name for f in found.changes()} == {"f1", "f@V1"}
    assert not found.linkage


def test_a_selection_narrows_the_linkage_too(tmp_path: Path) -> None:
    pair(tmp_path, ("int v; int w;", "static int v; static int w;"), *OBJECT)
    found = compare(tmp_path / "a.out", tmp_path / "b.out", select(["v"]))
    assert {name for name, *_ in told(found)} == {"v"}
