"""C at every step gives the records that the Python models give; digests tell as much."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path

import pytest

from native.steps import libraries
from replay.dirty.conform import conform
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Config, Op, Trace
from replay.dirty.machine.run import python_model
from replay.dirty.native.compare import native_profile
from replay.dirty.native.encode import encode
from replay.dirty.native.model import NativeModel, maker, native_models
from replay.dirty.native.session import session
from replay.dirty.native.stream import encode_streams, stream
from replay.dirty.rules.diff import first_difference
from replay.errors import DomainError

STEPS = range(40)
PROFILE = native_profile(Profile())
VECTORS = Path(__file__).parents[2] / "vectors"


def test_records_equal_those_of_the_python_models_at_all_steps() -> None:
    traces = [generate(5, number, PROFILE) for number in range(25)]
    batch = encode(traces)
    which = [(step, at) for at in range(len(traces)) for step in STEPS]
    for (step, at), run in zip(which, session(libraries()).records(batch, which), strict=True):
        expected = python_model(step).run(traces[at])
        assert run == expected, (step, traces[at].name, first_difference(expected, run))
        assert [type(r[0]) for r in run.records] == [type(r[0]) for r in expected.records]
        assert run.observations() == expected.observations()


def test_equal_digests_mean_equal_records_and_different_ones_different() -> None:
    traces = [generate(6, number, PROFILE) for number in range(15)]
    batch = encode(traces)
    held = session(libraries())
    digests = held.digests(batch, tuple(STEPS))
    assert not digests.deaths
    which = [(step, at) for at in range(len(traces)) for step in STEPS]
    seen: dict[tuple[int, int], object] = {}
    for (step, at), run in zip(which, held.records(batch, which), strict=True):
        digest = digests.steps[step][at]
        assert seen.setdefault((at, digest), run.records) == run.records
    for at in range(len(traces)):
        groups = [records for (trace, _), records in seen.items() if trace == at]
        assert all(a != b for i, a in enumerate(groups) for b in groups[:i])


def test_large_machines_give_the_records_that_tell_changes() -> None:
    page = 4096
    trace = Trace(
        (
            Op("ram_alloc", (5000,)), Op("ram_alloc", (70,)), Op("store", (3 * page, 4)),
            Op("migration_start"), Op("translate", (4999 * page,)), Op("tlb_fill", (page,)),
            Op("region_reset_dirty", (0, 4990 * page, "code")), Op("store", (page, 1)),
            Op("kvm_log_sync", (0, 100, (5, 7))), Op("migration_sync"),
            Op("migration_next", (0, 0)), Op("migration_stop"), Op("ram_free", (5000 * page,)),
            Op("tlb_flush"),
        )
    )  # fmt: skip
    for step in (0, 18, 19, 30, 39):
        expected = python_model(step).run(trace)
        run = NativeModel(step, libraries()).run(trace)
        assert run == expected and type(run) is type(expected)


def test_a_model_travels_between_processes_and_shares_runs() -> None:
    models = native_models()
    assert list(models) == list(STEPS)
    trace = generate(7, 1, PROFILE)
    for step in (0, 27, 39):
        model = models[step]
        assert isinstance(model, NativeModel)
        assert pickle.loads(pickle.dumps(model)) == model
        assert model.run(trace) == python_model(step).run(trace)
        assert NativeModel(step, model.libraries).run(trace) == model.run(trace)


def test_recorded_vectors_conform_at_all_steps() -> None:
    files = [VECTORS / "named.jsonl", VECTORS / "public-sample.jsonl.gz"]
    result = conform(files, make=maker(libraries()))
    assert result.conforms and result.mismatches == 0, result.kept[:1]
    assert set(result.by_step) == set(STEPS)


@pytest.mark.parametrize("config", [Config(page_bits=10), Config(word_bits=8)])
def test_machines_that_the_c_cannot_be_are_refused(config: Config) -> None:
    with pytest.raises(DomainError, match="compiled for"):
        NativeModel(3, libraries()).run(Trace((Op("ram_alloc", (1,)),), config))


def test_operations_that_the_c_cannot_do_are_refused_with_their_place() -> None:
    far = Trace((Op("ram_alloc", (1,)), Op("kvm_log_sync", (0, 4000, (0,) * 63))), name="far")
    with pytest.raises(DomainError, match=r"'far', operation 1 \(kvm_log_sync\)"):
        NativeModel(3, libraries()).run(far)
    with pytest.raises(DomainError, match="operation 1"):
        session(libraries()).survey(far)


def test_the_empty_trace_is_run() -> None:
    empty = Trace(())
    assert NativeModel(3, libraries()).run(empty) == python_model(3).run(empty)
    assert session(libraries()).survey(empty)[3].records == []


def test_a_stream_is_encoded_as_its_trace_is() -> None:
    streams = [stream(1, number, 300) for number in range(6)]
    quick, slow = encode_streams(streams), encode([made.trace() for made in streams])
    assert quick.table == slow.table
    held = session(libraries())
    assert held.digests(quick, (0, 39)).steps == held.digests(slow, (0, 39)).steps
    run = NativeModel(39, libraries()).run(streams[0].trace())
    assert run == python_model(39).run(streams[0].trace())


def test_the_streams_of_a_seed_never_change() -> None:
    batch = encode_streams([stream(7, number, 500, light=number == 3) for number in range(4)])
    content = batch.table.tobytes() + batch.rows.tobytes() + batch.words.tobytes()
    assert zlib.crc32(content) == 0xDA52563C


def test_a_difference_that_heals_at_once_is_not_missed() -> None:
    """Step 30 leaves a page armed; the flush after it hides that from a later look."""
    page = 4096
    ops = (
        Op("ram_alloc", (4,)), Op("tlb_fill", (0,)), Op("tlb_fill", (page,)),
        Op("region_reset_dirty", (page - 1, 2, "vga")), Op("tlb_flush"),
        Op("region_set_dirty", (0, 4 * page)),
    )  # fmt: skip
    batch = encode([Trace(ops)])
    held = session(libraries())
    each = held.digests(batch, (29, 30), every=1)
    seldom = held.digests(batch, (29, 30), every=16)
    assert each.steps[29] != each.steps[30]
    assert seldom.steps[29] == seldom.steps[30]
