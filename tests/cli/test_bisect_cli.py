"""From a symptom to the guilty patch, on models and in C; and git bisect agrees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from faults import ASK_ALL
from faults.catalogue import FAULTS as MODEL_FAULTS
from faults.history import plant, plant_systematic
from faults.patches import FAULTS as PATCH_FAULTS

from replay.build.compile import Built, build
from replay.cli import main
from replay.dirty.faults.ctrees import Trees
from replay.dirty.faults.fault import Fault as CFault
from replay.dirty.faults.mutate_c import c_faults
from replay.dirty.language.files import write_trace
from replay.dirty.language.trace import Op, Trace
from replay.dirty.native.compare import Departed, Work
from replay.dirty.native.session import Libraries
from replay.dirty.subject import SUBJECT
from replay.dirty.subject import plan as plan_of
from replay.dirty.verify import verify
from replay.search.bisect import Answer, binary_search
from replay.series.check import check
from replay.series.evidence import shortest
from replay.series.history import import_range
from replay.series.symptoms import Question, ask_of

LOST = Trace(
    (
        Op("ram_alloc", (1,)),
        Op("tlb_fill", (0,)),
        Op("migration_start"),
        Op("migration_next", (0, 0)),
        Op("store", (0, 1)),
        Op("migration_sync"),
    )
)


def replay(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line in this process; git runs it in one of its own."""
    done = CliRunner().invoke(main, words)
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def lost(tmp_path: Path) -> str:
    path = tmp_path / "lost.jsonl"
    write_trace(LOST.renamed("lost"), path)
    return str(path)


@pytest.mark.parametrize("lane", ["python", "native"])
def test_the_lost_store_is_blamed_on_step_39(lost: str, lane: str) -> None:
    done = replay("bisect", "--trace", lost, "--property", "no-lost-store", "--lane", lane)
    assert done.returncode == 0
    assert "binary search, 8 probes" in done.stdout
    assert "guilty: step 39: migration: synchronize memory bitmap 64bits" in done.stdout
    assert "The shortest trace, at steps 38 and 39" in done.stdout
    assert "sync-does-not-rearm" in done.stdout
    assert done.stderr.count("\n") == 8, "each probe is shown"


def test_a_trace_changes_at_all_its_steps_not_only_the_first(lost: str) -> None:
    done = replay("bisect", "--trace", lost, "--json")
    found = json.loads(done.stdout)
    assert found["guilty"] == [27, 39]
    assert found["method"] == "full scan"


def test_a_function_appears_changes_and_disappears() -> None:
    done = replay("bisect", "--api", "cpu_physical_memory_clear_dirty_flag", "--json")
    found = json.loads(done.stdout)
    assert found["guilty"] == [12, 13, 17, 20]
    notes = {p["step"]: p["note"] for p in found["probes"]}
    assert notes[12].startswith("appears") and notes[20].startswith("disappears")


def test_the_code_of_a_function_changes_where_its_patch_touches_it() -> None:
    done = replay("bisect", "--elf", "kvm_get_dirty_pages_log_range", "--good", "33",
                  "--bad", "38", "--json")  # fmt: skip
    guilty = json.loads(done.stdout)["guilty"]
    assert 37 in guilty and 38 not in guilty


def test_a_log_repeats_the_search(lost: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = replay("bisect", "--trace", lost, "--property", "no-lost-store", "--log", str(log))
    again = replay("bisect", "--replay", str(log))
    assert again.returncode == 0
    assert again.stdout == first.stdout
    text = log.read_text(encoding="utf-8")
    log.write_text(text.replace('"answer": "good"', '"answer": "bad"', 1), encoding="utf-8")
    other = replay("bisect", "--replay", str(log))
    assert other.returncode == 2 and "another way" in other.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to look for"),
        (["--property", "no-lost-stores"], "known are"),
        (["--api", "nothing_such"], "no step declares"),
        (["--property", "no-lost-store", "--good", "30"], "step 30 is bad, not good"),
        (["--property", "fresh-block-marked", "--traces", "5"], "step 39 is good, not bad"),
        (["--good", "5", "--bad", "5", "--api", "x"], "must be an earlier step"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_clear_error(words: list[str], message: str) -> None:
    done = replay("bisect", *words)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


CLAIMED_SAME = [fault for fault in MODEL_FAULTS if not SUBJECT.series.step(fault.step).deviations]
"""Faults at steps where nothing but the fault can make a trace come out differently."""


@pytest.mark.parametrize("fault", CLAIMED_SAME[::6], ids=lambda fault: fault.name)
def test_a_fault_in_a_model_is_found_by_bisection(fault, tmp_path: Path) -> None:
    copy = f"{fault.step}={fault.write(tmp_path)}"
    result = check(
        plan_of(traces=100, steps=(fault.step,), copies=((fault.step, copy.partition("=")[2]),)),
        budget=200,
    )
    example = next(f.example for f in result.steps[0].failures if f.what == "difference")
    assert example is not None
    path = tmp_path / "failing.jsonl"
    write_trace(example.trace, path)
    question = Question(trace=str(path), against="model", copies=(copy,))
    ask, _ = ask_of(question, SUBJECT)
    assert binary_search(ask, 0, fault.step).guilty == (fault.step,)
    small = shortest(SUBJECT, Question(trace=str(path), copies=(copy,)), fault.step)
    assert small is not None and len(small.ops) <= len(example.trace.ops)


STAYING = (4, 14, 24, 31, 38, 39) if ASK_ALL else (24,)
"""Faults whose lines occur nowhere else, so that they can be planted in all later trees."""


@pytest.mark.parametrize(
    "fault", [f for f in PATCH_FAULTS if f.step in STAYING], ids=lambda f: f.name
)
def test_git_bisect_and_the_tool_agree(fault, tmp_path: Path) -> None:
    """A fault in one patch of a real history: verify, bisect and git all name that patch."""
    repository, commits, last = plant(fault, tmp_path / "repository")
    copy = tmp_path / "series"
    import_range(repository, copy)
    plan = plan_of(traces=60, steps=(fault.step,), series=copy / "series.toml")
    failing = verify(copy, plan, jobs=1, budget=200).first_failing
    assert failing is not None and failing.step == fault.step
    example = next(
        f.example for step in failing.behaviour for f in step.failures if f.example is not None
    )
    trace = tmp_path / "failing.jsonl"
    write_trace(example.trace, trace)

    question = Question(trace=str(trace), against="model", lane="native", series=copy)
    ask, _ = ask_of(question, SUBJECT)
    while ask(last)[0] is Answer.GOOD:
        last -= 1  # a later step may take the traces another way, past the fault

    script = tmp_path / "test.sh"
    made = replay("bisect", "--trace", str(trace), "--against", "model", "--script", str(script))
    assert made.returncode == 0, made.stderr
    git = ["git", "-C", str(repository), "bisect"]
    subprocess.run([*git, "start", f"step-{last:02d}", "step-00"], check=True, capture_output=True)
    run = subprocess.run([*git, "run", str(script)], check=True, capture_output=True, text=True)
    assert f"{commits[fault.step]} is the first bad commit" in run.stdout

    assert binary_search(ask, 0, last).guilty == (fault.step,)


SHOWN = [step for step in range(2, 40) if step not in (15, 18)]
"""Step 1 has no code. What 15 asserts, and what 18 adds, no trace reaches: only direct calls."""
ASKED = SHOWN if ASK_ALL else SHOWN[3::9]
"""Each step costs some fifteen builds."""


@pytest.mark.parametrize("step", ASKED)
def test_at_every_step_git_bisect_and_the_tool_agree_on_a_systematic_fault(
    step: int, tmp_path: Path
) -> None:
    fault, example = a_shown_fault(step, tmp_path)
    trace = tmp_path / "failing.jsonl"
    write_trace(example, trace)
    repository, commits, last = plant_systematic(fault, tmp_path / "repository")
    copy = tmp_path / "series"
    import_range(repository, copy)
    question = Question(trace=str(trace), against="model", lane="native", series=copy)
    ask, _ = ask_of(question, SUBJECT)
    while ask(last)[0] is not Answer.BAD:
        last -= 1  # a later step may take the trace another way, past the fault
    assert binary_search(ask, 0, last).guilty == (step,)
    git = ["git", "-C", str(repository), "bisect"]
    script = a_script(str(trace), tmp_path)
    subprocess.run([*git, "start", f"step-{last:02d}", "step-00"], check=True, capture_output=True)
    run = subprocess.run([*git, "run", str(script)], check=True, capture_output=True, text=True)
    assert f"{commits[step]} is the first bad commit" in run.stdout


def a_shown_fault(step: int, folder: Path) -> tuple[CFault, Trace]:
    """The first fault of a step's patch that compiles without a warning and that traces show."""
    for fault in c_faults(step):
        tree = Trees(fault, folder)
        files, before = tree.files(step), tree.files(step - 1)
        assert files is not None and before is not None
        outcomes = {step: build(step, files), step - 1: build(step - 1, before)}
        if not all(isinstance(outcome, Built) for outcome in outcomes.values()):
            continue
        work = Work("both", plan_of(traces=20, steps=(step,)), Libraries.of(outcomes))
        seen = work.look(range(20)).wrong.get(step)
        if seen and not seen.text.startswith("hang"):
            example, _ = work.example(Departed.soonest(step, seen), 100)
            return fault, example.trace
    raise AssertionError(f"no trace shows any fault of step {step}")


def a_script(trace: str, folder: Path) -> Path:
    script = folder / "test.sh"
    assert replay("bisect", "--trace", trace, "--script", str(script)).returncode == 0
    return script


def test_a_script_whose_tool_fails_stops_git_instead_of_calling_the_commit_bad(
    lost: str, tmp_path: Path
) -> None:
    script = a_script(lost, tmp_path)
    Path(lost).unlink()
    done = subprocess.run([script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 255 and "lost.jsonl" in done.stderr
    text = script.read_text()
    for old, new, said in (
        (sys.executable, "/no/such/python", "not found"),
        ("replay.cli", "replay.no_such", "cannot be loaded"),
    ):
        script.write_text(text.replace(old, new))
        done = subprocess.run([script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 255 and said in done.stderr


def test_a_script_imports_nothing_of_the_tree_that_it_judges(lost: str, tmp_path: Path) -> None:
    script = a_script(lost, tmp_path)
    trap = tmp_path / "tree"
    trap.mkdir()
    (trap / "replay.py").write_text("raise SystemExit(1)\n")
    (trap / "click.py").write_text("raise SystemExit(1)\n")
    subprocess.run(["git", "init", "--quiet", str(trap)], check=True)
    done = subprocess.run([script], cwd=trap, capture_output=True, text=True, check=False)
    assert done.returncode not in (0, 1)


def test_a_tree_that_does_not_build_is_skipped(lost: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "exec.c").write_text("int f(\n", encoding="utf-8")
    done = replay("probe", "--trace", lost, "--step", "5", str(tree))
    assert done.returncode == 125
    assert "does not build" in done.stdout
