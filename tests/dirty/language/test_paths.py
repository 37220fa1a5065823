"""Features of operations, the paths made of them, and the arguments for what cannot be."""

from __future__ import annotations

import pytest

from replay.dirty.language.domain import Layout, validate
from replay.dirty.language.features import Before
from replay.dirty.language.generate import DEFAULT, generate
from replay.dirty.language.never import NEVER, never
from replay.dirty.language.operations import OPS
from replay.dirty.language.paths import Path, shapes
from replay.dirty.language.steer import STEER_EVERY, drawing, steered
from replay.dirty.language.trace import Config
from replay.dirty.machine.coverage import Coverage
from replay.dirty.machine.reach import reach
from replay.dirty.subject import SUBJECT, plan

PAGE = 4096
UNIVERSE = [path for shape in shapes().values() for path in shape.universe]


def path_of(text: str) -> Path:
    return next(path for path in UNIVERSE if str(path) == text)


def labels(op: str, *args: object, words: int = 8, hpratio: int = 1) -> dict[str, str]:
    """The labels of an operation on a machine with blocks at pages 0-11 and 12-15."""
    layout = Layout()
    layout.alloc(12)
    layout.alloc(4)
    before = Before(Config(word_bits=words, hpratio=hpratio), layout)
    before.room = 16
    before.see(((0b11, 0b10, 0b11), {0: True, 1: False}, {1}, None, 0, False))
    shape = shapes()[op]
    found = shape.look(before, args)
    return {feature.name: label for feature, label in zip(shape.features, found, strict=True)}


@pytest.mark.parametrize(
    ("addr", "length", "start", "stop", "extent"),
    [
        (0, 0, "word", "page", "empty"),
        (PAGE + 1, 0, "inside", "inside", "empty"),
        (0, 1, "word", "inside", "part"),
        (PAGE, PAGE, "page", "page", "one"),
        (PAGE + 1, PAGE - 1, "inside", "page", "part"),
        (PAGE + 1, PAGE, "inside", "inside", "pages"),
        (6 * PAGE, 2 * PAGE, "page", "page", "pages"),
        (7 * PAGE, PAGE + 1, "page", "inside", "words"),
        (8 * PAGE, 4 * PAGE, "word", "page", "pages"),
        (0, 12 * PAGE, "word", "page", "whole"),
        (0, 12 * PAGE + 1, "word", "inside", "out"),
        (12 * PAGE, 4 * PAGE, "page", "page", "whole"),
    ],
)
def test_a_range_is_told_by_its_ends_and_what_it_crosses(
    addr: int, length: int, start: str, stop: str, extent: str
) -> None:
    found = labels("region_reset_dirty", addr, length, 0)
    assert (found["start"], found["stop"], found["extent"]) == (start, stop, extent)


def test_what_the_machine_holds_is_told_of_the_pages_touched() -> None:
    both = labels("region_reset_dirty", 0, 2 * PAGE, 1)
    assert (both["tlb"], both["code"], both["dirty"], both["client"]) == (
        "direct", "code", "some", "code",
    )  # fmt: skip
    second = labels("region_reset_dirty", PAGE, PAGE, 1)
    assert (second["tlb"], second["dirty"]) == ("notdirty", "all")
    assert labels("store", 0, 4)["dirty"] == "some"
    assert labels("store", PAGE, 4)["dirty"] == "all"
    assert labels("store", 2 * PAGE, 4)["dirty"] == "clean"


def test_a_log_is_told_by_its_bits_and_its_end() -> None:
    found = labels("kvm_log_sync", 8 * PAGE, 4, (0b11111,))
    assert (found["bits"], found["tail"], found["end"], found["start"]) == (
        "past", "tail", "block", "word",
    )  # fmt: skip
    assert labels("kvm_log_sync", 8 * PAGE, 3, (1,), hpratio=2)["end"] == "out"
    assert labels("kvm_log_sync", 0, 8, (0xFF,))["bits"] == "all"


def test_a_block_that_comes_is_told_by_what_becomes_of_the_store() -> None:
    found = labels("ram_alloc", 8)
    assert (found["store"], found["ram"], found["place"], found["tail"]) == (
        "grows", "raised", "word", "full",
    )  # fmt: skip


def test_every_operation_has_paths_and_every_argument_is_about_one() -> None:
    assert {path.op for path in UNIVERSE} == set(OPS)
    for entry in NEVER:
        assert any(entry.fits(path) for path in UNIVERSE), entry


def test_the_words_of_a_log_are_a_way_from_step_37_on() -> None:
    path = path_of("kvm_log_sync way=words hpratio=one")
    assert "step 37" in never(path, 36) and not never(path, 37)


def test_steering_reaches_what_the_default_check_does_not() -> None:
    wanted = [
        path_of("region_set_dirty extent=out tcg=off"),
        path_of("page_is_dirty tlb=direct dirty=clean"),
        path_of("kvm_log_sync end=out hpratio=one"),
    ]
    steps = (0, 29, 39)
    counts = []
    for led in (True, False):
        coverage = Coverage(steps)
        for index in range(8):
            for path in wanted:
                trace = steered(1, index, DEFAULT, (path,) if led else ())
                validate(trace)
                runs = SUBJECT.lockstep(plan().machines(), trace, steps)
                coverage.add(trace, runs, index)
        counts.append(coverage.counts())
        assert not reach(coverage).refuted()
    assert all(min(counts[0][path]) > 0 for path in wanted)
    assert not all(min(counts[1].get(path, [0])) for path in wanted)


def test_traces_that_are_not_steered_are_those_of_the_check() -> None:
    wanted = (path_of("page_is_dirty tlb=direct dirty=clean"),)
    for index in range(STEER_EVERY):
        same = drawing(3, index, DEFAULT, wanted) == generate(3, index)
        assert same == (index != STEER_EVERY - 1)
        assert drawing(3, index, DEFAULT, ()) == generate(3, index)
    assert steered(3, 5, DEFAULT, wanted) == steered(3, 5, DEFAULT, wanted)
