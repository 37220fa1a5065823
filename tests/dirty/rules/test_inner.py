"""What must hold inside a machine: it does where steps rest on it, and it can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.catalogue import FAULTS, INSIDE

from refmodels import FOLD, delta
from refmodels.machine import Machine
from replay.dirty.language.generate import traces
from replay.dirty.language.trace import Config, Op, Trace
from replay.dirty.machine.run import python_model, start
from replay.dirty.rules.inner import INNER_PROPERTIES, look_inside
from replay.dirty.subject import SUBJECT

SERIES = SUBJECT.series
DECLARED = {p.name: p for p in SERIES.properties}

SHORT_END = Trace(
    (
        Op("ram_alloc", (1,)),
        Op("ram_alloc", (1,)),
        Op("ram_alloc", (1,)),
        Op("ram_alloc", (64,)),
        Op("ram_free", (3 << 12,)),
        Op("ram_free", (1 << 12,)),
        Op("ram_alloc", (1,)),
    )
)
"""The last block is freed, so that RAM ends below its store; then a gap is filled."""

LARGE = Trace(
    (
        Op("ram_alloc", (20000,)),
        Op("ram_alloc", (5001,)),
        Op("ram_free", (20000 << 12,)),
        Op("ram_alloc", (4097,)),
    )
)


def faulty(step: int, kind: str, folder: Path) -> type[Machine]:
    """The machine of a step with a fault of the catalogue in it."""
    fault = next(f for f in (*FAULTS, *INSIDE) if (f.step, f.kind) == (step, kind))
    return FOLD.variant({step: fault.write(folder)}, FOLD.last)[step]


@pytest.mark.parametrize("name", sorted(INNER_PROPERTIES))
def test_inner_properties_hold_where_steps_rest_on_them(name: str) -> None:
    prop = DECLARED[name]
    given_up = [s.number for s in SERIES.steps if name in s.breaks]
    last = min(given_up, default=prop.last + 1)
    for trace in traces(32, 12):
        for step in range(prop.first, prop.last + 1):
            broken = look_inside(name, FOLD.build(step), trace) is not None
            assert broken == (step >= last), (step, trace.name)


STORE = ("store-fits-ram", "store-grows-with-ram", "page-numbers-fit-int")


@pytest.mark.parametrize("name", STORE)
@pytest.mark.parametrize("config", [Config(), Config(word_bits=8), Config(page_bits=16)])
def test_properties_of_the_store_hold_where_blocks_come_and_go(name: str, config: Config) -> None:
    ops = []
    for op in SHORT_END.ops:
        (value,) = op.args
        assert isinstance(value, int)
        ops.append(
            op if op.name == "ram_alloc" else Op(op.name, (value >> 12 << config.page_bits,))
        )
    for step in range(DECLARED[name].first, DECLARED[name].last + 1):
        assert look_inside(name, FOLD.build(step), Trace(tuple(ops), config)) is None, step


@pytest.mark.parametrize("name", STORE)
def test_properties_of_the_store_hold_on_large_machines(name: str) -> None:
    for step in range(DECLARED[name].first, DECLARED[name].last + 1):
        assert look_inside(name, FOLD.build(step), LARGE) is None, step


def test_large_machines_zero_their_new_blocks_alike() -> None:
    runs = [python_model(step).run(LARGE).records for step in (0, 10, 11, 15, 16, 18)]
    assert all(records == runs[0] for records in runs)


def test_step_16_is_the_first_that_leaves_a_store_longer_than_ram() -> None:
    longer = [
        step
        for step in range(40)
        if INNER_PROPERTIES["store-fits-ram"](FOLD.build(step), SHORT_END) is not None
    ]
    assert longer == list(range(16, 40))


@pytest.mark.parametrize(
    ("name", "step", "kind"),
    [
        ("store-fits-ram", 11, "store-not-grown"),
        ("store-fits-ram", 11, "zeroes-past-the-store"),
        ("store-grows-with-ram", 16, "store-not-grown"),
        ("store-grows-with-ram", 16, "zeroes-elsewhere"),
        ("store-grows-with-ram", 16, "zeroes-past-the-store"),
        ("store-grows-with-ram", 16, "resizes-always"),
        ("store-grows-with-ram", 16, "resizes-when-the-end-stays"),
        ("store-grows-with-ram", 19, "resizes-always"),
        ("store-grows-with-ram", 19, "resizes-when-the-end-stays"),
        ("store-grows-with-ram", 19, "one-bitmap-not-grown"),
        ("page-numbers-fit-int", 19, "one-page-too-many"),
        ("page-numbers-fit-int", 19, "one-page-too-few"),
        ("page-numbers-fit-int", 19, "limit-before-the-last-page"),
        ("page-numbers-fit-int", 19, "limit-of-the-wrong-end"),
    ],
)
def test_properties_of_the_store_can_fail(name: str, step: int, kind: str, tmp_path: Path) -> None:
    found = look_inside(name, faulty(step, kind, tmp_path), SHORT_END)
    assert found is not None and "fails" not in found.text


def test_a_model_that_fails_breaks_the_property_that_asked_it(tmp_path: Path) -> None:
    (source,) = Path(delta.__file__).parent.glob("s18_*.py")
    copy = tmp_path / "copy.py"
    text = source.read_text(encoding="utf-8")
    copy.write_text(text.replace("    return old\n", "    return old[9999]\n"), encoding="utf-8")
    machine = FOLD.variant({18: copy}, FOLD.last)[18]
    found = look_inside("zero-extend-contract", machine, SHORT_END)
    assert found is not None and "IndexError" in found.text


@pytest.mark.parametrize("watched", [False, True])
def test_zeroing_never_lengthens_a_store_and_counts_what_lies_outside(watched: bool) -> None:
    vm = start(FOLD.build(0), Trace(()), watched)
    store = vm.new_bytes(8)
    store[0:8] = b"\1" * 8
    vm.memset(store, 2, 3)
    vm.memset(store, 8, 0)
    assert bytes(store) == b"\1\1\0\0\0\1\1\1" and vm.stray == 0
    vm.memset(store, 6, 5)
    assert bytes(store) == b"\1\1\0\0\0\1\0\0" and vm.stray == 1
    vm.memset(store, -2, 3)
    vm.memset(store, 9, 1)
    vm.memset(store, 3, -1)
    assert bytes(store) == b"\0\1\0\0\0\1\0\0" and vm.stray == 4


def test_zeroing_a_watched_store_is_seen() -> None:
    vm = start(FOLD.build(0), Trace(()), watched=True)
    store = vm.new_bytes(8)
    store.span.take()
    vm.memset(store, 2, 3)
    assert store.span.take() == (2, 5)


def test_before_step_7_the_unused_bits_are_read() -> None:
    check = INNER_PROPERTIES["unused-bits-unread"]
    assert any(check(FOLD.build(6), trace) for trace in traces(33, 5))


def test_the_contract_of_bitmap_zero_extend_can_fail(tmp_path: Path) -> None:
    machine = faulty(18, "clears-the-old", tmp_path)
    trace = next(traces(34, 1))
    assert INNER_PROPERTIES["zero-extend-contract"](machine, trace) is not None
