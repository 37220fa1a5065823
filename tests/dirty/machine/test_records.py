"""Records and states have named fields: they are read by name, converted and compared once."""

import ast
from pathlib import Path

import pytest

import replay
from refmodels import FOLD
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import FIELDS, Observation, Op, State, Trace, differences
from replay.dirty.machine.large import Changed, LargeRun
from replay.dirty.machine.model import Record, Visible, alike, state
from replay.dirty.machine.moment import adopt, execute, look, same_state
from replay.dirty.machine.run import python_model, start

REPLAY = Path(replay.__file__).parent
ONE = {"changed", "moment", "record", "reply", "seen", "snapshot", "state", "visible"}
"""What a value with named fields is called."""

SEVERAL = {"records", "states", "known", "theirs"}
"""What a sequence of such values is called: an element of it has named fields."""


def called(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def by_position(source: str) -> list[str]:
    """The reads of a field by its place: ``record[6]``, ``run.records[-1][1]``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Subscript) or not is_number(node.slice):
            continue
        value = node.value
        element = isinstance(value, ast.Subscript) and not isinstance(value.slice, ast.Slice)
        of_several = element and called(value.value) in SEVERAL
        if of_several or called(value) in ONE:
            found.append(ast.unparse(node))
    return found


def is_number(node: ast.expr) -> bool:
    """An integer, or a slice between integers."""
    if isinstance(node, ast.Slice):
        ends = [end for end in (node.lower, node.upper) if end is not None]
        return bool(ends) and all(is_number(end) for end in ends)
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int


@pytest.mark.parametrize(
    "source",
    ["record[6]", "run.records[-1][1]", "theirs[at][0]", "state[9][2]", "record[1:]", "x.state[0]"],
)
def test_a_read_by_position_is_found(source: str) -> None:
    assert by_position(source)


@pytest.mark.parametrize(
    "source", ["record['ret']", "records[0]", "state[name]", "records[:3]", "record.ret[0]"]
)
def test_other_subscripts_are_none(source: str) -> None:
    assert by_position(source) == []


@pytest.mark.parametrize(
    "path", sorted(REPLAY.rglob("*.py")), ids=lambda path: str(path.relative_to(REPLAY))
)
def test_no_module_reads_a_record_or_a_state_by_position(path: Path) -> None:
    assert by_position(path.read_text(encoding="utf-8")) == []


# --- one shape each ----------------------------------------------------------------------

LARGE = Trace((Op("ram_alloc", (5000,)), Op("store", (4096, 4)), Op("migration_start")))


@pytest.mark.parametrize("step", (0, 39))
def test_every_record_tells_what_is_visible_or_that_the_machine_died(step: int) -> None:
    for index in range(20):
        run = python_model(step).run(generate(8, index, Profile(leaving=0.5)))
        assert all(type(record) is Record for record in run.records)
        for record in run.records:
            assert type(record.visible) is (Visible if record.status == "ok" else type(None))


def test_a_large_machine_tells_what_changed() -> None:
    run = python_model(39).run(LARGE)
    assert isinstance(run, LargeRun)
    assert [type(record.visible) for record in run.records] == [Changed] * 3


# --- one comparison -----------------------------------------------------------------------


def test_a_bool_and_a_count_are_different_answers_in_records_as_in_observations() -> None:
    visible = Visible((0, 0, 0), {}, set(), None, 0, False)
    true, one = Record(True, "ok", (), visible), Record(1, "ok", (), visible)
    assert true == one and not alike(true, one) and alike(true, true)
    assert not alike(true, true._replace(visible=visible._replace(logging=0)))
    assert not alike(true, None)
    assert Observation(ret=True).differences(Observation(ret=1)) == ("ret",)


def test_where_one_run_had_ended_the_status_differs() -> None:
    seen = Observation(ret=3)
    assert differences(seen, None) == differences(None, seen) == ("status",)
    assert differences(None, None) == differences(seen, Observation(ret=3)) == ()


def test_where_one_machine_died_its_state_is_not_compared() -> None:
    dead = Observation(None, "abort", (), None)
    assert differences(Observation(ret=3), dead) == ("ret", "status")


@pytest.mark.parametrize("name", FIELDS[3:])
def test_each_field_of_the_state_is_compared(name: str) -> None:
    changed = State(**{name: True if name == "logging" else 1})
    assert Observation().differences(Observation(state=changed)) == (name,)


@pytest.mark.parametrize("step", (0, 18, 39))
def test_moments_differ_in_the_fields_that_observations_do(step: int) -> None:
    told = set()
    for index in range(40):
        trace = generate(21, index, Profile(leaving=0.0))
        if trace.ops[-1].name.startswith("ram_"):
            continue  # then the two moments have not the same pages
        vm = start(FOLD.build(step), trace)
        moments = []
        for name, args in trace.program:
            execute(vm, name, args)
            moments.append(look(vm))
        states = [state(record.visible) for record in python_model(step).run(trace).records]
        *_, old, new = moments
        found = set(old.differences(new)) - {"hidden"}
        *_, before, after = (Observation(state=state) for state in states)
        assert found == set(before.differences(after))
        told |= found
    assert len(told) > 3


def test_a_machine_that_adopts_a_state_is_in_it() -> None:
    trace = generate(3, 1, Profile(leaving=0.0))
    machine = FOLD.build(39)
    a, b = start(machine, trace), start(machine, trace)
    for name, args in trace.program:
        execute(a, name, args)
    assert not same_state(a, b) and look(a).differences(look(b))
    adopt(b, a)
    assert same_state(a, b) and not look(a).differences(look(b))
    execute(b, "ram_alloc", (3,))
    assert not same_state(a, b)
