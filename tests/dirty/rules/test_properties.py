"""What must hold at a step by itself: broken where series.toml says so, on known traces."""

from __future__ import annotations

import pytest

from replay.dirty.language.generate import traces
from replay.dirty.language.trace import Config, Op, Trace
from replay.dirty.machine.run import python_model
from replay.dirty.rules.inner import INNER_PROPERTIES
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.dirty.subject import SUBJECT

SERIES = SUBJECT.series
DECLARED = {p.name: p for p in SERIES.properties}


def violated(name: str, step: int, trace: Trace) -> bool:
    return RUN_PROPERTIES[name](trace, python_model(step).run(trace).records) is not None


LOST = Trace(
    (
        Op("ram_alloc", (1,)),
        Op("tlb_fill", (0,)),
        Op("migration_start"),
        Op("migration_next", (0, 0)),
        Op("store", (0, 1)),
        Op("migration_sync"),
    )
)


def test_every_property_is_described_and_every_description_has_a_property() -> None:
    assert set(DECLARED) == set(RUN_PROPERTIES) | set(INNER_PROPERTIES)


def test_step_39_loses_a_store_that_every_earlier_step_keeps() -> None:
    assert [k for k in range(40) if violated("no-lost-store", k, LOST)] == [39]


def test_a_store_of_the_device_is_never_lost() -> None:
    ops = (*LOST.ops[:4], Op("dma_write", (0, 1)), LOST.ops[5])
    assert not any(violated("no-lost-store", k, LOST.with_ops(ops)) for k in range(40))


def test_step_37_loses_what_a_log_of_large_pages_names() -> None:
    trace = Trace(
        (
            Op("ram_alloc", (2,)),
            Op("region_reset_dirty", (4096, 4096, "vga")),
            Op("kvm_log_sync", (0, 1, (1,))),
            Op("page_get_flag", (4096, "vga")),
        ),
        Config(hpratio=2),
    )
    assert [k for k in range(40) if violated("no-lost-store", k, trace)] == [37, 38, 39]


def test_step_30_loses_a_store_after_an_unaligned_reset() -> None:
    trace = Trace(
        (
            Op("ram_alloc", (2,)),
            Op("tlb_fill", (4096,)),
            Op("region_reset_dirty", (4095, 2, "vga")),
            Op("store", (4096, 1)),
            Op("page_get_flag", (4096, "vga")),
        )
    )
    assert [k for k in range(40) if violated("no-lost-store", k, trace)] == list(range(30, 40))


def test_step_0_already_breaks_what_is_said_to_be_broken_there() -> None:
    quiet = Trace(
        (
            Op("ram_alloc", (1,)),
            Op("region_reset_dirty", (0, 4096, "vga")),
            Op("store_notdirty", (0,)),
            Op("page_get_flag", (0, "vga")),
        )
    )
    assert violated("no-lost-quiet-store", 0, quiet)
    assert not violated("no-lost-store", 0, quiet)
    stale = Trace(
        (
            Op("ram_alloc", (1,)),
            Op("translate", (0,)),
            Op("region_set_dirty", (0, 4096)),
            Op("store", (0, 1)),
        )
    )
    assert violated("no-stale-code", 0, stale)
    no_tcg = Trace(
        (
            Op("ram_alloc", (1,)),
            Op("tlb_fill", (0,)),
            Op("region_reset_dirty", (0, 4096, "vga")),
            Op("store", (0, 1)),
            Op("page_get_flag", (0, "vga")),
        ),
        Config(tcg=False),
    )
    assert violated("no-lost-store-without-tcg", 0, no_tcg)
    assert not violated("no-lost-store", 0, no_tcg)


@pytest.mark.parametrize("name", sorted(RUN_PROPERTIES))
def test_a_property_breaks_at_no_step_but_those_declared(name: str) -> None:
    if DECLARED[name].broken_at_start:
        return
    declared = {s.number for s in SERIES.steps if name in s.breaks}
    for trace in traces(31, 120):
        held = True
        for step in range(40):
            holds = not violated(name, step, trace)
            assert holds or not held or step in declared, (trace.name, step)
            held = holds


def test_ghost_pages_are_counted_from_step_39_on() -> None:
    trace = Trace(
        (
            Op("ram_alloc", (2,)),
            Op("ram_free", (0,)),
            Op("ram_alloc", (1,)),
            Op("migration_start"),
        )
    )
    assert [k for k in range(40) if violated("count-is-popcount", k, trace)] == [39]
