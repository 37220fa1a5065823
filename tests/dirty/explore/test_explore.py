"""A verdict for every state: held against a plain search, planted faults, and the traces."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from refmodels import FOLD
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import Way
from replay.dirty.explore.errors import ExploreError
from replay.dirty.explore.plain import searched
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.search import (
    PairResult,
    Request,
    Verdict,
    _shapes,
    counted,
    explored,
    lawful,
)
from replay.dirty.explore.state import Form, Shape, cells_of
from replay.dirty.explore.tables import Effects, Leaf, effect
from replay.dirty.language.domain import validate
from replay.dirty.language.files import read_trace
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.machine.samecode import signatures
from replay.dirty.rules.diff import first_difference
from replay.dirty.subject import SUBJECT

ONE = Scope(1)
TWO = Scope(2, blocks=(2,))
WORDS = Scope(3, blocks=(3,))


def results(scope: Scope, *steps: int, **options: Any) -> list[PairResult]:
    return list(explored(Request(SUBJECT, scope, **options), steps))


# --- against a search that shares nothing but models and alphabet ---


@pytest.mark.parametrize(
    ("step", "scope"),
    [(0, ONE), (18, ONE), (36, Scope(1, blocks=(1,))), (39, Scope(1, hpratio=2, tcg=False))],
)
def test_as_many_states_as_a_plain_search_meets_layer_by_layer(step: int, scope: Scope) -> None:
    machine = FOLD.build(step)
    reached = Reached(Effects.of(machine, scope), {}, 2, 1 << 30, cut=False)
    while reached.deeper() is not None:
        pass
    wanted = searched(machine, scope, 15_000)
    assert reached.fixpoint
    assert tuple(map(len, reached.layers[: len(wanted.layers)])) == wanted.layers
    assert len(wanted.layers) > 4
    if wanted.transitions < 15_000:
        assert reached.states == sum(wanted.layers)
        assert reached.transitions == wanted.transitions


def test_what_is_cut_leaves_out_states_and_changes_no_verdict() -> None:
    cut, whole = (
        Reached(Effects.of(FOLD.build(39), ONE), {}, 1, 1 << 30, cut=c) for c in (True, False)
    )
    for reached in (cut, whole):
        while reached.deeper() is not None:
            pass
    assert cut.fixpoint
    assert whole.fixpoint
    assert cut.states < whole.states


def test_threads_change_nothing() -> None:
    one, two = (Reached(Effects.of(FOLD.build(30), TWO), {}, jobs, 1 << 30) for jobs in (1, 2))
    for reached in (one, two):
        while reached.deeper() is not None:
            pass
    assert one.layers == two.layers
    assert one.states > 1000


# --- verdicts ---


@pytest.mark.parametrize("step", [3, 16, 22, 31, 38])
def test_a_step_that_does_the_same_is_proved_the_same(step: int) -> None:
    (found,) = results(Scope(2), step)
    assert found.verdict is Verdict.PROVED
    assert found.ways
    assert found.shapes > 2


def test_states_that_no_trace_reaches_blame_no_step() -> None:
    """A byte whose unused bits are 0 would tell steps 6 and 7 apart; there is none."""
    (found,) = results(ONE, 7)
    assert found.suspects
    assert found.verdict is Verdict.PROVED


SHORTEST = {
    (27, "xen-told-start"): 1,
    (30, "empty-reset-does-nothing"): 2,
    (30, "last-page-not-rearmed"): 3,
    (37, "xen-told-pages"): 2,
    (37, "xen-told-of-nothing"): 2,
    (39, "sync-does-not-rearm"): 3,
    (39, "sync-moves-ghosts"): 3,
}


def test_each_declared_deviation_has_its_shortest_trace() -> None:
    found = results(Scope(2), 27, 30, 37, 39)
    assert {one.verdict for one in found} == {Verdict.DECLARED}
    lengths = {
        (one.step, shortest.shows): len(shortest.trace.ops)
        for one in found for shortest in one.shortest
    }  # fmt: skip
    assert lengths == SHORTEST
    assert [one.unshown for one in found] == [(), (), ("log-bit-is-one-page",), ()]
    machines = [FOLD.build(step) for step in range(40)]
    for one in found:
        for shortest in one.shortest:
            validate(shortest.trace)
            deviations = SUBJECT.series.step(one.step).deviations
            seen = lawful(machines, one.step, shortest.trace, deviations)
            assert shortest.shows in seen.shown
            assert shortest.trace.ops == recorded(one.step, shortest.shows).ops


def recorded(step: int, deviation: str) -> Trace:
    """The shortest trace of a deviation, as it is kept beside the series."""
    return read_trace(SUBJECT.file.parent / "shortest" / f"{step}-{deviation}.jsonl")


def test_every_deviation_that_traces_show_has_its_shortest_trace_recorded() -> None:
    wanted = {
        f"{step.number}-{deviation.id}.jsonl"
        for step in SUBJECT.series.steps for deviation in step.deviations
        if deviation.scope == "trace"
    }  # fmt: skip
    assert {path.name for path in (SUBJECT.file.parent / "shortest").iterdir()} == wanted


def test_large_host_pages_show_what_step_37_forgets() -> None:
    (found,) = results(Scope(2, hpratio=2, blocks=(2,)), 37)
    assert found.verdict is Verdict.DECLARED
    assert not found.unshown
    (trace,) = (one.trace for one in found.shortest if one.shows == "log-bit-is-one-page")
    assert trace.ops == recorded(37, "log-bit-is-one-page").ops


def test_what_two_steps_execute_by_the_same_code_needs_no_execution() -> None:
    shared, executed = (results(ONE, 24, 33, share=share) for share in (True, False))
    assert [one.verdict for one in shared] == [one.verdict for one in executed]
    assert all(one.shared for one in shared)
    assert not any(one.shared for one in executed)


def test_processes_change_nothing() -> None:
    assert results(ONE, 29, 30, 31, jobs=1) == results(ONE, 29, 30, 31, jobs=2)


FAULTS = {
    # A search that stops a page early, a range cleared a page short, a flag forgotten.
    26: ("return following < end", "return following < end - 1", "ret", 2),
    28: ("page, end - page)", "page, max(end - page - 1, 0))", "code", 2),
    29: ("CODE", "VGA", "ret", 3),
    39: ("~vm.migration_bitmap[k] & src[k]", "src[k]", "migration_dirty_pages", 2),
}


def planted(tmp_path: Path, step: int, old: str, new: str) -> tuple[tuple[int, str], ...]:
    text = Path(FOLD.imported(step).__file__ or "").read_text(encoding="utf-8")
    assert old in text
    copy = tmp_path / f"s{step:02}_copy.py"
    copy.write_text(text.replace(old, new), encoding="utf-8")
    return ((step, str(copy)),)


@pytest.mark.parametrize("step", sorted(FAULTS))
def test_a_planted_fault_is_found_with_a_trace_that_shows_it(step: int, tmp_path: Path) -> None:
    old, new, name, length = FAULTS[step]
    copies = planted(tmp_path, step, old, new)
    (found,) = results(ONE, step, copies=copies)
    assert found.verdict is Verdict.DIFFERENT
    (difference,) = [one for one in found.shortest if not one.shows]
    assert len(difference.trace.ops) == length
    assert name in difference.fields
    validate(difference.trace)
    machines = SUBJECT.machines(copies)
    deviations = SUBJECT.series.step(step).deviations
    wrong = lawful(machines, step, difference.trace, deviations).wrong
    runs = run_steps(machines, difference.trace, (step - 1, step))
    assert wrong or first_difference(*runs.values())


def test_no_shorter_trace_shows_a_fault(tmp_path: Path) -> None:
    """All traces that are shorter, executed one by one."""
    old, new, *_ = FAULTS[29]
    copies = planted(tmp_path, 29, old, new)
    scope = Scope(1, blocks=(1,))
    (found,) = results(scope, 29, copies=copies)
    (difference,) = found.shortest
    machines = SUBJECT.machines(copies)

    def differs(*ops: Op) -> bool:
        runs = run_steps(machines, Trace((*scope.prefix, *ops), scope.config), (28, 29))
        return first_difference(*runs.values()) is not None

    assert len(difference.trace.ops) == 3
    assert differs(*difference.trace.ops[1:])
    assert not any(differs(op) for op in scope.operations(scope.start()))


def test_a_model_that_reads_the_count_ends_the_search_with_an_error(tmp_path: Path) -> None:
    copies = planted(tmp_path, 38, "if vm.cpu", "if vm.migration_dirty_pages < 5 and vm.cpu")
    (found,) = results(Scope(1, blocks=(1,)), 38, copies=copies)
    assert found.verdict is Verdict.NOT_DECIDED
    assert "migration" in found.problem


@pytest.mark.parametrize(
    "first", ["CALLS.append(1) or len(CALLS) % 3", "__import__('random').random() < 1e-9"]
)
def test_a_model_that_keeps_something_of_its_own_is_not_decided(tmp_path: Path, first: str) -> None:
    call = "vm.cpu_physical_memory_set_dirty_range("
    copies = planted(tmp_path, 36, call, f"{first} or {call}")
    path = Path(copies[0][1])
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("STEP = Step(36", "CALLS = []\nSTEP = Step(36"))
    (found,) = results(ONE, 36, copies=copies)
    assert found.verdict is Verdict.NOT_DECIDED
    assert "may depend on more than the machine" in found.problem


def test_a_model_with_a_field_more_is_not_decided(tmp_path: Path) -> None:
    copies = planted(tmp_path, 36, "STEP = Step(36", "STEP = Step(36")
    path = Path(copies[0][1])
    path.write_text(path.read_text() + "\n\nSTEP.field('more', lambda vm: 0)\n")
    (found,) = results(ONE, 36, copies=copies)
    assert found.verdict is Verdict.NOT_DECIDED
    assert "dirty_memory, more" in found.problem


def test_no_operation_of_any_step_depends_on_more_than_the_machine() -> None:
    for step in range(40):
        assert None not in signatures(FOLD.build(step)).values()


def test_without_room_for_the_states_nothing_is_decided(tmp_path: Path) -> None:
    with pytest.raises(ExploreError, match="take fewer pages, or give --memory"):
        results(Scope(1, blocks=(1,)), 39, memory=1 << 10)


@pytest.mark.parametrize("step", [7, 39])
def test_a_search_that_is_cut_short_decides_nothing(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Be it a difference that nothing declares, or one that is declared."""
    if step == 7:  # what no state answers is not cut beforehand
        monkeypatch.setattr("replay.dirty.explore.reach.pruned", lambda tree, values: tree)
    monkeypatch.setattr(Reached, "deeper", lambda self, stop: None)
    (found,) = results(Scope(1, blocks=(1,)), step)
    assert not found.fixpoint
    assert found.verdict is Verdict.NOT_DECIDED


def test_neighbours_that_do_the_same_are_counted_once() -> None:
    request = Request(SUBJECT, ONE)
    found = list(explored(request, [29, 30, 31]))
    spans = list(counted(request, found))
    assert [one.steps for one in spans] == [(28, 29), (30, 31)]
    assert all(one.fixpoint and one.states > 50 for one in spans)


# --- words ---


def test_the_size_of_a_word_changes_nothing_but_where_words_end() -> None:
    """Up to step 36 no operation but the log's goes by words: the same at all sizes."""
    ops = [op for op in Scope(3).operations(Shape(((0, 3),), 3).layout) if not op.args[2:]]
    lead = (Op("ram_alloc", (3,)), Op("region_reset_dirty", (4096, 8192, "migration")))
    for op in ops[::7]:
        seen = []
        for bits in (2, 4, 8, 64):
            trace = Trace((*lead, op, Op("migration_start")), Scope(3, bits).config)
            runs = run_steps([FOLD.build(n) for n in range(40)], trace, (0, 26, 36))
            seen += [run.observations() for run in runs.values()]
        events = [[o and (o.ret, o.status, o.state) for o in one] for one in seen]
        assert all(one == events[0] for one in events[1:]), op


def test_a_long_device_write_is_the_writes_of_its_pieces() -> None:
    """The alphabet has those of two pages at most."""
    page, lead = 4096, (Op("ram_alloc", (4,)), Op("region_reset_dirty", (0, 12288, "vga")))
    for first, length in ((0, 4 * page), (2048, 3 * page), (page, 2 * page + 1)):
        pieces, at = [], first
        while at < first + length:
            size = min(first + length - at, page - at % page)
            pieces.append(Op("dma_write", (at, size)))
            at += size
        for step in (0, 19, 39):
            machines = [FOLD.build(n) for n in range(40)]
            whole = run_steps(
                machines, Trace((*lead, Op("dma_write", (first, length))), WORDS.config), (step,)
            )[step].observations()[-1]
            parts = run_steps(machines, Trace((*lead, *pieces), WORDS.config), (step,))[step]
            told = [event for o in parts.observations()[2:] if o for event in o.events]
            assert whole is not None
            assert list(whole.events) == told
            last = parts.observations()[-1]
            assert last is not None
            assert last.state == whole.state


def test_an_effect_leaves_out_questions_that_make_no_difference() -> None:
    cells = cells_of(TWO)
    form = Form(FOLD.build(39), TWO, Way(cells.sizes))
    shape = Shape(((0, 2),), 2)
    found = effect(form, shape, "region_get_dirty", (0, 8192, 0))
    assert found == Leaf(shape, ())


# --- the command ---


def explore(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replay", "explore", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_tells_what_was_proved_and_saves_the_shortest_traces(tmp_path: Path) -> None:
    done = explore("--steps", "38-39", "--pages", 1, "--states", "--save", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "=  38  proved the same" in done.stdout
    assert "~  39  proved to deviate as declared" in done.stdout
    assert "no others" in done.stdout
    path = tmp_path / "39-sync-does-not-rearm.jsonl"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4
    shown = subprocess.run(
        [sys.executable, "-m", "replay", "compare", str(path), "38", "39"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 1


def test_the_command_as_json_and_with_a_fault(tmp_path: Path) -> None:
    old, new, *_ = FAULTS[26]
    ((_, copy),) = planted(tmp_path, 26, old, new)
    done = explore("--steps", "26", "--pages", 1, "--model", f"26={copy}", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert found["passed"] is False
    assert found["scope"] == {
        "pages": 1, "word_bits": 2, "hpratio": 1, "tcg": True, "blocks": None,
        "aligned": False, "without": [],
    }  # fmt: skip
    (step,) = found["steps"]
    assert step["verdict"] == "undeclared difference"
    assert step["shortest"][0]["shows"] is None
    assert step["shortest"][0]["trace"]["ops"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--steps", "0"), "step 0 has no step before it"),
        (("--blocks", "2+x"), "give the pages of each block"),
        (("--blocks", "4", "--pages", "2"), "give one"),
        (("--blocks", "4+4"), "at most 6"),
    ],
)
def test_what_makes_no_sense_is_told(words: tuple[str, ...], text: str) -> None:
    done = explore(*words)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stdout == ""


def test_shapes_follow_from_shapes() -> None:
    from replay.dirty.explore.search import _pair

    told = _shapes(_pair(Request(SUBJECT, Scope(2)), 39))
    blocks = {joint.shape.blocks for joint in told}
    assert {(), ((0, 1),), ((0, 2),), ((0, 1), (1, 1)), ((1, 1),)} <= blocks
