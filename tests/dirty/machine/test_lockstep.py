"""A step that takes records from its neighbour takes exactly what it would have made."""

from pathlib import Path

import pytest

import refmodels
from refmodels import FOLD
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.machine.run import is_large
from replay.dirty.machine.samecode import differing, same_start, signatures
from replay.dirty.subject import SUBJECT
from tests.faults.catalogue import FAULTS, INSIDE

STEPS = range(FOLD.last + 1)


def traces(seed, count):
    for index in range(count):
        ops = (50, 20, 120)[index % 3]
        yield generate(seed, index, Profile(ops=ops, leaving=(0.03, 0.4)[index % 2]))


def assert_same(classes, trace):
    shared = run_steps(classes, trace, STEPS)
    alone = run_steps(classes, trace, STEPS, share=False)
    for step in STEPS:
        one, other = shared[step], alone[step]
        assert list(one.records) == list(other.records), (trace.name, step)
        for mine, theirs in zip(one.records, other.records, strict=True):
            assert type(mine[0]) is type(theirs[0]), (trace.name, step)
    return shared


def changed(tmp_path, step, *replacements):
    """The machine classes with a changed copy of one step."""
    (source,) = Path(refmodels.__path__[0]).glob(f"s{step:02d}_*.py")
    text = source.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    copy = tmp_path / f"copy{step}.py"
    copy.write_text(text, encoding="utf-8")
    return SUBJECT.machines(((step, str(copy)),))


@pytest.mark.parametrize("seed", range(4))
def test_sharing_changes_no_record_of_any_step(seed):
    for trace in traces(seed, 60):
        assert_same(SUBJECT.machines(), trace)


@pytest.mark.parametrize("fault", (*FAULTS, *INSIDE), ids=lambda fault: fault.name)
def test_sharing_changes_no_record_of_a_step_with_a_fault(fault, tmp_path):
    classes = SUBJECT.machines(((fault.step, str(fault.write(tmp_path))),))
    for trace in traces(100 + fault.step, 4):
        assert_same(classes, trace)


HIDDEN = {
    "a-global-counter": (
        "STEP = Step(28",
        "count = [0]\nSTEP = Step(28",
        "count[0] += 1\n    if count[0] % 3: return\n",
    ),
    "a-mutable-default": (
        "client: int) -> None:",
        "client: int, *, count: list = [0]) -> None:",
        "count[0] += 1\n    if count[0] % 3: return\n",
    ),
    "an-import": ("STEP =", "STEP =", "import itertools as t\n"),
    "a-look-behind-the-names": ("STEP =", "STEP =", "getattr(vm, 'ab' + 'ort')(True)\n"),
    "an-attribute-of-the-machine": ("STEP =", "STEP =", "vm.tcg = not vm.tcg\n"),
    "the-type": ("STEP =", "STEP =", "if '30' in type(vm).__name__: return\n"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_code_that_depends_on_more_than_the_machine_is_not_shared(name, tmp_path):
    old, new, line = HIDDEN[name]
    body = "    vm.abort(client < vm.DIRTY_MEMORY_NUM)\n"
    classes = changed(tmp_path, 28, (old, new), (body, f"    {line}{body}"))
    assert "region_reset_dirty" in differing(classes[28], classes[29])
    assert "page_get_flag" not in differing(classes[27], classes[28])
    if "count" in line:
        return  # its records depend on how often it ran before: nothing to compare with
    for trace in traces(7, 12):
        assert_same(classes, trace)


def test_one_object_in_two_places_is_run_alone(tmp_path):
    classes = changed(
        tmp_path, 19, ("vm.dirty_memory[i], old_ram_size", "vm.dirty_memory[0], old_ram_size")
    )
    for trace in traces(11, 12):
        assert_same(classes, trace)


def test_a_pure_rename_is_the_same_code():
    for step in (1, 12, 25, 32):
        assert not differing(FOLD.build(step - 1), FOLD.build(step)), step


def test_every_step_that_changes_code_has_operations_of_its_own():
    for step in (2, 3, 7, 13, 17, 20, 24, 26, 27, 28, 30, 31, 34, 35, 36, 37, 38, 39):
        assert differing(FOLD.build(step - 1), FOLD.build(step)), step


def test_every_operation_of_every_step_is_signed():
    for step in STEPS:
        assert None not in signatures(FOLD.build(step)).values()
        assert set(signatures(FOLD.build(step))) == set(OPS)


def test_a_step_that_makes_its_store_otherwise_starts_afresh():
    started = [k for k in STEPS if k and not same_start(FOLD.build(k - 1), FOLD.build(k))]
    assert started == [14, 19]


def test_steps_that_do_the_same_share_their_records():
    runs = run_steps(SUBJECT.machines(), generate(3, 1), STEPS)
    assert runs[31].records is runs[32].records
    assert len({id(run.records) for run in runs.values()}) < 15


def test_a_long_trace_on_a_small_machine_is_a_small_one():
    again = (Op("ram_alloc", (64,)), Op("ram_free", (0,)))
    assert not is_large(Trace(again * 200))
    assert is_large(Trace((Op("ram_alloc", (5000,)),)))
