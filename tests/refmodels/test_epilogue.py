"""After the last step: every fix goes with any other, and changes only what it says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from refmodels import FOLD, delta
from refmodels.delta import Fix, LinkError
from refmodels.later import Later, Names, NoSuchStep, before, line
from refmodels.link import link
from refmodels.machine import Machine
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.search import Request, Verdict, explored
from replay.dirty.machine.samecode import differing
from replay.dirty.subject import SUBJECT

NAMES = FOLD.names
EVERY = [NAMES.numbered(n) for n in range(FOLD.last + 1, NAMES.highest + 1)]
FIXES = ("f9ee9f9ac2", "49dfcec403", "sync-length", "03bfc2188f")


def step(name: str) -> Later:
    found = NAMES.parse(name)
    assert isinstance(found, Later)
    return found


def test_the_four_fixes_and_the_variant_are_there_in_the_order_in_which_they_came() -> None:
    assert NAMES.fixes == FIXES
    assert NAMES.variants[0] == "log-start-flush"
    assert len(EVERY) == len(set(EVERY)) == 2 ** len(NAMES.parts) - 1


@pytest.mark.parametrize("number", EVERY, ids=str)
def test_every_combination_links_and_builds(number: Later) -> None:
    machine = FOLD.build(number)
    assert str(machine.STEP_NUMBER) == str(number)
    vm = machine(12, 1, True, 64)
    vm.ram_alloc(64)
    assert vm.store_bytes() == 3 * 64 // 8


def test_names_may_stand_in_any_order_and_all_stands_for_the_fixes() -> None:
    assert str(step("39+49dfcec403+f9ee9f9ac2")) == "39+f9ee9f9ac2+49dfcec403"
    assert step("39+log-start-flush+all") == step("39+" + "+".join([*FIXES, "log-start-flush"]))
    assert str(step("39+" + "+".join(reversed(FIXES)))) == "39+all"
    assert step("39+sync-length+sync-length") == step("39+sync-length")
    assert NAMES.parse("39") == 39 and type(NAMES.parse("39")) is int


def test_a_fix_is_judged_against_the_line_without_it() -> None:
    whole = step("39+all+log-start-flush")
    assert [str(s) for s in line(whole)[39:]] == [
        "39", "39+f9ee9f9ac2", "39+f9ee9f9ac2+49dfcec403",
        "39+f9ee9f9ac2+49dfcec403+sync-length", "39+all", "39+all+log-start-flush",
    ]  # fmt: skip
    assert str(before(step("39+03bfc2188f+sync-length"))) == "39+sync-length"
    assert before(step("39+sync-length")) == 39 and before(39) == 38
    assert NAMES.before(int(whole)) == step("39+all")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("39+sync-lenght", "did you mean 'sync-length'?"),
        ("39+", "no fix ''"),
        ("38+all", "fixes are those of step 39"),
        ("40", "steps are 0 to 39"),
        ("x", f"39+ any of {', '.join(NAMES.parts)}, joined by +"),
        ("39+00000000", f"39+all has all but {' and '.join(NAMES.variants)}"),
    ],
)
def test_what_is_no_step_is_told_with_what_there_is(name: str, said: str) -> None:
    with pytest.raises(NoSuchStep) as caught:
        NAMES.parse(name)
    assert said in str(caught.value) and "sync-length" in str(caught.value)


def test_a_series_without_fixes_has_none() -> None:
    names = Names(7)
    assert names.highest == 7 and names.words() == "steps are 0 to 7"
    with pytest.raises(NoSuchStep, match="nothing comes after step 7"):
        names.parse("7+all")


def test_a_step_after_the_last_goes_between_processes_with_its_name() -> None:
    there = pickle.loads(pickle.dumps(step("39+all")))
    assert (str(there), there.parts, there.base) == ("39+all", FIXES, 39)
    assert str(there.before) == "39+f9ee9f9ac2+49dfcec403+sync-length"


def test_a_name_fits_where_a_number_is_printed() -> None:
    assert (
        f"{step('39+all'):>8}|{step('39+all'):02}|{step('39+all'):2d}" == "  39+all|39+all|39+all"
    )


# --- the deltas -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES.parts)
def test_a_fix_touches_something_and_has_the_title_that_is_declared(name: str) -> None:
    fix = FOLD.fixes.load(name)
    assert fix.deltas, "a fix without a delta models nothing"
    module = __import__(fix.module, fromlist=["STEP"])
    assert module.__doc__.splitlines()[0].rstrip(".") == SUBJECT.series.fix(name).title


@pytest.mark.parametrize("name", NAMES.parts)
def test_no_function_of_a_fix_is_rewritten_without_a_change(name: str) -> None:
    ground = FOLD.fixes.ground()
    assert ground is not None
    stands_on = delta.apply(FOLD.table(39), ground, 40)
    for entry in FOLD.fixes.load(name).deltas:
        assert entry.action == "changes"
        assert delta.source(entry.value) != delta.source(stands_on[entry.name].value)


def test_no_two_fixes_touch_the_same_function() -> None:
    """So they go together; a variant may stand in for one of them."""
    parts = (*NAMES.fixes, "log-start-flush")
    touched = [one.name for part in parts for one in FOLD.fixes.load(part).deltas]
    by_hand = {"lebitmap_by_words", "lebitmap_told_length", "sync_by_words", "sync_words_done"}
    assert sorted(touched) == sorted({*by_hand, "memory_global_dirty_log_start"})


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("39+f9ee9f9ac2", {"kvm_log_sync"}),
        ("39+49dfcec403", {"kvm_log_sync"}),
        ("39+sync-length", {"migration_start", "migration_sync"}),
        ("39+sync-length+03bfc2188f", {"migration_start", "migration_sync"}),
        ("39+all+log-start-flush", {"migration_start"}),
    ],
)
def test_a_fix_changes_the_code_of_its_own_operations_alone(
    name: str, operations: set[str]
) -> None:
    new = step(name)
    same_ground = differing(FOLD.build(before(new)), FOLD.build(new))
    allowed = operations if before(new) > 39 else {
        "kvm_log_sync", "migration_start", "migration_sync",
    }  # fmt: skip
    assert operations <= same_ground <= allowed


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("39+f9ee9f9ac2", Scope(3, blocks=(3,))),
        ("39+log-start-flush", Scope(2, hpratio=2, tcg=False, blocks=(2,))),
    ],
)
def test_what_all_fixes_stand_on_does_as_step_39_from_every_state(name: str, scope: Scope) -> None:
    """A fix that has nothing to do on such machines leaves what it stands on to be seen."""
    (found,) = explored(Request(SUBJECT, scope), [step(name)])
    assert found.verdict is Verdict.PROVED
    assert found.ways > found.operations > 30, "it is other code, and was executed"


# --- the linker ---------------------------------------------------------------------------------


def copy(tmp_path: Path, name: str, old: str = "", new: str = "") -> Path:
    path = tmp_path / "copy.py"
    source = Path(str(FOLD.fixes.imported(name).__file__)).read_text()
    assert old in source
    path.write_text(source.replace(old, new) if old else source)
    return path


def test_a_changed_copy_of_a_fix_stands_for_it_in_every_line(tmp_path: Path) -> None:
    path = copy(tmp_path, "03bfc2188f", "num_dirty and vm.tcg", "vm.tcg")
    machines = FOLD.variant({step("39+03bfc2188f"): path}, FOLD.last)
    for name in ("39+03bfc2188f", "39+all", "39+all+log-start-flush"):
        assert synced(FOLD.build(step(name))) == {0: True}, name
        assert synced(machines[step(name)]) == {0: False}, name
    assert machines[39] is FOLD.build(39)


def synced(machine: type[Any]) -> dict[int, bool]:
    """The TLB after a sync that takes a page which is in the migration bitmap already."""
    vm = machine(12, 1, True, 64)
    vm.ram_alloc(64)
    vm.migration_start()
    vm.region_set_dirty(0, 4096)
    assert vm.tlb_fill(0) == "direct"
    vm.migration_sync()
    return dict(vm.tlb)


def test_a_fix_that_touches_what_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    path = copy(tmp_path, "03bfc2188f", "sync_words_done", "sync_words_gone")
    with pytest.raises(LinkError, match=r"step 39\+03bfc2188f changes sync_words_gone"):
        FOLD.variant({step("39+03bfc2188f"): path}, FOLD.last)[step("39+all")]


def test_a_copy_of_another_fix_is_refused(tmp_path: Path) -> None:
    path = copy(tmp_path, "03bfc2188f")
    with pytest.raises(LinkError, match=r"STEP must be Fix\('sync-length'\)"):
        FOLD.variant({step("39+sync-length"): path}, FOLD.last)[step("39+sync-length")]


def test_a_call_of_what_no_step_has_is_refused() -> None:
    fix = Fix("mine")

    @fix.changes
    def memory_global_dirty_log_start(vm):
        vm.tcg_commits()

    last = step("39+log-start-flush")
    with pytest.raises(LinkError, match=r"step 39\+log-start-flush: .* uses tcg_commits"):
        link(last, delta.apply(FOLD.table(39), fix, last), Machine)


def test_the_machines_of_steps_after_the_last_are_made_when_asked_for() -> None:
    machines = SUBJECT.machines()
    assert len(machines) == 40 and len(list(machines)) == 40
    assert machines[step("39+all")] is FOLD.build(step("39+all"))
    assert SUBJECT.machine("39+all") is FOLD.build(step("39+all"))
    with pytest.raises(IndexError):
        SUBJECT.machines(last=27)[step("39+all")]
    with pytest.raises(LinkError, match="there is no step"):
        FOLD.build(NAMES.highest + 1)
