"""Traces of calls as a language: what a candidate of the shrinker may be."""

from __future__ import annotations

import zlib

from replay.repo.binding import Binding, Draft, Interface, Operation, Param, Returns
from replay.repo.calls import Call, CallTrace, takes
from replay.repo.language import CallLanguage, shrink
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
