"""The size of a word is a parameter of the C, and changes nothing but where words end."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from native.steps import libraries as usual
from native.steps import series
from replay.build.compile import build_series
from replay.dirty.language.domain import validate
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Config, Op, Trace
from replay.dirty.machine.run import python_model
from replay.dirty.native.encode import encode
from replay.dirty.native.model import libraries_of, word_flags
from replay.dirty.native.session import Libraries, session
from replay.dirty.rules.diff import first_difference
from replay.errors import DomainError

SMALL = (2, 4, 8)
STEPS = (0, 18, 19, 27, 36, 37, 39)


@cache
def libraries(bits: int) -> Libraries:
    if bits == 64:
        return usual()
    files = {step: files for step, files in series().items() if step in STEPS}
    return libraries_of(build_series(files, flags=word_flags(bits)), bits)


def with_words(trace: Trace, bits: int) -> Trace:
    """The same operations on a machine with other words; logs are cut anew."""
    had = trace.config.word_bits
    ops = []
    for op in trace.ops:
        if op.name == "kvm_log_sync":
            addr, pages, words = op.args
            assert isinstance(pages, int)
            assert isinstance(words, tuple)
            log = sum(word << had * at for at, word in enumerate(words))
            cut = [log >> bits * at & (1 << bits) - 1 for at in range(-(-pages // bits))]
            ops.append(Op(op.name, (addr, pages, tuple(cut))))
        else:
            ops.append(op)
    return Trace(tuple(ops), replace(trace.config, word_bits=bits), trace.name)


def drawn(bits: int, count: int = 25) -> list[Trace]:
    profile = Profile(small_words=1.0)
    traces = [with_words(generate(12, number, profile), bits) for number in range(count)]
    for trace in traces:
        validate(trace)
    return traces


@pytest.mark.parametrize("bits", SMALL)
def test_c_and_model_agree_at_every_size_of_words(bits: int) -> None:
    traces = drawn(bits)
    assert any(op.name == "kvm_log_sync" for trace in traces for op in trace.ops)
    which = [(step, at) for at in range(len(traces)) for step in STEPS]
    runs = session(libraries(bits)).records(encode(traces, bits), which)
    for (step, at), run in zip(which, runs, strict=True):
        expected = python_model(step).run(traces[at])
        assert run == expected, (step, traces[at].name, first_difference(expected, run))


def seen(step: int, trace: Trace) -> list[Any]:
    bits = trace.config.word_bits
    (run,) = session(libraries(bits)).records(encode([trace], bits), [(step, 0)])
    return [one and (one.ret, one.status, one.events, one.state) for one in run.observations()]


@pytest.mark.parametrize("step", [0, 19, 36])
def test_up_to_step_36_words_of_all_sizes_give_the_same(step: int) -> None:
    """What goes by words comes later; but for the ends of logs, which have whole words."""
    for trace in drawn(2, 6):
        plain = trace.with_ops([op for op in trace.ops if op.name != "kvm_log_sync"])
        sizes = [seen(step, with_words(plain, bits)) for bits in (*SMALL, 64)]
        assert all(one == sizes[0] for one in sizes)


def test_a_log_may_reach_as_far_past_ram_as_small_words_have_room_for() -> None:
    """And what it leaves there is gone before the next operation."""
    config = Config(hpratio=64, word_bits=2)
    reach = Trace(
        (
            Op("ram_alloc", (2,)), Op("kvm_log_sync", (4096, 1, (3,))), Op("ram_alloc", (90,)),
            Op("migration_start"), Op("region_get_dirty", (0, 4096 * 92, "vga")),
        ), config,
    )  # fmt: skip
    for step in (0, 19, 37, 39):
        (run,) = session(libraries(2)).records(encode([reach], 2), [(step, 0)])
        assert run == python_model(step).run(reach)


def test_libraries_take_no_trace_of_other_words() -> None:
    held = session(libraries(4))
    trace = Trace((Op("ram_alloc", (1,)),), Config(word_bits=2))
    with pytest.raises(DomainError, match="words of 2 bits, the libraries of 4"):
        held.records(encode([trace], 2), [(0, 0)])
    with pytest.raises(DomainError, match="word_bits is 2: the C of the series is compiled for 4"):
        encode([trace], 4)
