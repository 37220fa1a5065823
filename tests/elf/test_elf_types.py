"""Types and layouts are compared, also of what is behind pointers, and told with who uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_builds import Build

from replay.elf import Comparison, TypeChange, Whole, compare, layout, select
from replay.report.binaries import to_text

SOURCE = """
typedef int number;
typedef struct { int a; number b; } pair;
enum kind { RAM = 1, ROM = -3, LAST };
union either { int i; float f; };
struct deep;
struct inner { char c; short s; };
struct outer { struct inner *in; pair both; unsigned f:3, g:5; enum kind kind;
    struct { int x; } nested; int (*cb)(struct deep *); };
struct deep { long v; };
struct outer *whole; enum kind last = ROM; number plain; long tab[2];
int use(struct outer *o, number t) { return o->f + t; }
int other(union either *e) { return e->i; }
long dig(struct deep *d) { return d->v; }
int takes(pair *p) { return p->a; }
"""

CHANGES = {
    "a member behind a pointer": (
        "char c; short s; }", "char c; short s; long more; }",
        "struct inner", (4, 16), (), ("more: long, offset 8, 8 bytes",), {"use", "whole"},
    ),
    "a type behind a pointer to a function": (
        "long v; }", "long v; int w; }",
        "struct deep", (8, 16), (), ("w: int, offset 8, 4 bytes",), {"dig", "use", "whole"},
    ),
    "members in another order": (
        "struct inner { char c; short s; }", "struct inner { short s; char c; }",
        "struct inner", (4, 4), ("c: char, offset 0, 1 bytes", "s: short, offset 2, 2 bytes"),
        ("s: short, offset 0, 2 bytes", "c: char, offset 2, 1 bytes"), {"use", "whole"},
    ),
    "bit-fields": (
        "f:3, g:5", "f:4, g:4", "struct outer", (40, 40),
        ("f: unsigned, bit 128, 3 bits", "g: unsigned, bit 131, 5 bits"),
        ("f: unsigned, bit 128, 4 bits", "g: unsigned, bit 132, 4 bits"), {"use", "whole"},
    ),
    "a struct inside without a name": (
        "{ int x; } nested", "{ unsigned x; } nested", "struct outer", (40, 40),
        ("nested.x: int, offset 24, 4 bytes",), ("nested.x: unsigned, offset 24, 4 bytes",),
        {"use", "whole"},
    ),
    "a struct named by a typedef": (
        "int a; number b; } pair", "int a; number b; } pair /**/".replace("int a", "long a"),
        "typedef pair", (8, 16), ("a: int, offset 0, 4 bytes", "b: number, offset 4, 4 bytes"),
        ("a: long, offset 0, 8 bytes", "b: number, offset 8, 4 bytes"), {"takes", "use", "whole"},
    ),
    "a value of an enum": (
        "ROM = -3", "ROM = -4", "enum kind", (4, 4),
        ("ROM = -3", "LAST = -2"), ("ROM = -4", "LAST = -3"), {"last", "use", "whole"},
    ),
    "a new value": (
        "LAST }", "LAST, MORE = 70 }", "enum kind", (4, 4), (), ("MORE = 70",),
        {"last", "use", "whole"},
    ),
    "a typedef": (
        "typedef int number", "typedef unsigned number", "typedef number", (4, 4),
        ("int",), ("unsigned",), {"plain", "use", "takes", "whole"},
    ),
    "a union": (
        "float f; }", "double f; }", "union either", (4, 8),
        ("f: float, offset 0, 4 bytes",), ("f: double, offset 0, 8 bytes",), {"other"},
    ),
}  # fmt: skip


def pair(build: Build, old: str, new: str, *flags: str) -> Comparison:
    assert SOURCE.count(old) == 1
    given = flags or ("-c", "-g")
    return compare(build(SOURCE, *given), build(SOURCE.replace(old, new), *given))


def of(found: Comparison, name: str) -> TypeChange:
    return next(t for t in found.types if t.name == name)


@pytest.mark.parametrize("flags", [("-c", "-g"), ("-shared", "-fPIC", "-g", "-O2")])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_type_is_told_with_its_members_and_users(
    build: Build, change: str, flags: tuple[str, ...]
) -> None:
    old, new, name, sizes, removed, added, users = CHANGES[change]
    found = pair(build, old, new, *flags)
    changed = of(found, name)
    assert (changed.before, changed.after) == sizes
    assert (changed.removed, changed.added) == (removed, added)
    assert set(changed.users) == users
    assert found.kinds & 16
    lines = to_text(found).splitlines()
    assert any(line.startswith(f"changed {name}") for line in lines)
    assert {f"  + {text}" for text in added} <= set(lines)


def test_types_that_did_not_change_are_not_told(build: Build, compiler: str) -> None:
    one, two = (build(text, "-c", "-g", compiler=compiler) for text in (SOURCE, "\n\n" + SOURCE))
    found = compare(one, two)
    assert (found.types, found.kinds) == ((), 0)


def test_the_type_of_a_variable_is_part_of_the_interface(build: Build) -> None:
    found = pair(build, "long tab[2]", "long tab[3]")
    changed = next(d for d in found.data if d.name == "tab")
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.type, changed.before.size) == ("long [2]", 16)
    assert (changed.after.type, changed.after.size) == ("long [3]", 24)
    assert found.kinds == 1 | 8 | 16
    found = pair(build, "number plain", "unsigned plain")
    assert (found.verdict, found.kinds) == (Whole.IDENTICAL, 8)


def test_a_prototype_is_part_of_the_interface_and_names_of_parameters_are_not(
    build: Build,
) -> None:
    found = pair(build, "other(union either *e)", "other(const union either *e)")
    assert (found.verdict, found.kinds) == (Whole.IDENTICAL, 8)
    old = "dig(struct deep *d) { return d->v"
    renamed = pair(build, old, "dig(struct deep *x) { return x->v")
    assert (len(renamed.changes()), renamed.kinds) == (1, 0)


def test_two_definitions_of_one_name_are_both_shown_with_their_units(
    build: Build, tmp_path: Path
) -> None:
    texts = [f"struct two {{ int {m}; }}; int {f}(struct two *t) {{ return t->{m}; }}"
             for m, f in (("a", "f"), ("b", "g"), ("c", "g"))]  # fmt: skip
    flags = ("-shared", "-fPIC", "-g")
    one, two = build(texts[0], texts[1], *flags), build(texts[0], texts[2], *flags)
    changed = of(compare(one, two), "struct two")
    assert set(changed.units) == {
        "- unit.c: 4 bytes: a: int, offset 0, 4 bytes",
        "- unit1.c: 4 bytes: b: int, offset 0, 4 bytes",
        "+ unit.c: 4 bytes: a: int, offset 0, 4 bytes",
        "+ unit1.c: 4 bytes: c: int, offset 0, 4 bytes",
    }
    assert not compare(one, one).types


def test_a_selection_narrows_the_types_to_those_that_are_reached(build: Build) -> None:
    one = build(SOURCE, "-c", "-g")
    text = SOURCE.replace("float f; }", "double f; }").replace("long v; }", "int v; }")
    two = build(text, "-c", "-g")
    assert {t.name for t in compare(one, two).types} == {"union either", "struct deep"}
    assert {t.name for t in compare(one, two, select(["other"])).types} == {"union either"}


def test_a_layout_of_an_enum_has_its_values(build: Build, compiler: str) -> None:
    made = build(SOURCE, "-c", "-g", compiler=compiler)
    for name in ("enum kind", "kind", "last"):
        found = layout(made, name)
        assert found.values == (("RAM", 1), ("ROM", -3), ("LAST", -2))
        assert found.size == 4
