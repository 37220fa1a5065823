"""A verdict states what it rests on, and what was not seen is no pass."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, Done, UserRepo, cli

from replay.repo.bound import Bound
from replay.repo.calls import Call
from replay.repo.code import CodeComparison
from replay.repo.evidence import Evidence, Ground, decide
from replay.repo.results import compare
from replay.repo.runner import Run
from replay.report.evidence import evidence_text
from replay.search.verdict import Verdict


def verify(tmp_path: Path, sources: list[str], *more: object, traces: int = 40) -> Done:
    """Verify one commit a source."""
    repo = UserRepo(tmp_path / "repo")
    for number, source in enumerate(sources):
        repo.commit(f"commit {number}", x_c=source)
    return cli(
        "verify", "--repo", repo.path, "--range", f"main~{len(sources) - 1}..main",
        "--build", MAKE, "--library", "libx.so", "--traces", traces, "--ops", 12, *more,
    )  # fmt: skip


def rows(done: Done) -> list[dict[str, Any]]:
    assert not done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["commits"]
    return found


BOX = """#include <stdlib.h>
struct box { int (*f)(int); int n; };
struct box *box_new(void)
{ struct box *b = malloc(sizeof *b); b->f = NULL; b->n = 0; return b; }
void box_free(struct box *b) { free(b); }
int box_put(struct box *b, int v) { b->n += b->f(v); return b->n%s; }
"""


def test_where_every_trace_crashes_on_both_sides_nothing_is_decided(tmp_path: Path) -> None:
    done = verify(tmp_path, [BOX % "", BOX % " * 2 + 7"], "--json")
    row = rows(done)[1]
    assert (done.returncode, row["verdict"]) == (4, "not decided")
    assert "changed and never returned: box_put" in row["reason"]
    assert "give it other arguments in the binding" in row["reason"]
    put = row["evidence"]["functions"]["box_put"]
    assert put["generated"] > put["reached"] > put["returned"] == 0
    (stop,) = row["evidence"]["stopped"]
    assert (stop["function"], stop["how"], stop["traces"]) == ("box_put", "SIGSEGV", put["reached"])


def test_the_report_says_in_one_line_what_came_back_and_where_traces_ended(tmp_path: Path) -> None:
    lines = " ".join(verify(tmp_path, [BOX % "", BOX % " * 2 + 7"]).stdout.split())
    assert "traces ended in a crash on both sides at the same call: box_put (SIGSEGV)" in lines
    assert "calls returned on both sides" in lines
    assert "0 of 1 commit as claimed" in lines and "open: 1 not decided" in lines


PASSED = """typedef int v __attribute__((vector_size(16)));
int dot(v a) { return a[0] * a[0] + a[1]%s; }
int f(int x) { return x; }
"""


def test_a_function_that_changed_and_is_never_called_is_named(tmp_path: Path) -> None:
    done = verify(tmp_path, [PASSED % "", PASSED % " * a[1]"], "--json")
    row = rows(done)[1]
    assert (done.returncode, row["verdict"]) == (4, "not decided")
    assert row["reason"] == "same as far as called; changed and never called: dot"
    assert "by value" in json.loads(done.stdout)["left_out"]["dot"]


def test_what_is_left_out_and_did_not_change_takes_nothing_from_a_verdict(tmp_path: Path) -> None:
    other = (PASSED % "").replace("int f(int x) {", "int f(int x) { volatile int y = x; x = y;")
    done = verify(tmp_path, [PASSED % "", other])
    assert done.returncode == 0
    assert "dot (a: a v (a vector of 16 bytes) is passed by value" in " ".join(done.stdout.split())


def test_equal_code_is_a_proof_and_no_trace_is_run(tmp_path: Path) -> None:
    source = "#include <time.h>\nlong f(int n) { return clock() + n; }\n"
    done = verify(tmp_path, [source, source], "--json")
    assert done.returncode == 0
    row = rows(done)[1]
    assert (row["verdict"], row["evidence"], row["traces"]) == ("same", {"identical": True}, 0)


def test_a_function_of_which_nothing_is_seen_is_no_pass(tmp_path: Path) -> None:
    source = "static volatile int s; void f(int n) { s = n%s; }\n"
    done = verify(tmp_path, [source % "", source % " + 1"], "--json")
    assert (done.returncode, rows(done)[1]["verdict"]) == (4, "not decided")
    assert "nothing was observed of any call" in rows(done)[1]["reason"]


def test_a_difference_wins_over_what_is_not_decided(tmp_path: Path) -> None:
    wrong = PASSED.replace("return x;", "return -x;")
    done = verify(tmp_path, [PASSED % "", PASSED % " * a[1]", wrong % " * a[1]"], "--json")
    assert [row["verdict"] for row in rows(done)] == [
        "base", "not decided", "undeclared difference",
    ]  # fmt: skip
    assert done.returncode == 1


HANGS = (
    "int f(int n, int m) { volatile int s = 0; while (n < 3) s++; return %s(n == 15 && m == 7); }\n"
)


def test_calls_that_hang_on_both_sides_are_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    done = verify(tmp_path, [HANGS % "", HANGS % "2 * "], "--json", traces=200)
    row = rows(done)[1]
    assert (row["verdict"], row["example"]["text"]) == ("undeclared difference", ["f(n=15, m=7)"])
    seen = row["evidence"]["functions"]["f"]
    assert seen["left_out"] > 0 and seen["returned"] > seen["generated"] / 2


def test_what_always_hangs_is_left_out_and_not_decided(tmp_path: Path) -> None:
    source = "int f(void) { for (volatile int i = %d;; ) i++; }\nint g(int n) { return n; }\n"
    done = verify(tmp_path, [source % 0, source % 1], "--json")
    row = rows(done)[1]
    assert (done.returncode, row["verdict"]) == (4, "not decided")
    assert "f" in row["reason"] and row["evidence"]["functions"]["g"]["returned"] > 0


FLAKY = """#include <stdint.h>
#include <stdlib.h>
static int n;
int add(int v) { n += v; return n%s; }
int clear(void) { %s n = 0; return 0; }
"""
BAD = (
    """void *p = malloc(1 << 20); int bad = ((uintptr_t)p >> 13) & 1; free(p); if (bad) abort();"""
)


def test_a_crash_that_comes_and_goes_is_a_finding(tmp_path: Path) -> None:
    done = verify(tmp_path, [FLAKY % ("", ""), FLAKY % ("", BAD)], "--json")
    row = rows(done)[1]
    assert (done.returncode, row["verdict"]) == (1, "crash")
    # A crash that does not come when it is asked for again cannot always be shortened.
    assert "clear()" in row["example"]["text"]
    what, before, after = row["example"]["differs"][0]
    assert what == "crash" and re.fullmatch(r"no crash in (8|24) runs", before)
    assert "SIGABRT" in after and "runs crash" in after


def test_a_crash_that_came_and_went_before_is_no_finding_of_a_later_commit(tmp_path: Path) -> None:
    other = FLAKY.replace("return 0;", "volatile int z = 0; return z;")
    row = rows(verify(tmp_path, [FLAKY % ("", BAD), other % ("", BAD)], "--json"))[1]
    assert row["verdict"] not in ("crash", "hang", "undeclared difference", "same")


CRASHES = "#include <stdlib.h>\nint f(int n) { %s return %s; }\n"


def test_what_a_crash_hid_is_found_beside_the_last_commit_that_had_none(tmp_path: Path) -> None:
    crash = "if (n > 3) abort();"
    sources = [
        CRASHES % ("", "n"),
        CRASHES % (crash, "n"),
        CRASHES % (crash.replace("3", "4"), "n"),
        CRASHES % ("", "n == 9 ? 0 : n"),
    ]
    found = rows(verify(tmp_path, sources, "--json"))
    assert found[1]["verdict"] == "crash"
    assert found[3]["verdict"] == "undeclared difference"
    assert found[3]["against"] == found[0]["commit"]
    assert found[3]["example"]["text"] == ["f(n=9)"]
    assert found[3]["example"]["differs"] == [["returns", 9, 0]]
    assert "the last that did not crash or hang: it differs on" in found[3]["notes"][-1]


def test_a_side_that_ends_well_is_said_to(tmp_path: Path) -> None:
    found = compare(Run((b"{}",), "crash", "SIGABRT"), Run((b"{}",)))
    assert found is not None
    assert found.fields == (("crash", "SIGABRT", "it ended well"),)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("raise ValueError('no')", "ValueError: no"),
        ("import os; os._exit(0)", "the model failed: f()"),
        ("while True: pass", "did not return"),
        ("return 'x'", "the model failed"),
    ],
)
def test_a_model_that_fails_is_an_error_and_never_agrees(
    body: str, said: str, tmp_path: Path
) -> None:
    model = tmp_path / "model.py"
    model.write_text(f"class M:\n    def f(self, n):\n        {body}\n")
    sources = ["int f(int n) { return n; }\n", "int f(int n) { return -n; }\n"]
    done = verify(tmp_path, sources, "--model", f"{model}:M", "--call-timeout", 0.3)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def op(name: str) -> dict[str, Any]:
    return {"name": name, "function": name, "args": [], "makes": "", "destroys": "", "values": []}


FINE = Run((b'{"ret":1}', b'{"ret":2}'))


@pytest.mark.parametrize(
    ("changed", "unknown", "verdict", "said"),
    [
        ({"f"}, "", Verdict.SAME, ""),
        ({"g"}, "", Verdict.UNDECIDED, "same as far as called; changed and never called: g"),
        ({"h"}, "", Verdict.UNDECIDED, "same as far as called; changed and never called: h"),
        ({"elsewhere"}, "", Verdict.SAME, ""),
        (set(), "another machine", Verdict.UNDECIDED, "it cannot be told whether it changed: h"),
    ],
)
def test_a_pass_is_earned_function_by_function(
    changed: set[str], unknown: str, verdict: Verdict, said: str
) -> None:
    bound = Bound((op("f"), op("g")), (), (), (), ())
    seen, trace = Evidence(), (Call("f"), Call("f"))
    seen.draw(trace)
    seen.add(trace, trace, FINE, FINE)
    code = CodeComparison(False, frozenset(changed), unknown)
    found, reason = decide(seen, Ground(code, bound, bound, {"h": "no prototype"}))
    assert found is verdict
    assert said in reason


def test_evidence_counts_what_came_back_on_both_sides() -> None:
    seen, trace = Evidence(), (Call("f"), Call("g"), Call("f"))
    crashed = Run((b'{"ret":1}',), "crash", "SIGSEGV")
    for _ in range(3):
        seen.draw(trace)
        seen.add(trace, trace, crashed, crashed)
    assert seen.returned == Counter(f=3) and seen.reached == Counter(f=3, g=3)
    assert decide(seen, None)[0] is Verdict.UNDECIDED
    assert evidence_text(seen) == (
        "3 of 9 calls returned on both sides; 3 of 3 traces ended in a crash on both sides at "
        "the same call: g (SIGSEGV)"
    )
    assert decide(Evidence(), None)[0] is Verdict.UNDECIDED
