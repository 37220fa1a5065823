from __future__ import annotations

import json
from pathlib import Path

import pytest
from elf_builds import Build

from replay.elf import ElfError, Identity, identify, ranges
from replay.errors import UsageError
from replay.report.binaries import to_json, to_text

TYPES = (
    "typedef unsigned long ram_addr_t; typedef _Bool bool;\n"
    "extern void tell(ram_addr_t, ram_addr_t);\n"
)

GET = "int cpu_physical_memory_get_dirty(ram_addr_t start, ram_addr_t length, {0})"
RESET = "void cpu_physical_memory_reset_dirty(ram_addr_t start, ram_addr_t {0})"
APIS = {
    0: {GET.format("int dirty_flags"), RESET.format("end")},
    1: {GET.format("int dirty_flags"), RESET.format("end")},
    2: {GET.format("unsigned client"), RESET.format("end")},
    3: {GET.format("unsigned  int client"), RESET.format("length") + ";"},
    4: {
        GET.format("unsigned client"),
        RESET.format("length"),
        "static inline unsigned long *bitmap_zero_extend(unsigned long *old, long old_nbits, "
        "long new_nbits)",
    },
}


def source(step: int) -> str:
    bodies = []
    for prototype in sorted(APIS[step]):
        body = prototype.rstrip(";")
        last = body.rstrip(")").split()[-1]
        result = "" if body.startswith("void") else "return 0;"
        use = "tell(1, 2);"
        bodies.append(f"{body} {{ {use} (void){last}; {result} }}")
    return TYPES + "\n".join(bodies)


def test_a_file_is_identified_as_its_step(build: Build, compiler: str) -> None:
    for step, expected in {0: (0, 1), 1: (0, 1), 2: (2,), 3: (3,)}.items():
        made = build(source(step), "-c", "-g", "-O1", compiler=compiler)
        found = identify(made, APIS)
        assert found.steps == expected
        assert found.best[0].distance == (0, 0, 0)
        assert found.identity is (Identity.STEPS if len(expected) > 1 else Identity.STEP)
        assert len(found.found) == 2


def test_an_inline_function_that_nobody_calls_proves_nothing(build: Build, compiler: str) -> None:
    made = build(source(4), "-c", "-g", "-O1", compiler=compiler)
    found = identify(made, APIS)
    assert found.steps == (3,)
    assert found.possible == (3, 4)
    assert "not excluded: 3-4" in to_text(found)
    called = source(4) + "\nvoid *use(void) { return bitmap_zero_extend(0, 1, 2); }"
    assert identify(build(called, "-c", "-g", "-O1", compiler=compiler), APIS).steps == (4,)


def test_a_function_that_is_only_used_is_evidence_too(build: Build) -> None:
    text = (
        TYPES
        + GET.format("unsigned client")
        + ";int f(void) { return cpu_physical_memory_get_dirty(1, 2, 3); }"
    )
    made = build(text, "-c", "-g")
    found = identify(made, {**APIS, 5: {"int other(void)"}})
    assert found.used == ("cpu_physical_memory_get_dirty",)
    assert found.possible == (0, 1, 2, 3, 4)
    assert 5 not in found.possible
    assert found.identity is Identity.STEPS


def test_names_of_parameters_weigh_less_than_types(build: Build) -> None:
    text = source(2).replace("end", "last")
    found = identify(build(text, "-c", "-g"), APIS)
    assert found.identity is Identity.NO_STEP
    assert found.steps == ()
    assert {c.step: c.distance for c in found.best} == {
        2: (0, 1, 0),
        3: (0, 1, 0),
        4: (0, 1, 1),
        0: (1, 1, 0),
        1: (1, 1, 0),
    }
    assert [c.step for c in found.best] == [2, 3, 4, 0, 1]
    lines = to_text(found).splitlines()
    assert "  - void cpu_physical_memory_reset_dirty(ram_addr_t start, ram_addr_t end)" in lines
    assert "  + void cpu_physical_memory_reset_dirty(ram_addr_t start, ram_addr_t last)" in lines


def test_a_function_that_a_step_does_not_know_excludes_it(build: Build) -> None:
    found = identify(
        build(source(2), "-c", "-g"), {**APIS, 9: {GET.format("unsigned client")}}, most=6
    )
    assert 9 not in found.possible
    nine = next(c for c in found.best if c.step == 9)
    assert nine.unknown == ("cpu_physical_memory_reset_dirty",)
    assert nine.distance == (1, 0, 0)


def test_a_file_without_the_api_is_not_identified(build: Build) -> None:
    found = identify(build("int f(void) { return 1; }", "-c", "-g"), APIS)
    assert (found.identity, found.steps, found.possible) == (Identity.NO_API, (), ())
    assert to_text(found).endswith("nothing of the API is in the file")


def test_a_file_without_debug_information_is_an_error(build: Build) -> None:
    with pytest.raises(ElfError, match="build it with -g"):
        identify(build("int f(void) { return 1; }", "-c"), APIS)


def test_steps_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no step"):
        identify(tmp_path / "a.o", {})
    with pytest.raises(UsageError, match="two prototypes"):
        identify(tmp_path / "a.o", {1: ["int f(int a)", "int f(int b)"]})
    with pytest.raises(UsageError, match="not a C prototype"):
        identify(tmp_path / "a.o", {1: ["int f("]})


def test_an_identification_is_json(build: Build) -> None:
    again = json.loads(json.dumps(to_json(identify(build(source(3), "-c", "-g"), APIS))))
    assert again["steps"] == [3]
    assert again["identity"] == "one step"
    assert again["best"][0]["distance"] == [0, 0, 0]


def test_steps_are_shown_as_ranges() -> None:
    assert ranges([3, 1, 2, 7, 9, 10]) == "1-3, 7, 9-10"
    assert ranges([]) == ""
