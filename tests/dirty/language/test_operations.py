"""The table of operations: what it must hold, and what it must agree with."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from refmodels import FOLD
from replay.dirty.language import kind
from replay.dirty.language.addresses import Address
from replay.dirty.language.domain import check_op
from replay.dirty.language.draws import Draws
from replay.dirty.language.kind import Kind
from replay.dirty.language.kinds import Client, Length, Size, Words
from replay.dirty.language.operations import IDLE, OPS, RUNNING, Operation
from replay.dirty.language.trace import Config, Op
from replay.dirty.native.stream import LIGHT, STEADY
from replay.teach.page.bundle import static_text
from replay.teach.page.language import with_operations

TREE = Path(__file__).parents[3] / "series/tree"


def opcodes() -> list[str]:
    """The names of ``enum dirty_opcode``, as they are numbered from 1."""
    header = (TREE / "include/driver.h").read_text()
    body = re.search(r"enum dirty_opcode \{(.*?)\};", header, re.DOTALL)
    assert body is not None
    assert "DIRTY_RAM_ALLOC = 1," in body[1]
    return re.findall(r"^    DIRTY_(\w+)", body[1], re.MULTILINE)


def test_the_driver_numbers_the_operations_as_the_table_does() -> None:
    names = opcodes()
    assert len(names) == len(OPS)
    for number, operation in zip(names, OPS, strict=True):
        assert number in (operation.upper(), operation.upper().removesuffix("_DIRTY"))


def test_the_driver_has_a_case_for_each_operation() -> None:
    driver = (TREE / "driver.c").read_text()
    for number in opcodes():
        assert f"case DIRTY_{number}:" in driver


@pytest.mark.parametrize("step", (0, 39))
def test_the_models_have_a_function_for_each_operation_with_its_parameters(step: int) -> None:
    machine = FOLD.build(step)
    for name, operation in OPS.items():
        code = getattr(machine, name).__code__
        assert code.co_varnames[1 : code.co_argcount] == operation.parameters


def test_what_a_stream_holds_is_valid_at_any_time_of_a_migration() -> None:
    for name, _ in (*STEADY, *LIGHT):
        assert OPS[name].moves is None
        assert OPS[name].when in (None, RUNNING)
    assert STEADY[0] == ("store", 20) and STEADY[-1] == ("tlb_flush", 1)


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        ((Size(), Address()), "an address stands first"),
        ((Address(), Client(), Size()), "a client stands last"),
        ((Address(), Words()), "words follow the pages"),
    ],
)
def test_an_operation_that_the_machinery_cannot_follow_is_refused(
    kinds: tuple[Kind, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=f"odd: {why}"):
        Operation("odd", kinds, kind.NOTHING, "nothing", weight=1)


@pytest.mark.parametrize("name", ("store", "migration_next", "kvm_log_sync"))
def test_kinds_whose_operations_draw_by_themselves_can_draw_too(name: str) -> None:
    kinds = OPS[name].kinds
    for seed in range(200):
        draws = Draws(random.Random(seed), Config(hpratio=(1, 4)[seed % 2], word_bits=8))
        for pages in (3, 40):
            draws.layout.alloc(pages)
        draws.layout.start_migration()
        args: tuple[Any, ...] = ()
        for one in kinds:
            args = (*args, one.draw(draws, args))
        assert check_op(Op(name, args), draws.layout, draws.config) is None


def test_the_page_knows_the_parameters_of_each_operation() -> None:
    script = static_text("trace.js")
    assert '\n  store: ["addr", "size"],\n  dma_write: ["addr", "length"],\n' in script
    assert "\n  tlb_flush: [],\n" in script
    assert "//@" not in script


def test_the_page_checks_an_operation_without_a_check_of_its_own_by_its_kinds() -> None:
    new = Operation(
        "move_here", (Address(), Length(within="ram"), Client()), kind.NOTHING, "", 1, when=IDLE
    )
    text = with_operations("//\n  //@operations\n  //@checks\n", {"move_here": new})
    assert text == (
        '//\n  move_here: ["addr", "length", "client"],\n'
        "  move_here: (named, layout, block, limits) => "
        "CHECKS.migration_start(named, layout, block, limits) || "
        "insideRam(named, layout, block, limits) || null,\n"
    )
