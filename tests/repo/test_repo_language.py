"""Traces of calls as a language: what a candidate of the shrinker may be."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replay.repo.binding import Binding, Draft, Interface, Operation, Param, Returns
from replay.repo.calls import Call, CallTrace, takes
from replay.repo.language import CallLanguage, shrink
from replay.repo.mining import Constants, Mined
from replay.repo.shapes import Shape

INT = Shape("int", "int", 4, signed=True)


def op(name: str, *params: Param, makes: str = "", destroys: str = "") -> Operation:
    draft = Draft(name, (name,))
    return Operation(name, draft, params, Returns("void", INT), makes, destroys)


def interface(*ops: Operation) -> Interface:
    return Interface(Binding("binding.toml", ()), {one.name: one for one in ops}, ())


BOX = Param("b", "handle", kind="box")
BOXES = interface(
    op("open", makes="box"),
    op("put", BOX, Param("n", "int", 0, 9)),
    op("shut", BOX, destroys="box"),
)
MIXED = interface(
    op("f", Param("n", "int", 0, 9)),
    op("g", Param("c", "choice", choices=(5, 7))),
    op("h", Param("s", "string", 0, 3)),
    op("k", Param("m", "int", 3, 9)),
)


def test_what_needs_a_call_that_is_left_out_goes_with_it() -> None:
    language = CallLanguage(BOXES)
    trace = (
        Call("open", (), 1), Call("open", (), 2), Call("put", (1, 5)), Call("put", (2, 6)),
        Call("shut", (1,)),
    )  # fmt: skip
    assert language.without(trace, {0}) == (trace[1], trace[3])
    left = language.normal(language.without(trace, {0}))
    assert left == (Call("open", (), 1), Call("put", (1, 6)))


def test_a_call_of_an_object_that_is_gone_makes_no_sense() -> None:
    language = CallLanguage(BOXES)
    opened = Call("open", (), 1)
    assert language.normal((opened, Call("shut", (1,)), Call("put", (1, 5)))) is None
    assert language.normal((Call("put", (1, 5)),)) is None
    assert language.normal(()) == ()


def test_a_value_that_its_parameter_does_not_take_makes_no_sense() -> None:
    language = CallLanguage(MIXED)
    for wrong in (
        Call("f", (10,)), Call("f", ("a",)), Call("g", (6,)), Call("h", ("aaaa",)),
        Call("h", (1,)), Call("k", (2,)),
    ):  # fmt: skip
        assert language.normal((wrong,)) is None
    fit = (Call("f", (9,)), Call("g", (5,)), Call("h", ("",)), Call("k", (3,)))
    assert language.normal(fit) == fit


def test_shorter_is_smaller_and_then_less() -> None:
    size = CallLanguage(MIXED).size
    f1, f2, k9 = Call("f", (1,)), Call("f", (2,)), Call("k", (9,))
    assert size((f1,)) < size((f2,)) < size((k9,)) < size((f1, f1)) < size((f1, f2))
    assert size((f1, f2)) < size((f2, f1))
    # The values together come before the order of the operations.
    assert size((Call("g", (5,)),)) < size((f1,))


def test_the_shrinker_runs_nothing_that_the_binding_does_not_allow() -> None:
    asked: list[CallTrace] = []

    def holds(trace: CallTrace) -> bool:
        # Arbitrary, so that many passes go on with what others left.
        asked.append(trace)
        return len(trace) > 3 and zlib.crc32(repr((number, trace)).encode()) % 5 == 0

    for number in range(90):
        language = CallLanguage(MIXED, 20)
        trace = language.draw(number, 0)
        if holds(trace):
            shrink(trace, MIXED, holds)
    assert len(asked) > 1000
    for trace in asked:
        for call in trace:
            (param,) = MIXED.ops[call.op].given
            assert takes(param, call.values[0]), call


WIDE = interface(
    op("n", Param("v", "int", -(1 << 63), (1 << 63) - 1)),
    op("p", Param("v", "int", -(1 << 31), (1 << 31) - 1), Param("w", "int", 0, 1 << 31)),
    op("s", Param("t", "string", 0, 64)),
    op("b", Param("d", "bytes", 0, 64)),
    op("x", Param("f", "float")),
)


@pytest.mark.parametrize(
    ("found", "holds", "least"),
    [
        (Call("n", (1 << 62,)), lambda v: v > 0x7FFF0000, 0x7FFF0001),
        (Call("n", (-(1 << 62),)), lambda v: v < -5000, -5001),
        (Call("n", (987655,)), lambda v: v in (987654, 987655), 987654),
        (Call("n", (-77,)), lambda v: abs(v) == 77, 77),
        (Call("s", ("xx\\uyyy\\z",)), lambda v: "\\u" in v, "\\u"),
        (Call("s", ("qwertyqwerty",)), lambda v: len(v) > 4 and v[2] != "a", "aabaa"),
        (Call("b", ("ffee0102aabb",)), lambda v: "ee" in v, "ee"),
        (Call("b", ("ffee0102aabb",)), lambda v: len(v) == 12, "000000000000"),
        (Call("x", ("1234567.891",)), lambda v: float(v) >= 1000, "1000.0"),
        (Call("x", ("0.3125",)), lambda v: 0 < float(v) < 0.5, "0.25"),
        (Call("x", ("-inf",)), lambda v: math.isinf(float(v)), "inf"),
        (Call("x", ("-1e-310",)), lambda v: v.startswith("-"), "-0.0"),
    ],
)  # fmt: skip
def test_a_value_becomes_the_simplest_that_still_shows_it_in_few_questions(
    found: Call, holds: Callable[[Any], bool], least: Any
) -> None:
    small = shrink((found,), WIDE, lambda trace: bool(trace) and holds(trace[0].values[0]), 400)
    assert small.complete
    assert small.trace[0].values == (least,)


def test_a_number_goes_towards_the_constant_that_it_came_from() -> None:
    mined = Mined(Constants(ints=(-4000, 123456)), Constants(floats=(0.3,)))
    near = replace(WIDE, mined=mined)
    # Nothing between leads there: it holds of the constant's neighbour and of one value.
    for found, simplest, only in (
        (Call("n", (999999,)), 123455, (999999, 123455)),
        (Call("n", (-4444,)), -4001, (-4444, -4001)),
        (Call("x", ("0.7",)), "0.3", ("0.7", "0.3")),
        # Fewer binary digits are simpler.
        (Call("x", ("7.125",)), "7.125", ("7.125", "0.3")),
    ):
        small = shrink((found,), near, lambda t, o=only: bool(t) and t[0].values[0] in o)  # type: ignore[misc]
        assert small.trace[0].values == (simplest,)


def test_two_far_numbers_that_must_be_equal_are_lowered_together() -> None:
    trace = (Call("n", (1 << 40,)), Call("n", (1 << 40,)))

    def equal(trace: CallTrace) -> bool:
        return len(trace) == 2 and trace[0] == trace[1] and int(trace[0].values[0]) > 700

    small = shrink(trace, WIDE, equal)
    assert [call.values for call in small.trace] == [(701,), (701,)]


def test_a_call_goes_where_two_other_values_do_without_it() -> None:
    trace = (*(Call("f", (n,)) for n in (6, 3, 2)),)

    def collide(trace: CallTrace) -> bool:
        values = [int(call.values[0]) for call in trace if call.op == "f"]
        return values == [6, 3, 2] or (len(values) == 2 and values[1] == values[0] + 4)

    small = shrink(trace, MIXED, collide)
    assert [call.values for call in small.trace] == [(0,), (4,)]
