"""C held against models for every state: proofs, planted faults, and what decides nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from refmodels import FOLD
from replay.build.compile import Built, build
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import Way
from replay.dirty.explore.concolic import building, proof, running
from replay.dirty.explore.concolic.banks import planned
from replay.dirty.explore.concolic.proof import Proved, built_in, proved
from replay.dirty.explore.search import Request, Verdict
from replay.dirty.explore.state import Form, cells_of
from replay.dirty.language.domain import validate
from replay.dirty.native.encode import encode
from replay.dirty.native.model import word_flags
from replay.dirty.native.session import Libraries, Session
from replay.dirty.rules.diff import first_difference
from replay.dirty.subject import SUBJECT

ONE = Scope(1)
TWO = Scope(2)


def results(
    scope: Scope, *steps: int, trees: Any = None, every: bool = False, **options: Any
) -> list[Proved]:
    return list(proved(Request(SUBJECT, scope, **options), steps, trees, every=every))


def changed(step: int, name: str, old: str, new: str) -> dict[int, dict[str, bytes]]:
    """A step's files with a fault in them."""
    files = dict(built_in([step])[step])
    text = files[name].decode()
    assert old in text
    files[name] = text.replace(old, new, 1).encode()
    return {step: files}


# --- proofs ---


def test_the_c_of_each_kind_of_step_is_proved_to_do_as_its_model() -> None:
    steps = (0, 6, 12, 14, 16, 18, 19, 26, 30, 37, 39)
    found = results(ONE, *steps, jobs=2)
    assert [(one.step, one.verdict) for one in found] == [(step, Verdict.PROVED) for step in steps]
    for one in found:
        assert one.ways > one.operations > 500
        assert one.loads > one.ways
        assert not one.suspects
        assert not one.problem


def test_words_and_blocks_meet_in_a_machine_of_two_pages() -> None:
    """The C keeps more than a state: for how many pages it has a TLB, and code."""
    (found,) = results(TWO, 39)
    assert found.verdict is Verdict.PROVED
    assert found.bases > 50


@pytest.mark.parametrize(
    "scope",
    [
        Scope(2, hpratio=2, tcg=False, blocks=(2,)), Scope(1, 4),
    ],
)  # fmt: skip
def test_other_machines(scope: Scope) -> None:
    found = results(scope, 18, 39)
    assert [one.verdict for one in found] == [Verdict.PROVED] * 2


def test_values_that_no_cell_can_have_change_no_verdict() -> None:
    """Unused bits of a byte are set as soon as it has a page; so half of all bytes are none."""
    scope = Scope(2, blocks=(2,))
    found, every = results(scope, 5, 39), results(scope, 5, 39, every=True)
    assert [one.verdict for one in found] == [one.verdict for one in every] == [Verdict.PROVED] * 2
    assert [one.operations for one in found] == [one.operations for one in every]
    assert found[0].ways < every[0].ways / 2
    assert found[1].ways <= every[1].ways


def test_a_machine_that_begins_in_another_state_is_noticed() -> None:
    """What leads to the blocks of a scope is executed once, and no operation of it."""
    trees = changed(0, "exec.c", "new_block->offset, size, 0xff);", "new_block->offset, size, 7);")
    (found,) = results(Scope(1, blocks=(1,)), 0, trees=trees)
    undecided(found, "the first state is not that of the model")


def test_every_operation_is_executed_from_every_shape_of_the_model() -> None:
    (found,) = results(ONE, 39)
    machines = SUBJECT.machines(())
    shapes = planned(machines, ONE, [39]).shapes
    assert len(shapes) > 4
    least = sum(1 for shape in shapes for _ in ONE.operations(shape.layout))
    assert found.operations >= least


def test_processes_change_nothing() -> None:
    assert results(ONE, 19, 27, jobs=1) == results(ONE, 19, 27, jobs=2)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_either_compiler_tells_of_loads(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shutil.which(compiler)
    assert found, f"these tests need {compiler}"
    (tmp_path / "cc").symlink_to(found)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    building.engine.cache_clear()
    scope = Scope(2, blocks=(2,))
    for one in results(scope, 5, 39):
        assert one.verdict is Verdict.PROVED, one.problem
        assert one.loads
    building.engine.cache_clear()


# --- planted faults ---

MEMORY = "include/exec/memory-internal.h"
FAULTS = {
    "a range cleared a word short": (
        ONE, 28, "util/bitmap.c", "word < BITS_TO_LONGS(end); word++) {\n        map[word] &=",
        "word < BIT_WORD(end); word++) {\n        map[word] &=", "code", 2,
    ),
    "a mask that is too long": (
        TWO, 28, "util/bitmap.c", "word == BIT_WORD(end)", "word == BIT_WORD(end - 1)", "vga", 1,
    ),
    "flags that replace those that were": (
        ONE, 0, MEMORY, "|= dirty_flags;", "= dirty_flags;", "code", 3,
    ),
    "a word that is written without being read": (
        TWO, 20, "include/qemu/bitops.h", "map[BIT_WORD(nr)] |= BIT_MASK(nr);",
        "map[BIT_WORD(nr)] = BIT_MASK(nr);", "vga", 4,
    ),
    "what was synchronized stays dirty": (
        ONE, 39, "arch_init.c", "                dirty[word] = 0;\n", "", "migration", 2,
    ),
    "another length is told": (
        ONE, 30, "exec.c", "xen_modified_memory(addr, length);\n}\n\nvoid address",
        "xen_modified_memory(addr, length + 1);\n}\n\nvoid address", "events", 2,
    ),
    "a crash": (
        ONE, 20, "exec.c", "tlb_set_dirty(ram_addr);", "tlb_set_dirty(*(ram_addr_t *)ram_addr);",
        "status", 4,
    ),
    "no end": (
        ONE, 5, "cputlb.c", "for (; page < end; page++) {", "for (; page != end; page += 2) {",
        "status", 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_a_trace_that_shows_it(name: str) -> None:
    scope, step, file, old, new, field, length = FAULTS[name]
    trees = changed(step, file, old, new)
    (found,) = results(scope, step, trees=trees)
    if name in ("another length is told", "a crash"):
        (every,) = results(scope, step, trees=trees, every=True)
        assert (every.verdict, every.touched) == (found.verdict, found.touched)
    assert found.verdict is Verdict.DIFFERENT
    assert found.suspects
    (shortest,) = found.shortest
    trace = shortest.trace
    assert field in shortest.fields
    assert len(trace.ops) <= length
    validate(trace)
    made = build(step, trees[step], flags=word_flags(2))
    assert isinstance(made, Built)
    with Session(Libraries(((step, str(made.path)),), "", 2)) as held:
        (run,) = held.records(encode([trace], 2), [(step, 0)], in_domain=True)
    parted = first_difference(SUBJECT.model(step, trace), run)
    assert parted
    assert parted.index == len(trace.ops) - 1


def test_a_changed_model_parts_from_the_c(tmp_path: Path) -> None:
    text = Path(FOLD.imported(29).__file__ or "").read_text(encoding="utf-8")
    copy = tmp_path / "s29_copy.py"
    copy.write_text(text.replace("CODE", "VGA"), encoding="utf-8")
    (found,) = results(ONE, 29, copies=((29, str(copy)),))
    assert found.verdict is Verdict.DIFFERENT


def test_what_no_machine_reaches_blames_no_step() -> None:
    """A byte whose unused bits are 0 does not count as dirty at step 0; there is none."""
    old = "return cpu_physical_memory_get_dirty_flags(addr) == 0xff;"
    new = "return (cpu_physical_memory_get_dirty_flags(addr) & 0x0b) == 0x0b;"
    trees = changed(0, MEMORY, old, new)
    (found,) = results(ONE, 0, trees=trees, every=True)
    assert found.suspects
    assert found.unreached
    assert found.verdict is Verdict.PROVED
    (found,) = results(ONE, 0, trees=trees)
    assert not found.suspects
    assert found.verdict is Verdict.PROVED


# --- what decides nothing ---


def undecided(found: Proved, text: str) -> None:
    assert found.verdict is Verdict.NOT_DECIDED
    assert text in found.problem


def test_a_difference_that_nobody_sees_decides_nothing() -> None:
    """A bit past the only page of RAM: the scope has no operation that shows it."""
    trees = changed(28, "util/bitmap.c", "word == BIT_WORD(end)", "word == BIT_WORD(end - 1)")
    (found,) = results(ONE, 28, trees=trees)
    undecided(found, "the library did not show it on")
    assert "kvm_log_sync" in found.problem


def test_what_is_left_behind_an_array_is_noticed() -> None:
    """No operation reads there but by straying; the next machine would begin with it."""
    old = "            memset(array->data + size, 0, array->size - size);\n"
    (found,) = results(TWO, 5, trees=changed(5, "util/alloc.c", old, "            (void)0;\n"))
    assert found.verdict is not Verdict.PROVED
    assert "unfit" in found.touched


def test_an_access_behind_a_piece_of_memory_is_noticed() -> None:
    """What is read there changes nothing, as long as it is there."""
    old = "offset += BITS_PER_LONG;\n        if (offset >= size)"
    new = "offset += BITS_PER_LONG;\n        if (offset > size)"
    (found,) = results(TWO, 30, trees=changed(30, "util/bitops.c", old, new))
    assert found.verdict is Verdict.NOT_DECIDED
    assert found.touched == ("unfit",)


UNTOLD = {
    "all": (lambda flag: not flag.startswith("-fsanitize"), "does not tell of loads and stores"),
    "loads": (lambda flag: True, "does not tell of loads and stores"),
    "stores": (lambda flag: True, "does not tell of loads and stores"),
}


@pytest.mark.parametrize("what", UNTOLD)
def test_a_compiler_that_does_not_tell_proves_nothing(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, text = UNTOLD[what]
    param = {"loads": "reads", "stores": "writes"}.get(what)
    more = ("--param", f"asan-instrument-{param}=0") if param else ()
    monkeypatch.setattr(building, "TOLD", (*filter(keep, building.TOLD), *more))
    (found,) = results(ONE, 39)
    undecided(found, text)


HIDING = {
    "a variable of its own": (
        30, "cputlb.c", "    if (tlb_lookup(page) == TLB_NOTDIRTY) {",
        "    static int n;\n\n    if (++n % 3 && tlb_lookup(page) == TLB_NOTDIRTY) {",
        "a variable that is no part of the machine",
    ),
    "a field of its own": (
        30, "include/exec/cpu-all.h", "    ram_addr_t length;\n", "    ram_addr_t length, seen;\n",
        "do not compile as one unit",
    ),
    "the count": (
        36, "arch_init.c", "        migration_dirty_pages--;",
        "        if (migration_dirty_pages) migration_dirty_pages--;",
        "may ask for migration_dirty_pages",
    ),
    "code that is not told of": (
        30, "cputlb.c", "void tlb_set_dirty(",
        '__attribute__((no_sanitize("kernel-address")))\nvoid tlb_set_dirty(', "'no_sanitize'",
    ),
    "another driver": (
        30, "driver.c", "tlb_flush();", "tlb_flush(), tlb_flush();", "not this version's",
    ),
    "sizes that do not fit": (
        30, "cputlb.c", "    tlb_pages = pages;\n", "    tlb_pages = pages ? pages : 1;\n",
        "do not fit what it holds",
    ),
    "no C": (31, "exec.c", "static bool in_migration;", "static in_migration;", "do not compile"),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDING)
def test_what_hides_from_the_engine_is_not_decided(name: str) -> None:
    step, file, old, new, text = HIDING[name]
    (found,) = results(Scope(1, blocks=(1,)), step, trees=changed(step, file, old, new))
    undecided(found, text)


def test_a_limit_that_is_reached_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = results(ONE, 39, memory=1 << 18)
    undecided(found, "take more memory than is given")
    monkeypatch.setattr(proof, "LIMIT", 0.05)
    (found,) = results(TWO, 39)
    undecided(found, "did not end within")


def test_words_of_more_values_than_can_be_gone_through_decide_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "MOST_WAYS", 1 << 16)
    (found,) = results(Scope(1, 8, blocks=(1,)), 39)
    undecided(found, "take fewer pages or smaller words")


def test_time_that_is_up_decides_nothing() -> None:
    began = time.monotonic()
    (found,) = results(Scope(3), 39, stop=lambda: "the time was up" if late(began) else "")
    undecided(found, "the time was up")


def late(began: float) -> bool:
    return time.monotonic() > began + 1


def test_an_engine_that_dies_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "engine", lambda: Path("/bin/false"))
    (found,) = results(ONE, 39)
    undecided(found, "the engine ended with status 1")


def test_a_step_without_c_is_not_decided() -> None:
    (found,) = results(ONE, 39, trees={})
    undecided(found, "there is no C of this step")


def test_a_model_of_another_form_than_the_c_is_not_decided() -> None:
    (found,) = results(ONE, 18, trees={18: built_in([19])[19]})
    undecided(found, "do not compile as one unit")
    form = Form(FOLD.build(18), ONE, Way(cells_of(ONE).sizes))
    assert form.bytewise


def test_no_way_at_all_is_no_proof() -> None:
    assert Proved(1).verdict is Verdict.NOT_DECIDED
    assert running.KINDS[0] == "status"


# --- the command ---


def explore(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replay", "explore", "--c", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_tells_what_was_proved() -> None:
    done = explore("--steps", "0,19", "--blocks", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "=   0  C and model proved the same" in done.stdout
    assert "2 steps: 2 C and model proved the same" in done.stdout


def test_the_command_saves_what_shows_a_difference(tmp_path: Path) -> None:
    text = Path(FOLD.imported(29).__file__ or "").read_text(encoding="utf-8")
    copy = tmp_path / "s29_copy.py"
    copy.write_text(text.replace("CODE", "VGA"), encoding="utf-8")
    words = ("--steps", 29, "--blocks", 1, "--model", f"29={copy}", "--save", tmp_path / "out")
    done = explore(*words, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert found["passed"] is False
    assert found["against"] == "model"
    (step,) = found["steps"]
    assert step["verdict"] == "C and model differ"
    ops = step["shortest"][0]["trace"]["ops"]
    saved = (tmp_path / "out" / "29-difference.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(saved) == len(ops) + 1


@pytest.mark.parametrize("word", ["--states", "--no-share"])
def test_what_does_not_go_with_c_is_told(word: str) -> None:
    done = explore(word)
    assert done.returncode == 2
    assert "--c goes with none of" in done.stderr
