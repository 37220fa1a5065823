"""Properties at every state: held against a plain search, planted faults, and the checker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from refmodels import FOLD, s38_sync_range
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.held import Holds, PropertyResult, held
from replay.dirty.explore.plain import searched
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.search import Request
from replay.dirty.explore.tables import leaves
from replay.dirty.explore.watch import BROKEN, Watch
from replay.dirty.language.domain import validate
from replay.dirty.machine.run import run_small
from replay.dirty.rules.properties import MONITORS, RUN_PROPERTIES
from replay.dirty.subject import SUBJECT
from replay.report.holding import steps_text

ONE = Scope(1)
BLOCK = Scope(1, blocks=(1,))
TWO = Scope(2, blocks=(2,))


def verdicts(scope: Scope, name: str, *steps: int, **options: int) -> dict[int, PropertyResult]:
    found = held(Request(SUBJECT, scope, **options), steps, [name])  # type: ignore[arg-type]
    return {one.step: one for one in found}


# --- against a search that copies machines and executes operations ---


@pytest.mark.parametrize(
    ("name", "step", "scope"),
    [
        ("no-lost-store", 38, BLOCK),
        ("no-lost-store", 18, BLOCK),
        ("no-lost-quiet-store", 0, BLOCK),
        ("no-lost-store-without-tcg", 36, Scope(1, tcg=False, blocks=(1,))),
        ("fresh-block-marked", 16, ONE),
        ("armed-when-dirty", 26, BLOCK),
    ],
)
def test_machine_and_books_meet_what_a_plain_search_meets(
    name: str, step: int, scope: Scope
) -> None:
    machine, monitor = FOLD.build(step), MONITORS[name]
    wanted = searched(machine, scope, 6_000, monitor)
    reached = Reached(Watch(machine, scope, monitor), {}, 1, 1 << 30, cut=False)

    def broken() -> bool:
        layer = reached.layers[-1]
        return any(reached.engine.find(k, BROKEN, layer) is not None for k in reached.shown)

    while not broken() and reached.deeper() is not None:
        pass
    assert tuple(map(len, reached.layers[: len(wanted.layers)])) == wanted.layers
    assert len(wanted.layers) > 2
    if wanted.broken is not None:
        assert broken()
        assert wanted.broken == len(reached.layers)
    elif wanted.transitions < 6_000:
        assert reached.fixpoint


@pytest.mark.parametrize("name", ["no-lost-store", "direct-is-dirty", "count-is-popcount"])
@pytest.mark.parametrize("step", [29, 30, 39])
def test_what_is_cut_changes_no_verdict(name: str, step: int) -> None:
    """Values that no state has, and cells that nothing asks for."""
    (found,) = verdicts(ONE, name, step).values()
    watch = Watch(FOLD.build(step), ONE, MONITORS[name])
    whole = Reached(watch, {}, 1, 1 << 30, cut=False)
    depth = None
    while depth is None:
        layer = whole.layers[-1]
        if any(whole.engine.find(key, BROKEN, layer) is not None for key in whole.shown):
            depth = len(whole.layers)
        elif whole.deeper() is None:
            break
    assert (found.verdict is Holds.BROKEN) == (depth is not None)
    if found.trace is not None:
        assert len(found.trace.ops) == depth
    else:
        assert whole.fixpoint


# --- verdicts ---

SHORTEST = {
    "no-lost-store": {30: 5, 39: 5},
    "no-lost-quiet-store": {0: 4, 39: 4},
    "no-stale-code": {0: 4, 39: 4},
    "count-is-popcount": {39: 3},
    "direct-is-dirty": {30: 3, 39: 3},
    "armed-when-dirty": {},
    "fresh-block-marked": {},
}


@pytest.mark.parametrize("name", SHORTEST)
def test_each_property_is_proved_or_has_its_shortest_trace(name: str) -> None:
    scope = Scope(2, blocks=(2,)) if name in ("no-lost-store", "direct-is-dirty") else ONE
    found = verdicts(scope, name, 0, 29, 30, 39)
    broken = {}
    for step, one in found.items():
        assert one.verdict in (Holds.PROVED, Holds.BROKEN), one.problem
        if one.trace is not None:
            broken[step] = len(one.trace.ops)
            validate(one.trace)
            seen = RUN_PROPERTIES[name](one.trace, run_small(FOLD.build(step), one.trace))
            assert seen is not None
            assert seen.index == len(one.trace.ops) - 1
    first = SHORTEST[name]
    assert {step: broken[step] for step in first} == first
    assert set(broken) == {step for step in found if first and step >= min(first)}


def test_without_parts_of_pages_the_next_step_that_loses_stores_comes_to_light() -> None:
    """Step 30 forgets the last page of an unaligned reset, 37 the rest of a host page."""
    aligned = Scope(2, hpratio=2, blocks=(2,), aligned=True)
    found = verdicts(aligned, "no-lost-store", 29, 36, 37)
    assert [one.verdict for one in found.values()] == [Holds.PROVED, Holds.PROVED, Holds.BROKEN]
    trace = found[37].trace
    assert trace is not None
    assert "kvm_log_sync" in [op.name for op in trace.ops]


def test_an_operation_left_out_is_not_there() -> None:
    found = verdicts(Scope(1, without=frozenset({"migration_start"})), "no-lost-store", 39)
    assert found[39].verdict is Holds.PROVED


def test_a_machine_that_the_property_says_nothing_of() -> None:
    found = verdicts(ONE, "no-lost-store-without-tcg", 3)
    assert found[3].verdict is Holds.NOT_ASKED


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("no-lost-store", {"store", "dma_write", "store_notdirty", "kvm_log_sync"}),
        (
            "no-lost-store",
            {
                "migration_start",
                "page_get_flag",
                "region_get_dirty",
                "region_reset_dirty",
                "region_test_and_clear_dirty",
            },
        ),
        ("no-lost-quiet-store", {"store_notdirty"}),
        ("no-stale-code", {"translate"}),
        ("count-is-popcount", {"migration_start"}),
        ("direct-is-dirty", {"store", "tlb_fill"}),
    ],
)
def test_a_scope_in_which_nothing_breaks_a_property_proves_nothing(
    name: str, without: set[str]
) -> None:
    found = verdicts(Scope(1, without=frozenset(without)), name, 39)
    assert found[39].verdict is Holds.NOT_ASKED
    less = frozenset(sorted(without)[1:])
    found = verdicts(Scope(1, without=less), name, 39)
    assert found[39].verdict is not Holds.NOT_ASKED


def test_nothing_asked_is_no_pass() -> None:
    done = explore("--property", "no-lost-quiet-store", "--without", "store_notdirty",
                   "--steps", "39", "--pages", "1")  # fmt: skip
    assert done.returncode == 4
    assert "says nothing at this scope" in done.stdout


def test_blocks_that_are_there_at_first_are_asked_about() -> None:
    found = verdicts(Scope(1, blocks=(1,)), "fresh-block-marked", 0)
    assert found[0].verdict is Holds.PROVED


def test_every_property_of_traces_can_be_followed() -> None:
    assert set(MONITORS) == set(RUN_PROPERTIES)


def test_a_search_cut_short_is_not_decided() -> None:
    found = verdicts(TWO, "no-lost-store", 20, memory=1 << 16)
    assert found[20].verdict is Holds.NOT_DECIDED
    assert "--memory" in found[20].problem


def test_trees_made_at_one_step_serve_the_next_and_change_nothing() -> None:
    alone = [verdicts(ONE, "no-lost-store", step)[step] for step in (24, 25, 39)]
    together = list(verdicts(ONE, "no-lost-store", 24, 25, 39).values())
    assert [one.ways for one in together] < [one.ways for one in alone]
    for one, other in zip(alone, together, strict=True):
        one.ways = other.ways
        assert one == other


def test_only_a_way_that_breaks_the_property_is_tagged() -> None:
    watch = Watch(FOLD.build(39), ONE, MONITORS["no-stale-code"])
    reached = Reached(watch, {}, 1, 1 << 30)
    names = {
        op.name
        for shape, index in reached.shown
        for at, op in enumerate(ONE.operations(shape.layout)) if at == index
    }  # fmt: skip
    assert names == {"store", "dma_write"}
    assert all(
        not leaf.sets for tree in reached.shown.values() for leaf in leaves(tree) if leaf.tag
    )


# --- the command ---


def explore(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "replay", "explore", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_fault_that_the_series_does_not_declare_is_an_undeclared_break(tmp_path: Path) -> None:
    """A page that the migration bitmap holds already is counted once more."""
    source = Path(s38_sync_range.__file__).read_text(encoding="utf-8")
    counted = "    if not ret:\n        vm.migration_dirty_pages += 1\n"
    assert counted in source
    copy = tmp_path / "mine.py"
    copy.write_text(source.replace(counted, "    vm.migration_dirty_pages += 1\n"))
    done = explore(
        "--pages", "1", "--property", "count-is-popcount", "--steps", "37-38", "--json",
        "--model", f"38={copy}",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    rows = {row["step"]: row for row in json.loads(done.stdout)["properties"]}
    assert [rows[step]["verdict"] for step in (37, 38)] == ["proved to hold", "broken"]
    assert not rows[38]["declared"]
    names = [op["op"] for op in rows[38]["shortest"]["ops"]]
    assert names[-1] == "migration_start", "which marks every page, and then syncs"


def test_only_neighbours_that_were_asked_make_a_span() -> None:
    names = SUBJECT.names
    later = [names.parse("39+all"), names.parse("39+sync-length")]
    assert steps_text([0, 1, 2, 5, 38, 39, *later]) == "0-2, 5, 38-39, 39+all, 39+sync-length"


def test_a_machine_without_ram_proves_nothing() -> None:
    done = explore("--property", "no-lost-store", "--without", "ram_alloc")
    assert done.returncode == 2
    assert "no RAM" in done.stderr


def test_names_that_are_not_there_get_the_nearest(tmp_path: Path) -> None:
    for arguments, said in (
        (("--property", "no-lost-stor"), "did you mean 'no-lost-store'?"),
        (("--property", "store-fits-ram"), "cannot be asked of states"),
        (("--without", "stor"), "did you mean 'store'?"),
        (("--property", "all", "--states"), "--states"),
    ):
        done = explore(*arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_saved_trace_breaks_the_property_when_it_is_run(tmp_path: Path) -> None:
    done = explore(
        "--blocks", "1", "--property", "no-lost-store", "--steps", "39", "--save", str(tmp_path)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "39" in done.stdout
    (path,) = tmp_path.iterdir()
    assert path.name == "39-no-lost-store.jsonl"
    assert str(path) in done.stdout
