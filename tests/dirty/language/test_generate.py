"""Traces from a seed: valid, the same everywhere, and biased to where such code breaks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from replay.dirty.language.domain import validate
from replay.dirty.language.generate import Profile, generate, traces
from replay.dirty.language.operations import OPS

SAMPLE = list(traces(11, 400))


def digest() -> str:
    texts = (repr((t.name, t.config, t.ops)) for t in traces(7, 40))
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@given(st.integers(0, 2**40), st.integers(0, 2**20), st.integers(1, 120))
def test_every_generated_trace_is_valid(seed: int, index: int, ops: int) -> None:
    trace = generate(seed, index, Profile(ops=ops))
    validate(trace)
    assert len(trace.ops) == ops


def test_equal_seeds_give_equal_bytes_in_another_process() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import test_generate as t; print(t.digest())"
    )
    for hash_seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
        assert done.stdout.strip() == digest()


def test_a_trace_does_not_depend_on_those_before_it() -> None:
    assert generate(11, 399) == SAMPLE[399]
    assert generate(11, 0) != generate(12, 0)


def test_every_operation_is_used_often() -> None:
    used = Counter(op.name for trace in SAMPLE for op in trace.ops)
    assert set(used) == set(OPS)
    assert min(used.values()) > 60


def test_the_machines_are_mixed() -> None:
    assert {t.config.word_bits for t in SAMPLE} == {8, 64}
    assert {t.config.tcg for t in SAMPLE} == {True, False}
    assert 16 in {t.config.hpratio for t in SAMPLE if t.config.word_bits == 64}


def test_ranges_are_empty_partial_unaligned_and_past_their_block() -> None:
    lengths = Counter()
    for trace in SAMPLE:
        page = trace.config.page_size
        for op in trace.ops:
            if op.name == "region_reset_dirty":
                addr, length = op.args[0], op.args[1]
                assert isinstance(addr, int) and isinstance(length, int)
                lengths["empty"] += length == 0
                lengths["part of a page"] += 0 < length < page
                lengths["unaligned"] += addr % page != 0
                lengths["pages"] += length > 0 and length % page == 0
    assert min(lengths.values()) > 100


def test_logs_have_bits_past_their_section() -> None:
    found = 0
    for trace in SAMPLE:
        for op in trace.ops:
            if op.name == "kvm_log_sync":
                _, pages, words = op.args
                log = sum(w << (i * trace.config.word_bits) for i, w in enumerate(words))
                found += log >> pages != 0
    assert found > 30


def test_blocks_are_freed_and_their_place_used_again() -> None:
    reused = 0
    for trace in SAMPLE:
        freed = False
        for op in trace.ops:
            freed |= op.name == "ram_free"
            reused += freed and op.name == "ram_alloc"
    assert reused > 100
