"""Steps after the last one are judged as any other: by laws, properties, states, and in C."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refmodels import FOLD
from replay.build.compile import build_series
from replay.dirty.campaign.work import Asked
from replay.dirty.compiled import Compiled
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.search import Request, Verdict, explored
from replay.dirty.language.trace import Op, Trace
from replay.dirty.native.check import check_both, check_native
from replay.dirty.native.session import Libraries
from replay.dirty.subject import SUBJECT, plan
from replay.search import verdict
from replay.search.campaign import Seen
from replay.series.check import check
from replay.series.judging import judge
from replay.series.latertrees import later_tree, trees_of
from replay.series.names import before, parse_steps, parts_of
from replay.series.tally import Share
from replay.series.trees import trees

ALONE = "39+f9ee9f9ac2,39+49dfcec403,39+sync-length,39+03bfc2188f,39+log-start-flush"


def steps(text: str) -> tuple[int, ...]:
    return parse_steps(text, SUBJECT.names)


def step(name: str) -> int:
    return steps(name)[0]


WHOLE = tuple(s for s in SUBJECT.line(step("39+all+log-start-flush")) if s > 39)


# --- check -------------------------------------------------------------------------------------


def test_every_fix_deviates_from_the_line_without_it_as_declared() -> None:
    judged = tuple(sorted({*steps(ALONE), *WHOLE}))
    result = check(plan(steps=judged, traces=300), jobs=2, budget=0)
    assert tuple(row.step for row in result.steps) == judged
    for row in result.steps:
        assert row.verdict is verdict.Verdict.DEVIATES, row
        assert all(one.count for one in (*row.deviations, *row.mended)), row
    mended = {str(row.step): [one.name for one in row.mended] for row in result.steps}
    assert mended["39+03bfc2188f"] == mended["39+all"] == ["no-lost-store", "direct-is-dirty"]
    through = {str(row.step): [str(s) for s in row.through[-2:]] for row in result.steps}
    assert through["39+all"] == ["39+f9ee9f9ac2+49dfcec403+sync-length", "39+all"]
    assert through["39+sync-length"] == ["39", "39+sync-length"]


WRONG = {
    "f9ee9f9ac2": ("vm.hpratio == 1", "vm.hpratio <= 2"),
    "49dfcec403": ("<< vm.TARGET_PAGE_BITS", "<< 10"),
    "sync-length": ("(word_bytes - 1) == 0", "(word_bytes - 1) in (0, 4096)"),
    "03bfc2188f": ("num_dirty and vm.tcg", "num_dirty > 1 and vm.tcg"),
    "log-start-flush": ("if vm.tcg:", "if vm.tcg and vm.hpratio == 1:"),
}


@pytest.mark.parametrize(
    ("name", "at"),
    [*((name, f"39+{name}") for name in WRONG), ("49dfcec403", "39+f9ee9f9ac2+49dfcec403")],
)
def test_a_fix_that_does_a_little_else_is_found(name: str, at: str, tmp_path: Path) -> None:
    old, new = WRONG[name]
    text = Path(str(FOLD.fixes.imported(name).__file__)).read_text()
    assert old in text
    copy = tmp_path / "copy.py"
    copy.write_text(text.replace(old, new))
    asked = plan(steps=(step(at),), traces=160, copies=((step(f"39+{name}"), str(copy)),))
    (row,) = check(asked, budget=0).steps
    assert row.verdict is verdict.Verdict.UNDECLARED
    assert row.failures[0].what == "difference"


def broken(name: str) -> verdict.Verdict:
    at = step("39+sync-length")
    share = Share(traces=1, broken={(at, name): Seen(1, (0, 0), "")})
    for kept, names in (
        (share.shown, [d.id for d in SUBJECT.deviations(at)]),
        (share.mended, SUBJECT.series.step(at).mends),
    ):
        kept.update({(at, one): Seen(1, (0, 0), "") for one in names})
    result, _ = judge(SUBJECT, share, (at,), 1, 50)
    return result.steps[0].verdict


def test_a_fix_has_to_keep_what_the_line_kept_and_not_what_it_gave_up() -> None:
    assert broken("no-lost-store") is verdict.Verdict.DEVIATES
    assert broken("fresh-block-marked") is verdict.Verdict.UNDECLARED


def test_a_fix_that_mends_nothing_that_it_says_is_told() -> None:
    trace_free = Share(traces=1)
    result, _ = judge(SUBJECT, trace_free, (step("39+03bfc2188f"),), 1, 50)
    assert result.steps[0].verdict is verdict.Verdict.UNSHOWN


# --- what the fixes do, on traces made by hand -------------------------------------------------


def lost(pages: int, *more: Op) -> Trace:
    """A store through an entry that was `direct` before the migration began."""
    return Trace((
        Op("ram_alloc", (pages,)), Op("tlb_fill", (0,)), Op("migration_start"), *more,
        Op("migration_next", (0, 0)), Op("store", (0, 1)), Op("migration_sync"),
    ))  # fmt: skip


def loses(name: str, trace: Trace) -> bool:
    run = SUBJECT.model(step(name), trace)
    return SUBJECT.violation("no-lost-store", run) is not None


def test_the_fix_of_2018_mends_the_lost_store_of_a_block_with_a_partial_word_alone() -> None:
    assert loses("39", lost(1)) and not loses("39+sync-length", lost(1))
    assert loses("39+sync-length", lost(64))


def test_a_migration_starts_with_no_new_page_and_so_the_fix_of_2024_does_not_rearm() -> None:
    assert loses("39+03bfc2188f", lost(64)) and loses("39+all", lost(64))
    assert not loses("39+all+log-start-flush", lost(64))


# --- states ------------------------------------------------------------------------------------


def test_explore_proves_fixes_to_deviate_as_declared_in_a_small_scope() -> None:
    names = ("39+sync-length", "39+03bfc2188f", "39+all+log-start-flush")
    found = list(explored(Request(SUBJECT, Scope(2, blocks=(2,))), [step(n) for n in names]))
    assert [str(one.step) for one in found] == list(names)
    assert [one.verdict for one in found] == [
        Verdict.PROVED, Verdict.DECLARED, Verdict.DECLARED,
    ]  # fmt: skip
    (rearm,) = found[1].shortest
    assert rearm.shows == "new-pages-rearm"


# --- C -----------------------------------------------------------------------------------------


def libraries(judged: tuple[int, ...], folder: Path | None = None) -> Libraries:
    wanted = {0, *judged, *(before(s) for s in judged)}
    files = {s: tree.files for s, tree in trees_of([*wanted], folder, every=False).items()}
    made = Libraries.of(build_series(files))
    assert set(made.steps) == wanted, "a fix does not build, or not without a warning"
    return made


def test_the_c_of_the_fixes_does_as_their_models_and_as_declared() -> None:
    judged = tuple(sorted({*steps(ALONE), *WHOLE}))
    held = libraries(judged)
    asked = plan(steps=judged, traces=80)
    both, alone = check_both(asked, held, budget=0), check_native(asked, held, budget=0)
    for row in both.steps:
        assert row.verdict is verdict.Verdict.SAME and row.traces == 80, row
    for row in alone.steps:
        assert not row.failures and row.traces == 80, row
    shown = {d.deviation.id for row in alone.steps for d in row.deviations if d.count}
    parts = {part for s in judged for part in parts_of(s)}
    assert shown == {d.id for part in parts for d in SUBJECT.series.fix(part).deviations}


def test_c_that_does_a_little_else_than_its_fix_is_found(tmp_path: Path) -> None:
    judged = (step("39+03bfc2188f"),)
    last = trees()[-1]
    right = later_tree(judged[0], last).files  # type: ignore[arg-type]
    file = "arch_init.c"
    wrong = right[file].replace(b"new_pages && tcg", b"(new_pages || 1) && tcg")
    assert wrong != right[file]
    files = {0: trees()[0].files, 39: last.files, judged[0]: {**right, file: wrong}}
    made = Libraries.of(build_series(files))
    assert made.steps == (0, 39, judged[0])
    for found in (check_both, check_native):
        rows = found(plan(steps=judged, traces=80), made, budget=0).steps
        (row,) = (row for row in rows if row.step == judged[0])
        assert row.failures and set(row.failures[0].fields) <= {"tlb_direct", "tlb_notdirty"}


def test_the_lane_of_c_runs_a_step_after_the_last() -> None:
    trace = lost(64)
    run = Compiled(None).run(step("39+all"), trace)
    assert run.records == SUBJECT.model(step("39+all"), trace).records  # type: ignore[union-attr]


# --- a campaign --------------------------------------------------------------------------------


def test_the_state_of_a_campaign_keeps_steps_after_the_last(tmp_path: Path) -> None:
    asked = Asked(steps=(38, step("39+all")), copies=((step("39+sync-length"), "copy.py"),))
    back = Asked.of(json.loads(json.dumps(asked.to_json())))
    assert [str(s) for s in back.steps] == ["38", "39+all"]
    assert back == asked
