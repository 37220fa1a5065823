"""Direct calls of the inner API in C: they agree with the models, and can disagree."""

from __future__ import annotations

import pytest

from refmodels import FOLD
from replay.build.compile import BuildFailed, Built, build
from replay.build.errors import BuildError
from replay.dirty.native.calls import compare_calls, draw_case
from replay.dirty.native.check import check_both
from replay.dirty.native.inner import inner_api, with_calls
from replay.dirty.native.session import Libraries, session
from replay.dirty.subject import SUBJECT
from replay.dirty.subject import plan as plan_of
from replay.series.declared import name_of

from .steps import Fault, libraries, series

SERIES = SUBJECT.series


def built(trees: dict[int, dict[str, bytes]]) -> Libraries:
    outcomes = {step: build(step, with_calls(files, SERIES, step)) for step, files in trees.items()}
    assert all(isinstance(outcome, Built) for outcome in outcomes.values()), outcomes
    return Libraries.of(outcomes)


def around(fault: Fault) -> Libraries:
    """The step before the fault, and the steps that have it."""
    return built({fault.step - 1: series()[fault.step - 1]} | fault.trees())


HEADER = "include/exec/memory-internal.h"
FAULTS = (
    Fault("asserts one client too many", 15, HEADER, "client < DIRTY_MEMORY_NUM",
          "client <= DIRTY_MEMORY_NUM", 16),
    Fault("leaves out the client that no caller clears", 12, HEADER, "&= ~dirty_flag",
          "&= ~(dirty_flag & 7)", 12),
    Fault("gives another number for true", 9, HEADER, "return found", "return 2 * found", 10),
    Fault("clears bits that were there", 18, "include/qemu/bitmap.h", "old_nbits, new_nbits -",
          "old_nbits & ~1, new_nbits -", 18),
    Fault("cuts the store", 16, "exec.c", "new_ram_size > old_ram_size",
          "new_ram_size >= old_ram_size", 17),
)  # fmt: skip


def test_every_declared_function_that_stands_alone_is_called() -> None:
    called = {name for step in range(40) for name in inner_api(SERIES, step).names}
    declared = {name_of(p) for step in range(40) for p in SERIES.api(step)}
    # The two are static functions of one file and have arguments of its own.
    own = {"migration_bitmap_set_dirty", "migration_bitmap_sync_range"}
    assert declared - own - {"bitmap_zero_extend"} <= called
    assert "zero_extended" in called


@pytest.mark.parametrize("step", range(0, 40, 3))
def test_the_c_answers_as_the_model(step: int) -> None:
    held = session(built({step: series()[step]}))
    result = compare_calls(SERIES, step, held, 7, range(150))
    assert result.wrong is None and result.calls > 500


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_in_the_inner_api_is_found_by_a_short_case(fault: Fault) -> None:
    held = session(around(fault))
    wrong = compare_calls(SERIES, fault.step, held, 1, range(150)).wrong
    assert wrong is not None and wrong.text and len(wrong.case.trace.ops) <= 8
    assert compare_calls(SERIES, fault.step - 1, held, 1, range(150)).wrong is None


def test_check_blames_the_step_that_brings_it_and_not_the_next() -> None:
    fault = FAULTS[0]
    plan = plan_of(seed=1, traces=300, steps=(14, 15, 16))
    result = check_both(plan, around(fault), budget=0, calls=around(fault))
    by_step = {row.step: row for row in result.steps}
    assert [f.what for f in by_step[15].failures] == ["api"]
    assert "client" in by_step[15].failures[0].text or "flag" in by_step[15].failures[0].text
    assert not by_step[14].failures and not by_step[16].failures
    assert by_step[14].calls > 100


def test_the_same_seed_gives_the_same_cases() -> None:
    machine = FOLD.build(20)
    one, two = (draw_case(inner_api(SERIES, 20), machine, 5, 17) for _ in range(2))
    assert one == two and one != draw_case(inner_api(SERIES, 20), machine, 6, 17)


def test_boundary_clients_are_among_the_calls() -> None:
    machine = FOLD.build(20)
    clients = {
        op.args[-1]
        for number in range(200)
        for op in draw_case(inner_api(SERIES, 20), machine, 1, number).trace.ops
        if op.name == "cpu_physical_memory_get_dirty_flag"
    }
    assert {0, 1, 2, 3} <= clients


def test_a_declared_function_that_is_not_there_does_not_build() -> None:
    files = series()[20]
    gone = files | {HEADER: files[HEADER].replace(b"get_dirty_flag(", b"get_flag(")}
    assert isinstance(build(20, with_calls(gone, SERIES, 20)), BuildFailed)


def test_a_foreign_driver_is_refused() -> None:
    with pytest.raises(BuildError, match="driver"):
        with_calls({"driver.c": b"int main;", "util/alloc.c": b""}, SERIES, 20)
    half = series()[20]["driver.c"].replace(b"/* Run one operation;", b"/* Run it;")
    with pytest.raises(BuildError, match="driver"):
        with_calls(series()[20] | {"driver.c": half}, SERIES, 20)


def test_a_library_without_the_calls_refuses_them() -> None:
    assert inner_api(SERIES, 20).functions
    held = session(libraries())
    wrong = compare_calls(SERIES, 20, held, 1, range(3)).wrong
    assert wrong is not None and "refuses" in wrong.text
