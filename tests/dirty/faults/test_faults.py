"""Systematic faults: made the same way each time, found at their step, survivors argued."""

from __future__ import annotations

import pytest
from faults import ASK_ALL

from refmodels import FOLD
from refmodels.machine import OutOfDomain, RAMBlock
from replay.dirty.bench.rival import hypothesis_finds
from replay.dirty.faults import mutate_c
from replay.dirty.faults.ctrees import carry, step_trees
from replay.dirty.faults.judge import Search, judge_fault
from replay.dirty.faults.mutate import faults, faulty_text
from replay.dirty.faults.mutate_c import added_lines, c_faults
from replay.dirty.faults.survey import chosen, equivalents, survey

ALL = {fault.name: fault for step in range(1, 40) for fault in faults(step)}
IN_C = {fault.name: fault for step in range(1, 40) for fault in c_faults(step)}


def test_faults_are_many_and_spread_over_all_steps_with_code() -> None:
    assert len(ALL) > 800
    without = {step for step in range(1, 40) if not faults(step)}
    assert without == {1, 32}, "only moved declarations have no code to be wrong"


def test_every_fault_changes_the_text_and_nothing_else() -> None:
    for fault in list(ALL.values())[::20]:
        assert fault.new != fault.old
        compile(faulty_text(fault), "fault", "exec")


def test_each_fault_has_a_name_of_its_own() -> None:
    assert len(ALL) == sum(len(faults(step)) for step in range(1, 40))
    assert len(IN_C) == sum(len(c_faults(step)) for step in range(1, 40))
    assert not set(ALL) & set(IN_C)


def test_what_is_argued_to_change_nothing_is_a_fault_that_is_made() -> None:
    assert set(equivalents()) <= set(ALL) | set(IN_C)


@pytest.mark.parametrize("name", sorted(equivalents())[:: 4 if ASK_ALL else 8])
def test_no_argument_is_refuted(name: str) -> None:
    assert not judge_fault((ALL | IN_C)[name], Search(traces=40, seed=3)).found


def test_a_sample_of_faults_is_found_at_the_right_step() -> None:
    steps = [2, 7, 14, 18, 23, 26, 28, 31, 38, 39] if ASK_ALL else [18, 26, 39]
    result = survey(chosen(steps, 5), Search(traces=120))
    assert len(result.judged) > 2 * len(steps)
    assert not result.misblamed and not result.survivors and not result.refuted


def test_the_same_seed_gives_the_same_survey_for_any_number_of_processes() -> None:
    wanted = chosen([26, 38], 6)
    search = Search(traces=40)
    assert survey(wanted, search, jobs=1).judged == survey(wanted, search, jobs=2).judged


# --- in the C -------------------------------------------------------------------------


def test_faults_in_the_c_are_in_added_lines_of_all_patches_with_code() -> None:
    assert len(IN_C) > 500
    assert {step for step in range(1, 40) if not c_faults(step)} == {1}
    added = [added_lines(patch) for patch in mutate_c.read_patches()]
    for fault in IN_C.values():
        assert fault.line - 1 in added[fault.step - 1][fault.file]
        text = step_trees()[fault.step].files[fault.file].decode()
        assert fault.put_into(text) != text


def test_the_driver_gets_no_faults() -> None:
    assert not {fault.file for fault in IN_C.values()} & set(mutate_c.DRIVER)
    assert not {fault.function for fault in IN_C.values()} & set(mutate_c.HARNESS)


def test_a_sample_of_faults_in_the_c_is_found_at_the_right_step_by_every_lane() -> None:
    steps = [2, 7, 14, 18, 23, 26, 28, 31, 38, 39] if ASK_ALL else [14, 18, 39]
    result = survey(chosen(steps, 6, "c"), Search(traces=120, budget=60), jobs=2)
    assert len(result.found) > len(steps)
    assert not result.misblamed and not result.survivors and not result.refuted
    assert {lane for judged in result.found for lane in judged.lanes} >= {"native", "both", "calls"}
    lengths = [judged.shortest for judged in result.found if judged.shortest is not None]
    assert lengths and min(lengths) <= 3


@pytest.mark.parametrize(
    ("name", "lanes"),
    [
        # No caller names a client that is none, or asks which number stands for "dirty".
        ("15 memory-internal.h cpu_physical_memory_get_dirty_flag: < -> <=", ("calls",)),
        ("14 memory.h: 2 -> 3", ("calls",)),
        # Nothing calls it before step 19.
        ("18 bitmap.h bitmap_zero_extend: - -> +", ("calls",)),
        # The store is cut where it should have been left as it was.
        ("16 exec.c qemu_ram_alloc: > -> >=", ("calls",)),
        # The word before the array of bitmaps is there; only a sanitizer knows whose it is.
        ("19 exec.c qemu_ram_alloc: 0 -> -1", ("sanitized",)),
    ],
)
def test_what_no_trace_shows_another_lane_finds(name: str, lanes: tuple[str, ...]) -> None:
    judged = judge_fault(IN_C[name], Search(traces=60))
    assert judged.right and judged.lanes == lanes


def test_what_is_no_fault_to_find_is_said_to_be_none() -> None:
    same = IN_C["18 bitmap.h bitmap_zero_extend: unsigned long -> long unsigned"]
    assert judge_fault(same, Search(traces=20)).void == "same machine code"
    wrong = IN_C["18 bitmap.h bitmap_zero_extend: long, old -> old, long"]
    assert judge_fault(wrong, Search(traces=20)).void == "does not compile"


def test_a_fault_goes_on_in_later_trees_until_its_lines_go() -> None:
    fault = IN_C["26 memory-internal.h cpu_physical_memory_get_dirty: < -> <="]
    before, after = (step_trees()[step].files[fault.file].decode() for step in (26, 27))
    carried = carry(fault, before, after)
    assert carried is not None and carried != after
    assert len(carried.splitlines()) == len(after.splitlines())
    moved = step_trees()[32].files[fault.file].decode()
    assert carry(fault, before, moved) is None


def test_the_rival_finds_a_plain_fault() -> None:
    assert hypothesis_finds(ALL["31 core_log_global_start: True -> False"], 500, 1)


def test_a_guest_of_more_than_8_tib_is_refused_from_step_19_on() -> None:
    for step in (19, 39):
        machine = FOLD.build(step)(12, 1, True, 64)
        machine.blocks = [RAMBlock(0, (2**31 - 1) << 12)]
        with pytest.raises(OutOfDomain, match="8 TiB"):
            machine.ram_alloc(2)
