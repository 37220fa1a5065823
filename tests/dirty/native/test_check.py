"""Faults in the C are found, blamed on their step and shrunk; a death is a verdict."""

from __future__ import annotations

import re

import pytest

from native.steps import Fault, libraries, series
from replay.build.compile import build_series
from replay.dirty.language.generate import Profile
from replay.dirty.language.trace import Op, Trace
from replay.dirty.native.check import check_both, check_native
from replay.dirty.native.encode import encode
from replay.dirty.native.model import NativeModel
from replay.dirty.native.session import Libraries, Session, session
from replay.dirty.subject import plan as plan_of
from replay.search.verdict import Verdict
from replay.series.check import Plan
from replay.series.verdict import CheckResult, Failure, StepResult

INTERNAL = "include/exec/memory-internal.h"
PHYSICAL = "include/exec/memory-physical.h"

FAULTS = (
    Fault("forgets a client", 8, "exec.c",
          "    cpu_physical_memory_set_dirty_flag(ram_addr, VGA_DIRTY_FLAG);\n", "", 9),
    Fault("misses the last page", 28, INTERNAL,
          "bitmap_clear(ram_list.dirty_memory[client], page, end - page);",
          "bitmap_clear(ram_list.dirty_memory[client], page, end - page - (end > page));", 29),
    Fault("does not deviate where it must", 37, PHYSICAL,
          "        xen_modified_memory(start, pages);\n        return;",
          "        if (pages > 1) {\n            xen_modified_memory(start, pages);\n        }\n"
          "        return;", 38),
    Fault("does more than it declares", 39, "arch_init.c",
          "            dirty[word] = 0;\n", "            dirty[word] &= 1;\n", 39),
)  # fmt: skip


def plan(steps: tuple[int, ...], traces: int = 60) -> Plan:
    return plan_of(seed=1, traces=traces, profile=Profile(), steps=steps)


def row(result: CheckResult, step: int) -> StepResult:
    return next(found for found in result.steps if found.step == step)


def failure(result: CheckResult, step: int) -> Failure:
    (found,) = row(result, step).failures
    return found


def failing(result: CheckResult) -> list[int]:
    return [found.step for found in result.steps if found.failures]


def test_the_series_in_c_is_as_claimed() -> None:
    result = check_native(plan(tuple(range(1, 40)), 100), libraries(), budget=20)
    verdicts = {found.step: found.verdict for found in result.steps}
    deviating = {27, 30, 37, 39}
    assert {s for s, v in verdicts.items() if v is Verdict.DEVIATES} == deviating
    assert {s for s, v in verdicts.items() if v is Verdict.SAME} == set(verdicts) - deviating
    assert all(found.traces == 100 for found in result.steps) and result.passed
    assert row(result, 27).differing == row(result, 28).from_start == 100


def test_c_is_as_the_models_at_all_steps() -> None:
    result = check_both(plan(tuple(range(1, 40))), libraries())
    assert [found.step for found in result.steps] == list(range(40)) and result.passed
    assert {found.verdict for found in result.steps} == {Verdict.SAME}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.step}")
def test_a_fault_is_blamed_on_its_step_and_shrunk(fault: Fault) -> None:
    faulty = fault.libraries()
    around = tuple(s for s in range(fault.step - 1, fault.step + 3) if 0 < s < 40)
    result = check_native(plan(around), faulty, budget=300)
    assert failing(result) == [fault.step] and not result.passed
    found = failure(result, fault.step)
    assert found.what == "difference" and found.fields and found.text and found.count
    assert found.example is not None and len(found.example.trace.ops) <= 12
    both = check_both(plan(around), faulty, budget=0)
    assert failing(both) == [fault.step]


def test_the_result_does_not_depend_on_the_number_of_jobs() -> None:
    faulty = FAULTS[1].libraries()
    one, two = (check_native(plan((28,)), faulty, jobs=jobs, budget=60) for jobs in (1, 2))
    one.seconds = two.seconds = 0.0
    assert one == two


def test_progress_hears_of_every_trace_and_of_every_example() -> None:
    told, shortened = list[int](), list[int]()
    result = check_native(
        plan((28,), 45), FAULTS[1].libraries(), progress=told.append,
        shrinking=shortened.append, budget=0,
    )  # fmt: skip
    assert told == [20, 20, 5]
    assert shortened == [1]
    assert failure(result, 28).example is not None


def test_steps_that_were_not_built_stay_undecided() -> None:
    some = Libraries(tuple(pair for pair in libraries().paths if pair[0] != 5))
    result = check_native(plan((4, 5, 6, 7), 5), some)
    assert [found.verdict.passes for found in result.steps] == [True, False, False, True]
    assert row(result, 5).verdict is Verdict.UNDECIDED


# --- deaths -------------------------------------------------------------------------

NOTDIRTY = "    if (in_migration) {\n"


def deadly(name: str, code: str, last: int = 3) -> Fault:
    """Step 2 dies on a 4-byte store while logging is on, and only there; so does ``last``."""
    return Fault(name, 2, "exec.c", NOTDIRTY, NOTDIRTY + f"        {code}\n", last)


DEATHS = (
    (deadly("null", "*(volatile char *)(addr >> 40) = 1;"), "crash: SIGSEGV"),
    (deadly("abort", "__builtin_abort();"), "crash: SIGABRT"),
    (deadly("exit", "exit(0);"), "crash: it exits with status 0"),
    (deadly("loop", "for (volatile int i = 1; i; ) { }"), "hang: it does not end"),
)


@pytest.mark.parametrize(("fault", "text"), DEATHS, ids=lambda item: getattr(item, "name", ""))
def test_a_death_is_a_verdict_with_its_trace(fault: Fault, text: str) -> None:
    faulty = fault.libraries()
    hangs = text.startswith("hang")
    result = check_native(
        plan((1, 2, 3, 4), 10 if hangs else 20), faulty, budget=10 if hangs else 100
    )
    # Step 3 dies as step 2 does, and step 4 does not; that is no fault of theirs.
    assert failing(result) == [2]
    found = failure(result, 2)
    assert found.fields == ("status",) and found.text.startswith(text)
    assert found.example is not None
    trace, index = found.example.trace, found.example.index
    assert trace.ops[index].name == "store_notdirty"
    run = NativeModel(2, faulty).run(trace)
    assert len(run.records) == index + 1
    assert run.records[index][1] == text.partition(":")[0]
    assert run.records[:index] == NativeModel(1, faulty).run(trace).records[:index]


def test_a_death_leaves_the_other_traces_and_steps_alone() -> None:
    fault = DEATHS[0][0]
    deadly_trace = Trace((Op("ram_alloc", (1,)), Op("migration_start"), Op("store_notdirty", (0,))))
    sound = Trace((Op("ram_alloc", (1,)), Op("store_notdirty", (0,))))
    batch = encode([sound, deadly_trace, sound, deadly_trace, sound])
    digests = session(fault.libraries()).digests(batch, (1, 2, 3, 4))
    assert set(digests.deaths) == {(2, 1), (2, 3), (3, 1), (3, 3)}
    assert all(digests.deaths[2, at].how == "SIGSEGV" for at in (1, 3))
    assert all(digests.steps[1]) and digests.steps[1] == digests.steps[4]
    assert [bool(digest) for digest in digests.steps[2]] == [True, False, True, False, True]


def test_a_step_that_dies_on_every_trace_is_given_up_soon() -> None:
    line = "    RAMBlock *new_block ="
    bad = "    *(volatile char *)(size >> 60) = 1;\n"
    fault = Fault("always", 2, "exec.c", line, bad + line, 2)
    result = check_native(plan((1, 2, 3), 20), fault.libraries(), budget=50)
    assert failing(result) == [2]
    found = failure(result, 2)
    assert found.example is not None and [op.name for op in found.example.trace.ops] == [
        "ram_alloc"
    ]
    assert row(result, 1).traces == 20 and 0 < row(result, 2).traces < 20


def test_code_that_dies_when_it_is_loaded_is_a_crash_of_the_first_operation() -> None:
    fault = Fault("loads badly", 2, "exec.c", "static int in_migration;\n",
                  "static int in_migration;\n__attribute__((constructor)) static void bad(void)\n"
                  "{\n    __builtin_trap();\n}\n", 2)  # fmt: skip
    run = NativeModel(2, fault.libraries()).run(Trace((Op("ram_alloc", (1,)),)))
    assert [record[1] for record in run.records] == ["crash"]


def test_state_that_a_reset_leaves_is_a_finding_without_an_operation() -> None:
    fault = Fault("remembers", 2, "exec.c", NOTDIRTY,
                  "    static int calls;\n\n    if (++calls > 30) {\n"
                  "        xen_modified_memory(addr, 4);\n    }\n" + NOTDIRTY, 2)  # fmt: skip
    result = check_native(plan((1, 2), 40), fault.libraries(), budget=50)
    assert failing(result) == [2]
    assert "a reset leaves" in failure(result, 2).text


OVERFLOW = deadly("overflow", "char *p = g_malloc0(8); ((volatile char *)p)[8] = 1; g_free(p);", 2)
UNDEFINED = deadly("undefined", "volatile int n = INT_MAX; n = n + 1;", 2)


@pytest.mark.parametrize(
    ("fault", "report"),
    [(OVERFLOW, "AddressSanitizer: heap-buffer-overflow"), (UNDEFINED, "signed integer overflow")],
    ids=["address", "undefined"],
)
def test_a_sanitizer_s_report_is_a_verdict_with_its_trace(fault: Fault, report: str) -> None:
    sanitized = fault.sanitized()
    result = check_native(plan((2,), 20), sanitized, budget=15)
    found = failure(result, 2)
    assert found.text.startswith("crash: ") and re.search(report, found.text)
    assert found.example is not None
    assert found.example.trace.ops[found.example.index].name == "store_notdirty"


def test_sound_steps_pass_under_sanitizers() -> None:
    chosen = {step: series()[step] for step in (38, 39)}
    sanitized = Libraries.of(build_series(chosen, sanitize=True))
    result = check_native(plan((39,), 60), sanitized, budget=0)
    assert row(result, 39).verdict is Verdict.DEVIATES


def test_a_session_can_be_closed_and_leaves_no_process() -> None:
    with Session(libraries()) as held:
        process = held.apart.process
        assert process.poll() is None
    assert process.poll() is not None
