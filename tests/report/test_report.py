import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmodels import FOLD, delta
from replay.base.style import Style
from replay.dirty.conform import Mismatch, Result
from replay.dirty.language.pages import Grid, draw, run_text, runs
from replay.dirty.language.trace import Config, Event, Observation, Op, State, Trace
from replay.dirty.language.values import event_texts, field_text, ret_text
from replay.dirty.language.vectors import read_vectors
from replay.dirty.machine.run import python_model
from replay.dirty.rules.comparison import compare_runs
from replay.dirty.rules.diff import Difference
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError
from replay.report import showing
from replay.report.comparing import comparison_json, comparison_lines
from replay.report.conforming import mismatch_lines, result_json, result_lines
from replay.report.running import run_json, run_lines
from replay.series import steps

NAMED = Path(__file__).parents[1] / "vectors" / "named.jsonl"
VECTORS = {vector.trace.name: vector for vector in read_vectors(NAMED)}
SAMPLE = NAMED.with_name("public-sample.jsonl.gz")
LOST = VECTORS["sync-lost-store"].trace


def run(trace: Trace, step: int) -> list[str]:
    return run_lines(python_model(step).run(trace))


def compare(trace: Trace, a: int, b: int) -> list[str]:
    return comparison_lines(compare_runs(python_model(a).run(trace), python_model(b).run(trace)))


# --- page sets -------------------------------------------------------------------------


@given(st.integers(0, 2**200))
def test_runs_are_the_pages_of_the_set(pages: int) -> None:
    again = 0
    last = -2
    for first, end in runs(pages):
        assert last + 1 < first <= end, "runs do not touch, and go upwards"
        again |= ((1 << (end - first + 1)) - 1) << first
        last = end
    assert again == pages


def test_runs_in_words() -> None:
    assert run_text(0) == "none"
    assert run_text(0b10111) == "0-2 4"
    assert run_text(0b1010101, limit=2) == "0 2 (2 more runs)"
    assert run_text(0b10101, sign="+", limit=2) == "+0 +2 (+1 more run)"


def test_millions_of_runs_cost_no_more_than_those_shown() -> None:
    pages = int("5" * 4_000_000, 16)
    assert run_text(pages, limit=1) == "0 (7999999 more runs)"


def test_a_map_shows_what_changed_and_where_blocks_are() -> None:
    old = State(vga=0b0011, code=0b1111, migration=0b1111, tlb_notdirty=0b0111)
    new = State(vga=0b0110, code=0b1111, migration=0b1111, tlb_direct=0b0001, tlb_notdirty=0b0010)
    assert draw(old, new, ((0, 2), (2, 1), (4, 3)), 64) == [
        "  page   0",
        "  blocks []o [-]",
        "  vga    -#+ ...",
        "  code   ####...",
        "  migr   ####...",
        "  tlb    Dn- ...",
    ]


def test_a_map_shows_only_the_lines_with_a_changed_page() -> None:
    full = (1 << 130) - 1
    old, new = State(full, full, full), State(full ^ 1 << 70, full, full)
    lines = draw(old, new, ((0, 130),), 64)
    assert [line.split()[0] for line in lines] == ["page", "blocks", "vga", "code", "migr"]
    assert lines[0] == "  page   64       72       80       88       96       104      112      120"
    assert lines[2].startswith("  vga    ######-# ########")
    assert draw(old, old, ((0, 130),), 64) == []


def test_large_machines_are_told_in_runs() -> None:
    pages = 1 << 20
    lines = draw(State(), State(vga=(1 << pages) - 1, code=1), ((0, pages),), 64)
    assert lines == ["  vga     +0-1048575  (1048576 pages)", "  code    +0  (1 pages)"]


@pytest.mark.parametrize("word_bits", [2, 4, 8, 16, 32, 64])
def test_no_line_of_a_map_is_wider_than_80(word_bits: int) -> None:
    full = (1 << 256) - 1
    state = State(full, full, full, full, 0, full, full)
    lines = draw(State(), state, ((0, 256),), word_bits)
    assert max(map(len, lines)) <= 80
    assert Grid.of(word_bits).group == min(8, word_bits)


def test_colour_adds_nothing_but_colour() -> None:
    import re

    plain = run_lines(python_model(39).run(LOST), "title")
    colored = run_lines(python_model(39).run(LOST), "title", style=Style(True))
    assert plain == [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored]
    assert plain != colored


# --- a run -----------------------------------------------------------------------------


def test_a_run_shows_each_operation_with_what_changed() -> None:
    lines = run(LOST, 39)
    for op in LOST.ops:
        assert any(str(op) in line for line in lines)
    start = lines.index("   3 store(addr=0x1000, size=4) -> slow")
    assert lines[start + 1 : start + 8] == [
        "  page   0",
        "  blocks []",
        "  vga    ##",
        "  code   ##",
        "  migr   .+",
        "  tlb    .D",
        "  bitmap .#",
    ]
    assert lines[lines.index("   5 store(addr=0x1000, size=4) -> fast") + 1] == "  state unchanged"
    assert "  migration_dirty_pages 0 -> 2" in lines


def test_a_range_of_operations_is_shown_against_the_one_before() -> None:
    model = python_model(39)
    part = run_lines(model.run(LOST), ops=range(3, 5))
    whole = run_lines(model.run(LOST))
    start = whole.index("   3 store(addr=0x1000, size=4) -> slow") - 1
    assert part[4:] == whole[start : start + len(part) - 4]
    assert [entry["index"] for entry in run_json(model.run(LOST), range(3, 5))["operations"]] == [
        3,
        4,
    ]


def test_an_abort_and_what_did_not_run_are_said() -> None:
    aborting = next(v.trace for v in read_vectors(SAMPLE) if v.baseline[-1] is None)
    lines = run(aborting, 0)
    assert any("abort: the process would be dead" in line for line in lines)
    assert lines[-1].endswith("not run: the trace had ended")
    assert run_json(python_model(0).run(aborting))["operations"][-1]["observation"] is None


@pytest.mark.parametrize("step", [0, 39])
def test_runs_of_all_samples_fit_80_columns_but_for_calls(step: int) -> None:
    for vector in [*VECTORS.values(), *read_vectors(SAMPLE)]:
        for line in run(vector.trace, step):
            assert len(line) <= 80 or "(" in line


def test_a_large_machine_is_shown() -> None:
    trace = Trace((Op("ram_alloc", (1 << 16,)), Op("region_reset_dirty", (0, 8192, "vga"))))
    lines = run(trace, 39)
    assert "  vga     +0-65535  (65536 pages)" in lines
    assert lines[-1] == "  vga     -0-1  (65534 pages)"


def test_the_json_of_a_run_is_that_of_the_vectors() -> None:
    vector = VECTORS["sync-lost-store"]
    made = json.loads(json.dumps(run_json(python_model(39).run(LOST))))
    raw = next(d for d in map(json.loads, NAMED.read_text().splitlines()) if d["name"] == LOST.name)
    entries = raw["baseline"]
    for step in sorted(raw["changes"], key=int):
        for index, entry in raw["changes"][step].items():
            entries[int(index)] = entry
    assert [entry["observation"] for entry in made["operations"]] == entries
    assert [entry["op"] for entry in made["operations"]] == raw["ops"]
    assert (made["trace"], made["step"], made["config"]) == (LOST.name, 39, raw["config"])
    assert vector.trace == LOST


# --- two runs ----------------------------------------------------------------------------


def test_a_comparison_marks_the_first_difference_and_names_the_fields() -> None:
    lines = compare(LOST, 38, 39)
    assert lines[3:7] == [f"   = {i:4} {op}" for i, op in enumerate(LOST.ops[:4])]
    assert lines[7:10] == [
        "",
        "first difference: tlb_direct, tlb_notdirty",
        " !=    4 migration_sync()",
    ]
    assert "  tlb_direct no page                    ! tlb_direct page 1" in lines
    start = lines.index("  tlb_direct")
    assert lines[start + 1 : start + 6] == [
        "  page   0",
        "  blocks []",
        "  at 38  ..",
        "  at 39  .#",
        "          ^",
    ]
    later = lines.index(" !=    5 store(addr=0x1000, size=4)")
    assert lines[later + 1] == "         ret, migration"
    assert lines[-1] == "steps 38 and 39 differ at 4 of 8 operations, first at operation 4"


def test_equal_steps_are_said_to_be_equal() -> None:
    lines = compare(LOST, 1, 2)
    assert lines[-1] == "steps 1 and 2 are equal on all 8 operations"
    assert comparison_json(compare_runs(python_model(1).run(LOST), python_model(2).run(LOST))) == {
        "trace": LOST.name,
        "config": LOST.config.to_json(),
        "steps": [1, 2],
        "operations": 8,
        "equal": True,
        "first_difference": None,
        "differences": [],
    }


def test_long_stretches_of_equal_operations_are_folded() -> None:
    ops = (Op("ram_alloc", (2,)), *[Op("tlb_flush")] * 99, *LOST.ops[1:])
    lines = compare(Trace(ops), 38, 39)
    assert "   = … 63 more operations, all equal" in lines
    assert f"   = {102:4} {ops[102]}" in lines, "what stands before the first difference"
    assert len(lines) < 80


def test_every_named_trace_has_its_differences_marked_where_they_were_recorded() -> None:
    for vector in VECTORS.values():
        for step, entries in vector.changes.items():
            a, b = (python_model(k).run(vector.trace) for k in (step - 1, step))
            comparison = compare_runs(a, b)
            assert [entry.index for entry in comparison.parted] == sorted(entries)
            made = comparison_json(comparison)
            assert made["first_difference"] == min(entries)
            lines = comparison_lines(comparison)
            assert all(len(line) <= 80 or "(" in line for line in lines), "but for long calls"


def test_a_difference_on_a_large_machine_is_told_in_runs() -> None:
    ops = (
        Op("ram_alloc", (1 << 16,)),
        Op("migration_start"),
        Op("store", (4096, 4)),
        Op("migration_sync"),
    )
    lines = compare(Trace(ops), 38, 39)
    assert "  only at step 39: 1" in lines


def test_a_run_that_ended_beside_one_that_did_not() -> None:
    trace = VECTORS["reset-leaves-block-no-tcg"].trace
    with_tcg = Trace(trace.ops, Config(tcg=True), trace.name)
    dead, alive = python_model(0).run(with_tcg), python_model(0).run(trace)
    lines = comparison_lines(compare_runs(dead, alive))
    assert any("status abort" in line and "! status ok" in line for line in lines)
    swapped = comparison_lines(compare_runs(alive, dead))
    assert any("status ok" in line and "! status abort" in line for line in swapped)


# --- single values --------------------------------------------------------------------------


def test_values_are_said_as_people_read_them() -> None:
    alloc, sync = Op("ram_alloc", (1,)), Op("migration_sync")
    assert ret_text(8192, alloc) == "0x2000"
    assert ret_text(8192, sync) == "8192"
    assert [ret_text(v, sync) for v in (None, True, False, "slow")] == [
        "null", "true", "false", "slow",
    ]  # fmt: skip
    assert ret_text("\x1b[2J", sync) == "\\x1b[2J"
    assert field_text("status", None, sync) == "(the run had ended)"
    assert field_text("logging", True, sync) == "on"
    assert field_text("migration_bitmap", None, sync) == "null"
    assert field_text("vga", 0, sync) == "no page"
    event = Event("tb_invalidate", 4096, 4100)
    assert event_texts([event] * 6)[-2:] == ["tb_invalidate 0x1000 to 0x1004", "and 2 more events"]


# --- vectors -----------------------------------------------------------------------------------


def mismatch() -> Mismatch:
    difference = Difference(
        4,
        ("vga", "events"),
        Observation(state=State(vga=3)),
        Observation(state=State(vga=1), events=(Event("xen_modified", 0, 1),)),
    )
    return Mismatch("v.jsonl", 7, "t\x1b", 27, Op("store", (4096, 4)), difference)


def test_a_mismatch_says_trace_step_operation_field_expected_and_got() -> None:
    assert mismatch_lines(mismatch()) == [
        "mismatch trace t\\x1b (v.jsonl:7) at step 27",
        "  operation 4: store(addr=0x1000, size=4)",
        "  vga",
        "    expected pages 0-1  (3)",
        "    got      page 0  (1)",
        "  events",
        "    expected none",
        "    got      xen_modified 0x0 length 0x1",
    ]


def test_the_last_line_of_a_result_is_the_two_totals() -> None:
    result = Result(1, 20, 3, [mismatch()], {26: 0, 27: 1, 28: 1, 39: 1})
    lines = result_lines(result, Style(True))
    assert lines[-4:] == [
        "", "steps 27-28: 1 each", "step 39: 1", "20 observations, 3 mismatches",
    ]  # fmt: skip
    assert "2 more mismatches not shown" in lines
    assert result_lines(Result(1, 20, 0)) == ["20 observations, 0 mismatches"]
    made = json.loads(json.dumps(result_json(result)))
    assert made["shown"][0]["fields"] == [
        {"field": "vga", "expected": "3", "got": "1"},
        {"field": "events", "expected": [], "got": [["xen_modified", 0, 1]]},
    ]
    assert made["by_step"] == {"26": 0, "27": 1, "28": 1, "39": 1}


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(40))
def test_a_step_shows_its_docstring_its_source_and_its_api(step: int) -> None:
    lines = showing.step_lines(steps.step_source(SUBJECT, step))
    text = "\n".join(lines)
    assert lines[0] == f"step {step}: {SUBJECT.series.title(step)}"
    made = json.loads(json.dumps(showing.step_json(steps.step_source(SUBJECT, step))))
    assert made["docstring"]
    assert " ".join(made["docstring"].split("\n\n")[-1].split()) in " ".join(text.split())
    for entry in FOLD.load(step).deltas:
        if step:
            assert entry.name in text
            if entry.kind == "function" and entry.action in ("adds", "changes"):
                assert delta.source(entry.value) in text
    if step:
        assert f"STEP = Step({step}" in text
        declared = SUBJECT.series.step(step)
        for prototype in (*declared.adds, *declared.removes, *(n for _, n in declared.changes)):
            assert prototype in text


def test_the_whole_source_is_the_fold() -> None:
    lines = showing.whole_lines(steps.whole_source(SUBJECT, 39))
    assert "\n".join(lines) == FOLD.whole_source(39).rstrip()


def test_the_life_of_a_function_over_the_series() -> None:
    lines = showing.life_lines(steps.life(SUBJECT, "cpu_physical_memory_clear_dirty_flag"))
    assert [line.split()[1] for line in lines[1:-1]] == ["12", "13", "15", "17", "19", "20"]
    assert lines[-1] == "  gone since step 20"
    with_source = showing.life_lines(
        steps.life(SUBJECT, "cpu_physical_memory_clear_dirty_flag", 19)
    )
    assert any(line.startswith("def cpu_physical_memory_clear_dirty_flag(") for line in with_source)
    made = showing.life_json(steps.life(SUBJECT, "cpu_physical_memory_clear_dirty_flag", 19))
    assert made["life"][0] == {"step": 12, "action": "adds"}
    assert "def cpu_physical_memory_clear_dirty_flag" in made["source"]
    assert (
        showing.life_lines(steps.life(SUBJECT, "migration_bitmap_sync"))[-1] == "  there at the end"
    )


def test_what_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'notdirty_mem_write'"):
        steps.life(SUBJECT, "notdirty_write")
    with pytest.raises(UsageError, match="it is gone by then"):
        steps.life(SUBJECT, "cpu_physical_memory_clear_dirty_flag", 20)
    with pytest.raises(UsageError, match="it comes with step 12"):
        steps.life(SUBJECT, "cpu_physical_memory_clear_dirty_flag", 3)
    with pytest.raises(UsageError, match="no step 40"):
        steps.step_source(SUBJECT, 40)
