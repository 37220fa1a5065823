"""Versions of the built-in series are built and run: what differs is found, where it begins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes import TREE, builtin, compare, patch, series, write
from faults.patches import FAULTS, PatchFault

from replay.search import campaign

pytestmark = pytest.mark.usefixtures("own_places")

FIVE = next(fault for fault in FAULTS if fault.step == 5)
CALL = "cpu_physical_memory_set_dirty_flag(ram_addr, CODE_DIRTY_FLAG);"


def at_five(new: str) -> PatchFault:
    """A change of the one call that patch 5 makes."""
    return PatchFault(5, "test", CALL, new)


def run(tmp_path: Path, last: int, *faults: PatchFault, more: tuple[object, ...] = ()) -> Any:
    old = builtin(tmp_path / "v1.mbox", last)
    new = builtin(tmp_path / "v2.mbox", last, *faults, version=2)
    return compare(old, new, "--tree", TREE, "--run", "--traces", 60, "--jobs", 1, *more)


def test_a_fault_is_told_once_at_the_patch_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = campaign.shrink

    def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(campaign, "shrink", counted)
    done = run(tmp_path, 7, FIVE, more=("--json",))
    assert (done.code, done.err) == (1, "")
    assert [step["verdict"] for step in done.steps] == ["same tree"] * 4 + ["differs"] * 3
    assert [step["since"] for step in done.steps] == [None] * 4 + [5] * 3
    assert [step["example"] is not None for step in done.steps] == [False] * 4 + [True] + [
        False
    ] * 2
    assert len(asked) == 1
    five = done.steps[4]
    # More than the last share of the traces alone could show.
    assert 10 < five["differing"] < five["traces"] == 60
    assert five["fresh"] == five["differing"]
    example = five["example"]
    assert example["shortest"]
    assert len(example["ops"]) == 3
    assert (example["index"], example["ops"][2]) == (2, "store(addr=0x0, size=1)")
    assert {"what": "code", "old": "page 0", "new": "no page"} in example["differs"]
    assert json.loads(example["trace"][0])["format"] == "dirty-trace/1"
    report = json.loads(done.out)
    assert (report["same"], report["behaves_same"]) == (False, False)
    assert report["patches"][6]["tree"] == {"same": False, "since": 5, "problem": None}

    text = run(tmp_path, 7, FIVE)
    assert "v1                        v2" in text.out
    assert "behaves differently since this patch, on" in text.out
    assert text.out.count("still behaves differently, since patch 5, on") == 2
    assert text.out.splitlines()[-1] == (
        "behaviour after each patch: 4 same tree, 3 differ; differences begin with patch 5"
    )
    brief = run(tmp_path, 7, FIVE, more=("--brief",))
    assert "shortest trace" not in brief.out
    assert "behaves differently since this patch, on" in brief.out


def test_a_saved_example_shows_the_difference_again(tmp_path: Path) -> None:
    first = run(tmp_path, 5, FIVE, more=("--save", tmp_path / "saved", "--json"))
    file = tmp_path / "saved" / "patch-5-difference.jsonl"
    assert file.read_text().splitlines() == first.steps[4]["example"]["trace"]
    box = (tmp_path / "v1.mbox", tmp_path / "v2.mbox")
    again = compare(*box, "--tree", TREE, "--run", "--trace", file, "--json")
    assert (again.steps[4]["differing"], again.steps[4]["traces"]) == (1, 1)
    assert again.steps[4]["example"]["differs"] == first.steps[4]["example"]["differs"]


def test_the_example_of_a_second_fault_does_not_show_the_first(tmp_path: Path) -> None:
    plain = (TREE / "cputlb.c").read_text()
    call = "cpu_physical_memory_set_dirty_flags(ram_addr, CODE_DIRTY_FLAG);"
    assert call in plain
    guard = "if (ram_addr != {}) {{ " + call + " }}"
    first = plain.replace(call, guard.format("0"))
    both = plain.replace(call, guard.format("0 && ram_addr != 3 * TARGET_PAGE_SIZE"))
    v1, v2 = (
        series(tmp_path / str(n), *({"cputlb.c": text} for text in (plain, *texts)))
        for n, texts in ((1, [plain + "int a;\n", plain + "int b;\n"]), (2, [first, both]))
    )
    words = (v1, v2, "--tree", TREE, "--run", "--jobs", 1, "--save", tmp_path / "saved", "--json")
    one, two = compare(*words).steps
    assert (one["since"], two["since"]) == (1, 1)
    assert 0 < two["fresh"] < two["differing"]
    assert one["example"]["ops"][-1] == "store(addr=0x0, size=1)"
    assert two["example"]["ops"][-1] == "store(addr=0x3000, size=1)"
    file = tmp_path / "saved" / "patch-2-difference.jsonl"
    again = compare(*words[:-3], "--trace", file, "--json").steps
    assert [step["verdict"] for step in again] == ["no difference", "differs"]


@pytest.mark.parametrize(
    ("new", "verdict", "traces"),
    [
        (f"{CALL} /* one */", "same code", 0),
        (f"volatile int n = 0; {CALL.replace('ram_addr', 'ram_addr + n')}", "no difference", 60),
    ],
)
def test_a_change_that_does_the_same_is_said_to(
    new: str, verdict: str, traces: int, tmp_path: Path
) -> None:
    done = run(tmp_path, 6, at_five(new), more=("--json",))
    assert done.code == 1, "its text still differs"
    assert [(s["verdict"], s["traces"]) for s in done.steps[4:]] == [(verdict, traces)] * 2
    assert json.loads(done.out)["behaves_same"] is True


def test_a_changed_message_alone_needs_no_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = builtin(tmp_path / "1", 2)
    new = tmp_path / "2"
    new.write_text(old.read_text().replace("\n---\n", "\nThis is why.\n---\n", 1))
    monkeypatch.setenv("PATH", "")
    done = compare(old, new, "--tree", TREE, "--run", "--json")
    assert (done.code, done.err) == (1, "")
    assert [step["verdict"] for step in done.steps] == ["same tree"] * 2


def test_a_version_that_does_not_build_is_said_with_the_compilers_words(tmp_path: Path) -> None:
    done = run(tmp_path, 6, at_five("no_such_function();"))
    assert (done.code, done.err) == (1, "")
    assert "v2 does not build: cputlb.c:49:5: error: " in " ".join(done.out.split())
    assert "v2 still does not build: " in done.out
    assert "4 same tree, 2 not built" in done.out
    step = run(tmp_path, 6, at_five("no_such_function();"), more=("--json",)).steps[5]
    assert (step["verdict"], step["since"]) == ("does not build", 5)
    assert [problem["series"] for problem in step["problems"]] == ["new"]


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("*(volatile char *)(ram_addr & 0) = 1;", "crash: SIGSEGV"),
        ("(void)ram_addr; for (;;) { __asm__ volatile(\"\"); }", "hang: it does not end"),
    ],
)  # fmt: skip
def test_a_crash_and_a_hang_are_contained_and_shown(new: str, said: str, tmp_path: Path) -> None:
    done = run(tmp_path, 5, at_five(new), more=("--json", "--budget", 12))
    step = done.steps[4]
    assert (done.code, step["verdict"]) == (1, "differs")
    assert step["example"]["differs"][0]["what"] == "status"
    assert step["example"]["differs"][0]["old"] == "ok"
    assert step["example"]["differs"][0]["new"].startswith(said)


def test_ctrl_c_while_patches_run_leaves_no_process_behind(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hang = f'(void)ram_addr; extern void *fopen(const char *, const char *); fopen("{mark}", "w"); '
    hang += 'for (;;) { __asm__ volatile(""); }'
    old = builtin(tmp_path / "1", 5)
    new = builtin(tmp_path / "2", 5, at_five(hang))
    process: Any = subprocess.Popen(
        [sys.executable, "-m", "replay", "mail", "compare", str(old), str(new), "--tree",
         str(TREE), "--run", "--jobs", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(mark.exists)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")

    def nobody_left() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(nobody_left)


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done()


def test_the_number_of_jobs_makes_no_difference(tmp_path: Path) -> None:
    one = run(tmp_path, 5, FIVE, more=("--budget", 0))
    two = run(tmp_path, 5, FIVE, more=("--budget", 0, "--jobs", 2))
    assert one.out == two.out
    assert "a trace (50 operations):" in one.out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dirty_record(", "dirty_gone(", "no longer has the driver's interface: "),
        ("machine.hpratio == 0) {\n        return 0", "n) {\n        return -1",
         "it refuses trace 'seed-1-0', operation 0"),
        ("return DIRTY_VERSION", "return 9", "its driver has version 9, this needs 3"),
    ],
)  # fmt: skip
def test_a_tree_that_cannot_be_driven_is_not_judged_and_the_others_are(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    names = ("driver.c", "include/driver.h", "memory.c")
    base = {name: (TREE / name).read_text() for name in names}
    assert old in base["driver.c"]
    odd = {name: text.replace(old, new) for name, text in base.items()}
    more = {**base, "memory.c": base["memory.c"] + "int more;\n"}
    less = {**more, "memory.c": base["memory.c"] + "int less;\n"}
    v1 = series(tmp_path / "1", base, more, less, titles=["one", "two"])
    v2 = series(tmp_path / "2", base, odd, more, titles=["one", "two"])
    done = compare(v1, v2, "--tree", TREE, "--run", "--traces", 5, "--json")
    assert (done.code, done.err) == (1, "")
    assert [step["verdict"] for step in done.steps] == ["cannot be judged", "no difference"]
    assert [problem["series"] for problem in done.steps[0]["problems"]] == ["new"]
    assert said in done.steps[0]["problems"][0]["text"]


def test_nothing_is_built_or_run_unless_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object, **more: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", never)
    old = builtin(tmp_path / "1", 6)
    new = builtin(tmp_path / "2", 6, FIVE)
    done = compare(old, new, "--tree", TREE, "--json")
    assert (done.code, done.steps) == (1, [None] * 6)
    assert json.loads(done.out)["behaves_same"] is None
    assert "another tree after it" in compare(old, new, "--tree", TREE).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run"], "add --tree DIR"),
        (["--traces", 3], "--traces is about running traces: add --run, or --build CMD"),
        (["--tree", TREE, "--library", "x.so"], "--library goes with --build CMD"),
        (["--tree", TREE, "--build", "make"], "add --library PATH"),
        (["--tree", TREE, "--run", "--build", "make"], "--run is for a tree of the built-in kind"),
        (["--tree", "plain", "--run"], "plain: it has no include/driver.h"),
        (["--tree", "plain", "--build", "make", "--library", "/x.so"], "relative to the top"),
        (["--tree", "nowhere", "--run"], "nowhere: no such folder"),
        (["--tree", TREE, "--run", "--trace", "none.jsonl"], "none.jsonl: there is no such file"),
    ],
)
def test_bad_options_are_one_error_with_the_cure(
    words: list[object], said: str, tmp_path: Path
) -> None:
    write(tmp_path / "plain", {"a": "1\n"})
    box = tmp_path / "m"
    box.write_text(patch("[PATCH] one", {"a": "1\n"}, {"a": "2\n"}))
    done = compare(box, box, *words)
    assert done.code == 2
    assert done.err.startswith("replay: error: ")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_patches_for_another_tree_are_a_difference_where_behaviour_was_asked(
    tmp_path: Path,
) -> None:
    box = tmp_path / "m"
    box.write_text(patch("[PATCH] one", {"a": "1\n"}, {"a": "2\n"}))
    assert compare(box, box, "--tree", TREE).code == 0
    done = compare(box, box, "--tree", TREE, "--run")
    assert done.code == 1
    assert "not applied: " in done.out
