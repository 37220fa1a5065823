"""Systematic faults: made the same way each time, found at their step, survivors argued."""

from __future__ import annotations

import pytest

from refmodels import delta
from refmodels.machine import OutOfDomain, RAMBlock
from replay.faults.judge import judge_fault
from replay.faults.mutate import faults
from replay.faults.rival import hypothesis_finds
from replay.faults.survey import chosen, equivalents, survey

ALL = {fault.name: fault for step in range(1, 40) for fault in faults(step)}


def test_faults_are_many_and_spread_over_all_steps_with_code() -> None:
    assert len(ALL) > 800
    without = {step for step in range(1, 40) if not faults(step)}
    assert without == {1, 32}, "only moved declarations have no code to be wrong"


def test_every_fault_changes_the_text_and_nothing_else() -> None:
    for fault in list(ALL.values())[::20]:
        assert fault.new != fault.old
        compile(fault.text(), "fault", "exec")


def test_what_is_argued_to_change_nothing_is_a_fault_that_is_made() -> None:
    assert set(equivalents()) <= set(ALL)


@pytest.mark.parametrize("name", sorted(equivalents())[::4])
def test_no_argument_is_refuted(name: str) -> None:
    assert not judge_fault(ALL[name], traces=40, seed=3).found


def test_a_sample_of_faults_is_found_at_the_right_step() -> None:
    result = survey(chosen([2, 7, 14, 18, 23, 26, 28, 31, 38, 39], 5), traces=120)
    assert len(result.judged) > 20
    assert not result.misblamed and not result.survivors and not result.refuted


def test_the_same_seed_gives_the_same_survey_for_any_number_of_processes() -> None:
    wanted = chosen([26, 38], 6)
    assert survey(wanted, 40, jobs=1).judged == survey(wanted, 40, jobs=2).judged


def test_the_rival_finds_a_plain_fault() -> None:
    assert hypothesis_finds(ALL["31 core_log_global_start: True -> False"], 500, 1)


def test_a_guest_of_more_than_8_tib_is_refused_from_step_19_on() -> None:
    for step in (19, 39):
        machine = delta.build(step)(12, 1, True, 64)
        machine.blocks = [RAMBlock(0, (2**31 - 1) << 12)]
        with pytest.raises(OutOfDomain, match="8 TiB"):
            machine.ram_alloc(2)
