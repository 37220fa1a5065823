import copy
import gzip
import json
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmodels import FOLD
from replay.base.jsonlines import Line
from replay.dirty.conform import ALL_STEPS, Mismatch, Progress, Result, compare, conform
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import CLIENTS, Event, Observation, Op, State, Trace
from replay.dirty.language.vectors import Vector, parse_vector, read_vectors
from replay.dirty.machine.model import Model, Run
from replay.dirty.machine.run import PythonModel, python_model
from replay.dirty.rules.diff import Difference
from replay.errors import DomainError, ReplayError, TraceError, UsageError, WorkerError

VECTORS = Path(__file__).parents[1] / "vectors"
NAMED = VECTORS / "named.jsonl"
SAMPLE = VECTORS / "public-sample.jsonl.gz"


def named(name: str) -> dict[str, Any]:
    found = next(d for d in map(json.loads, NAMED.read_text().splitlines()) if d["name"] == name)
    return copy.deepcopy(found)


def written(path: Path, vectors: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(vector) + "\n" for vector in vectors))
    return path


def parsed(vector: dict[str, Any]) -> Vector:
    return parse_vector(Line(7, json.dumps(vector).encode(), True, 0), "v.jsonl")


# --- the ground truth -----------------------------------------------------------------


def test_the_models_of_all_steps_do_what_was_recorded() -> None:
    result = conform([NAMED, SAMPLE])
    operations = sum(len(v.trace.ops) for path in (NAMED, SAMPLE) for v in read_vectors(path))
    assert result.kept == []
    assert result.observations == operations * 40
    assert result.vectors == 78
    assert result.conforms


def test_the_sample_has_every_operation_configuration_abort_and_changing_step() -> None:
    vectors = [*read_vectors(NAMED), *read_vectors(SAMPLE)]
    configs = {(v.trace.config.hpratio, v.trace.config.tcg) for v in vectors}
    assert configs == {(1, True), (1, False), (16, True), (16, False)}
    assert {op.name for v in vectors for op in v.trace.ops} == set(OPS)
    assert {step for v in vectors for step in v.changes} == {27, 30, 37, 39}
    assert {op.args[-1] for v in vectors for op in v.trace.ops if op.args} >= set(CLIENTS)
    assert any(v.trace.name.endswith("-oob") for v in vectors)
    ended = [v for v in vectors if v.baseline[-1] is None]
    assert ended, "a trace that aborts before its last operation"


def test_results_do_not_depend_on_the_number_of_jobs(tmp_path: Path) -> None:
    bad = [json.loads(line) for line in gzip.decompress(SAMPLE.read_bytes()).splitlines()]
    for vector in bad[5::7]:
        vector["baseline"][2]["state"]["vga"] = "abc"
    path = written(tmp_path / "bad.jsonl", bad)
    one, two = (conform([NAMED, path], jobs=jobs, keep=7) for jobs in (1, 2))
    assert one == two
    assert one.mismatches > len(one.kept) == 7


# --- a wrong value is found -------------------------------------------------------------

NEW_VALUES: dict[str, Any] = {
    "ret": 12345, "status": "abort", "events": [["xen_modified", 1, 1]],
    "vga": "7", "code": "0", "migration": "7", "tlb_direct": "3", "tlb_notdirty": "3",
    "has_code": "2", "migration_bitmap": "f", "migration_dirty_pages": 99, "logging": False,
}  # fmt: skip


@pytest.mark.parametrize("field", NEW_VALUES)
def test_one_wrong_value_of_any_field_is_reported_where_it_stands(field: str) -> None:
    vector = named("sync-lost-store")
    entry = vector["baseline"][4]
    where = entry if field in entry else entry["state"]
    before, where[field] = where[field], NEW_VALUES[field]
    assert before != where[field]
    # Only at the steps before 39 is it this entry that counts.
    result = compare(parsed(vector), [python_model(38), python_model(0)])
    assert result.mismatches == 2
    first = result.kept[0]
    assert (first.step, first.operation, first.trace) == (0, 4, "sync-lost-store")
    assert (first.path, first.line, first.op.name) == ("v.jsonl", 7, "migration_sync")
    assert first.difference.fields == (field,)
    model = python_model(0).run(parsed(vector).trace).observation(4)
    assert model is not None
    assert first.got == model.get(field)
    assert first.expected == parsed(vector).baseline[4].get(field)  # type: ignore[union-attr]


@pytest.mark.parametrize("step", ["39"])
def test_a_wrong_value_of_a_change_is_reported_from_that_step_on(step: str) -> None:
    vector = named("sync-lost-store")
    index = next(iter(vector["changes"][step]))
    vector["changes"][step][index]["state"]["migration_dirty_pages"] += 1
    result = compare(parsed(vector), map(python_model, ALL_STEPS))
    assert [m.step for m in result.kept] == [39]
    assert result.by_step == {k: int(k == 39) for k in ALL_STEPS}


def test_a_bool_is_not_a_number() -> None:
    vector = named("sync-lost-store")
    vector["baseline"].append(vector["baseline"][-1])
    vector["ops"].append({"op": "page_get_flag", "addr": 0, "client": "vga"})
    vector["changes"] = {}
    vector["baseline"][-1] = {**vector["baseline"][-1], "ret": 1}
    result = compare(parsed(vector), [python_model(0)])
    assert [(m.expected, m.got) for m in result.kept if m.operation == 8] == [(1, True)]


def test_a_run_that_ends_early_or_late_is_a_mismatch_from_there_on() -> None:
    aborting = next(v for v in read_vectors(SAMPLE) if v.baseline[-1] is None)
    end = aborting.baseline.index(None)
    ok = Observation(None, "ok", (), State())
    lives = Vector(
        aborting.trace, (*aborting.baseline[:end], ok, *[None] * 99)[: len(aborting.trace.ops)], {}
    )
    result = compare(lives, [python_model(0)])
    assert [(m.operation, m.field, m.expected, m.got) for m in result.kept] == [
        (end, "status", "ok", None)
    ]
    dies = Vector(
        aborting.trace, (*aborting.baseline[: end - 2], *[None] * 99)[: len(aborting.trace.ops)], {}
    )
    result = compare(dies, [python_model(0)])
    assert [(m.operation, m.field, m.expected, m.got) for m in result.kept] == [
        (end - 2, "status", None, "ok"), (end - 1, "status", None, "abort"),
    ]  # fmt: skip
    assert result.observations == len(aborting.trace.ops)


def test_a_faulty_model_is_found_at_its_step_only() -> None:
    class Faulty(FOLD.build(30)):  # type: ignore[misc]
        __slots__ = ()

        def xen_modified_memory(self, start: int, length: int) -> None:
            self.tell("xen_modified", start, length + 1)

    def make(step: int) -> Model:
        return PythonModel(30, Faulty) if step == 30 else python_model(step)

    result = conform([NAMED], make=make)
    assert {step for step, count in result.by_step.items() if count} == {30}
    assert {name for m in result.kept for name in m.difference.fields} == {"events"}


class Wrapped(Run):
    """A run whose records mean something else, as those of large machines do."""

    __slots__ = ()

    def observation(self, index: int) -> Observation | None:
        return Run(self.trace, self.step, self.records[1:]).observation(index)


class WrappingModel:
    step = 0

    def run(self, trace: Trace) -> Run:
        inner = python_model(0).run(trace)
        return Wrapped(trace, 0, [None, *inner.records])  # type: ignore[list-item]


def test_models_of_other_kinds_are_compared_by_their_observations() -> None:
    vector = parsed(named("sync-lost-store"))
    assert compare(vector, [WrappingModel()]).mismatches == 0
    wrong = Vector(vector.trace, (None, *vector.baseline[1:]), {})
    assert compare(wrong, [WrappingModel()]).mismatches == 1


def test_large_machines_are_compared_too() -> None:
    ops = (
        Op("ram_alloc", (5000,)),
        Op("region_reset_dirty", (4096, 8192, "vga")),
        Op("store", (4096, 4)),
        Op("migration_start"),
    )
    trace = Trace(ops, name="large")
    vector = Vector(trace, tuple(python_model(0).run(trace).observations()), {})
    assert compare(vector, [python_model(0), python_model(26)]).mismatches == 0
    result = compare(vector, [python_model(27)])
    assert [(m.operation, m.field) for m in result.kept] == [(0, "events")]


# --- errors --------------------------------------------------------------------------------


def test_nothing_to_compare_does_not_conform(tmp_path: Path) -> None:
    vector = named("xen-address-of-alloc")
    vector |= {"ops": [], "baseline": [], "changes": {}}
    result = conform([written(tmp_path / "v.jsonl", [vector])])
    assert (result.observations, result.mismatches, result.conforms) == (0, 0, False)


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="no step 40: steps run from 0 to 39"):
        conform([NAMED], [40])
    with pytest.raises(UsageError, match="at least 1"):
        conform([NAMED], jobs=0)


def crashing(step: int) -> Model:
    os._exit(7)


def test_a_worker_that_dies_is_an_error_that_says_where() -> None:
    with pytest.raises(WorkerError, match=r"worker process died .*named\.jsonl:\d+"):
        conform([NAMED], [0], make=crashing, jobs=2)


class BrokenModel:
    step = 5

    def run(self, trace: Trace) -> Run:
        raise ZeroDivisionError("oops")


def test_a_model_that_fails_is_an_error_that_says_where() -> None:
    with pytest.raises(
        WorkerError, match=r"v\.jsonl:7: trace sync-lost-store: the model of step 5"
    ):
        compare(parsed(named("sync-lost-store")), [BrokenModel()])


def test_a_trace_that_a_step_does_not_support_is_told_with_its_place() -> None:
    class Small:
        step = 19

        def run(self, trace: Trace) -> Run:
            raise DomainError("step 19: too large")

    with pytest.raises(DomainError, match=r"v\.jsonl:7: step 19: too large"):
        compare(parsed(named("sync-lost-store")), [Small()])


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_malformed_line_is_told_whatever_the_jobs(tmp_path: Path, jobs: int) -> None:
    lines = NAMED.read_text().splitlines()
    lines[11] = lines[11].replace('"op"', '"opp"', 1)
    lines[3] = lines[3].replace("ram_alloc", "ram_aloc", 1)
    path = tmp_path / "v.jsonl"
    path.write_text("\n".join(lines)[:-50])
    with pytest.raises(TraceError) as caught:
        conform([path, tmp_path / "missing"], [0], jobs=jobs)
    assert (caught.value.path, caught.value.line, caught.value.operation) == (str(path), 4, 0)
    assert "did you mean 'ram_alloc'?" in str(caught.value)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_cut_off_is_told_with_its_line(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "v.jsonl.gz"
    path.write_bytes(SAMPLE.read_bytes()[:-100])
    with pytest.raises(TraceError, match="end early") as caught:
        conform([path], [0], jobs=jobs)
    assert caught.value.line is not None


def test_progress_ends_at_the_whole_size() -> None:
    seen: list[Progress] = []
    result = conform([NAMED, SAMPLE], [0], progress=seen.append)
    assert all(a.done <= b.done for a, b in pairwise(seen))
    assert seen[-1].done == seen[-1].total == NAMED.stat().st_size + SAMPLE.stat().st_size
    assert seen[-1].result == result


def test_counts_add_up_and_only_the_first_mismatches_are_kept() -> None:
    one = Mismatch("f", 1, "t", 0, Op("tlb_flush"), Difference(0, (), None, None))
    total = Result(1, 5, 1, [one], {0: 1})
    total.add(Result(1, 5, 2, [one, one], {0: 1, 3: 1}), keep=2)
    assert total == Result(2, 10, 3, [one, one], {0: 2, 3: 1})


# --- vectors as written ----------------------------------------------------------------------

MALFORMED: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "no name": (("name",), 3, "name is a number"),
    "no config": (("config",), [], "config is a list"),
    "ops no list": (("ops",), {}, "ops is an object"),
    "an op no object": (("ops", 1), 5, "operation 1: the operation is a number"),
    "an op outside its block": (("ops", 3, "addr"), 99999, "operation 3: store: addr 0x1869f lies"),
    "baseline no list": (("baseline",), None, "baseline is null"),
    "baseline too short": (("baseline",), [None], "baseline has 1 entries for 8 operations"),
    "an entry no object": (("baseline", 0), "x", "operation 0: the observation is a string"),
    "a misspelt field": (("baseline", 0, "rets"), 1, "no 'rets'"),
    "a ret of no kind": (("baseline", 0, "ret"), 1.5, "ret is a number with a fraction"),
    "a status of no kind": (("baseline", 0, "status"), "died", "it must be 'ok' or 'abort'"),
    "events no list": (("baseline", 0, "events"), {}, "events is an object"),
    "an event too short": (("baseline", 0, "events"), [["xen_modified", 1]], "[name, number"),
    "an event of bools": (("baseline", 0, "events"), [["x", True, 1]], "[name, number, number]"),
    "a state no object": (("baseline", 0, "state"), [], "state is a list"),
    "a misspelt state": (("baseline", 0, "state", "vgaa"), "0", "state has no 'vgaa'"),
    "a set in capitals": (("baseline", 0, "state", "vga"), "F", "vga is 'F'; it must be lower"),
    "a set as number": (("baseline", 0, "state", "vga"), 15, "vga is a number"),
    "a set that is null": (("baseline", 0, "state", "code"), None, "code is null"),
    "a count as string": (("baseline", 0, "state", "migration_dirty_pages"), "1", "an integer"),
    "logging as number": (("baseline", 0, "state", "logging"), 0, "logging is a number"),
    "changes no object": (("changes",), [], "changes is a list"),
    "a step past the last": (("changes", "40"), {}, "'40' is not the number of a step, 1 to 39"),
    "a change of step 0": (("changes", "0"), {}, "'0' is not the number of a step"),
    "a step with a zero": (("changes", "07"), {}, "'07' is not the number of a step"),
    "entries no object": (("changes", "39"), [], "changes of step 39: a list"),
    "an operation past the last": (("changes", "39", "8"), None, "'8' is not the number of an op"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "fragment"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_vector_is_refused_with_its_place(
    path: tuple[str | int, ...], value: Any, fragment: str
) -> None:
    vector = named("sync-lost-store")
    where: Any = vector
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = value
    with pytest.raises(TraceError) as caught:
        parsed(vector)
    message = str(caught.value)
    assert message.startswith("v.jsonl:7")
    assert fragment in message
    assert message.isprintable()


@pytest.mark.parametrize("key", ["name", "config", "ops", "baseline", "changes"])
def test_a_missing_part_of_a_vector_is_named(key: str) -> None:
    vector = named("sync-lost-store")
    del vector[key]
    with pytest.raises(TraceError, match=f"the vector lacks {key}"):
        parsed(vector)


def test_a_recorder_may_note_more() -> None:
    assert parsed({**named("sync-lost-store"), "seed": 5}) == parsed(named("sync-lost-store"))


def test_a_trace_is_not_taken_for_a_vector() -> None:
    with pytest.raises(TraceError, match="see replay run"):
        parsed({"format": "dirty-trace/1", "name": "t", "config": {}})


def test_steps_without_changes_expect_what_the_step_before_did() -> None:
    vector = parsed(named("sync-lost-store"))
    assert vector.expected(0) == vector.baseline
    for step in (1, 8, 13):
        assert vector.expected(step) == vector.expected(step - 1)
    assert vector.expected(38) != vector.expected(39)
    first = vector.baseline[0]
    assert first is not None
    assert first.events == (Event("xen_modified", 8192, 8192),)


LINE = json.dumps(named("sync-lost-store")).encode()


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(LINE) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(LINE)) | st.none(),
)
def test_any_damage_gives_a_result_or_an_error_of_ours(
    flips: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(LINE)
    for place, byte in flips:
        data[place] = byte
    try:
        vector = parse_vector(Line(1, bytes(data[:cut]), cut is None, 0), "v.jsonl")
        compare(vector, [python_model(0), python_model(39)])
    except ReplayError as error:
        assert isinstance(error, TraceError)
        assert str(error).isprintable()
