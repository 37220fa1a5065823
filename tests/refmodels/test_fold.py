"""The fold is a linker: what does not fit is refused, and what a step is can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from refmodels import FOLD, delta
from refmodels.delta import LinkError, Step
from refmodels.link import link
from refmodels.machine import Machine
from replay.dirty.subject import SUBJECT
from replay.series.declared import name_of

STEPS = range(FOLD.last + 1)


@pytest.mark.parametrize("number", STEPS)
def test_every_step_links_and_builds(number: int) -> None:
    machine = FOLD.build(number)
    assert number == machine.STEP_NUMBER
    assert machine(12, 1, True, 64).store_bytes() == 0


def test_adding_what_is_there_is_refused() -> None:
    step = Step(1)

    @step.adds
    def cpu_physical_memory_is_dirty(vm, addr): ...

    with pytest.raises(LinkError, match="step 1 adds cpu_physical_memory_is_dirty: it is there"):
        delta.apply(FOLD.table(0), step)


def test_changing_or_removing_what_is_not_there_is_refused() -> None:
    step = Step(1)
    step.removes("cpu_physical_memory_is_clean")
    with pytest.raises(LinkError, match="no such entry at step 0"):
        delta.apply(FOLD.table(0), step)


def test_a_call_of_a_removed_function_is_refused() -> None:
    step = Step(1)
    step.removes("cpu_physical_memory_set_dirty_flags")
    folded = delta.apply(FOLD.table(0), step)
    with pytest.raises(LinkError, match="uses cpu_physical_memory_set_dirty_flags"):
        link(1, folded, Machine)


def test_a_call_with_a_wrong_number_of_arguments_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "s31.py"
    copy.write_text(
        "from refmodels.delta import VM, Step\n"
        "STEP = Step(31, home='exec.c')\n"
        "@STEP.changes\n"
        "def cpu_physical_memory_set_dirty_tracking(vm: VM, enable, more) -> None:\n"
        "    vm.in_migration = enable\n"
    )
    with pytest.raises(LinkError, match="with 1 arguments, it takes 2"):
        FOLD.variant({31: copy}, FOLD.last)


def test_folding_leaves_earlier_tables_alone() -> None:
    before = dict(FOLD.table(10))
    FOLD.table(39)
    assert FOLD.table(10) == before


@pytest.mark.parametrize("number", range(1, FOLD.last + 1))
def test_a_step_touches_something_and_says_what(number: int) -> None:
    step = FOLD.load(number)
    assert step.deltas, "a step without a delta models nothing"
    module = __import__(step.module, fromlist=["STEP"])
    title = module.__doc__.splitlines()[0].rstrip(".")
    assert title == SUBJECT.series.title(number).rstrip(".")


@pytest.mark.parametrize("number", range(1, FOLD.last + 1))
def test_no_function_is_rewritten_without_a_change(number: int) -> None:
    """What a step says it changes is another text than before."""
    before = FOLD.table(number - 1)
    for entry in FOLD.load(number).deltas:
        if entry.action == "changes" and entry.kind == "function":
            old = delta.source(before[entry.name].value)
            assert delta.source(entry.value) != old, entry.name


@pytest.mark.parametrize("number", STEPS)
def test_series_toml_names_the_functions_that_the_models_have(number: int) -> None:
    declared = {name_of(p) for p in SUBJECT.series.api(number)}
    modelled = {n for n in FOLD.table(number) if n.startswith("cpu_physical_memory_")}
    assert {n for n in declared if n.startswith("cpu_physical_memory_")} == modelled


@pytest.mark.parametrize("number", STEPS)
def test_prototypes_and_models_agree_on_parameters_and_void(number: int) -> None:
    for prototype in SUBJECT.series.api(number):
        entry = FOLD.table(number).get(name_of(prototype))
        if entry is None or name_of(prototype).startswith("migration_bitmap_"):
            continue
        code = entry.value.__code__
        names = [part.split()[-1].lstrip("*") for part in
                 prototype.partition("(")[2].rstrip(")").split(",")]  # fmt: skip
        assert list(code.co_varnames[1 : code.co_argcount]) == names
        void = prototype.startswith("void ")
        given = entry.value.__annotations__["return"]
        assert (given in (None, "None")) is void


def test_the_store_is_bytes_then_words() -> None:
    assert "phys_dirty" in FOLD.table(18) and "dirty_memory" not in FOLD.table(18)
    assert "dirty_memory" in FOLD.table(19) and "phys_dirty" not in FOLD.table(19)
    machine = FOLD.build(39)(12, 1, True, 64)
    machine.ram_alloc(128)
    assert machine.store_bytes() == 3 * 128 // 8
    machine = FOLD.build(0)(12, 1, True, 64)
    machine.ram_alloc(128)
    assert machine.store_bytes() == 128


def test_the_life_of_a_function_can_be_told() -> None:
    life = list(FOLD.life("cpu_physical_memory_clear_dirty_flag"))
    assert life == [
        (12, "adds"), (13, "changes"), (15, "changes"), (17, "changes"),
        (19, "changes"), (20, "removes"),
    ]  # fmt: skip


def test_whole_source_names_each_function_once() -> None:
    text = FOLD.whole_source(39)
    for name, entry in FOLD.table(39).items():
        if entry.kind == "function":
            assert text.count(f"\ndef {name}(") == 1
