"""Crashes, hangs, renamed functions, every role of a parameter: each gets a right verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, Done, UserRepo, cli

HEAD = 'format = "replay-binding/1"\n'


def run(
    tmp_path: Path, sources: list[str], binding: str = "", *more: object, build: str = MAKE
) -> tuple[list[dict[str, Any]], Done]:
    """Verify one commit a source; gives its rows."""
    repo = UserRepo(tmp_path / "repo")
    for number, source in enumerate(sources):
        repo.commit(f"commit {number}", x_c=source)
    words: list[object] = []
    if binding:
        (tmp_path / "binding.toml").write_text(HEAD + binding)
        words = ["--binding", tmp_path / "binding.toml"]
    span = f"main~{len(sources) - 1}..main"
    done = cli(
        "verify", "--repo", repo.path, "--range", span, "--build", build, "--library", "libx.so",
        "--traces", 30, "--ops", 12, "--json", *words, *more,
    )  # fmt: skip
    return (json.loads(done.stdout)["commits"] if done.stdout else []), done


OP = '[[op]]\nfunction = "f"\n[op.args]\nn = { range = [0, 9] }\n'


def test_a_crash_is_a_verdict_with_the_call_that_crashes(tmp_path: Path) -> None:
    rows, done = run(
        tmp_path,
        ["int f(int n) { return n; }", "int f(int n) { return n == 7 ? *(int *)0 : n; }"],
        OP,
    )
    assert done.returncode == 1
    assert rows[1]["verdict"] == "crash"
    assert rows[1]["example"]["text"] == ["f(n=7)"]
    assert rows[1]["example"]["differs"] == [["crash", "it returned", "SIGSEGV"]]


def test_a_hang_is_a_verdict_in_the_time_it_was_given(tmp_path: Path) -> None:
    rows, _ = run(
        tmp_path,
        ["int f(int n) { return n; }", "int f(int n) { while (n == 5) ; return n; }"],
        OP, "--call-timeout", 0.3, "--budget", 40,
    )  # fmt: skip
    assert rows[1]["verdict"] == "hang"
    assert rows[1]["example"]["text"] == ["f(n=5)"]


def test_a_sleeping_call_and_a_process_that_ends_itself_are_told(tmp_path: Path) -> None:
    rows, _ = run(
        tmp_path,
        ["int f(int n) { return n; }",
         "#include <stdlib.h>\nint f(int n) { if (n > 3) exit(9); return n; }"],
        OP,
    )  # fmt: skip
    assert rows[1]["verdict"] == "crash"
    assert rows[1]["example"]["text"] == ["f(n=4)"]
    assert rows[1]["example"]["differs"][0][2] == "it ended the process with status 9"


def test_a_sanitizer_report_is_a_crash_with_its_words(tmp_path: Path) -> None:
    source = "static int a[4]; int f(int n) { return a[n & %d]; }"
    rows, done = run(
        tmp_path, [source % 3, source % 7], OP,
        build=MAKE.replace("-O1", "-O1 -fsanitize=address,undefined"),
    )  # fmt: skip
    assert done.stderr == ""
    assert [row["verdict"] for row in rows] == ["base", "crash"]
    assert rows[1]["example"]["text"] == ["f(n=4)"]
    assert "out of bounds" in rows[1]["example"]["differs"][0][2] or "overflow" in str(rows[1])


def test_a_crash_that_was_there_before_is_the_same(tmp_path: Path) -> None:
    source = "int f(int n) { return n == 7 ? *(int *)0 : n; }"
    rows, done = run(tmp_path, [source, source + "\n"], OP)
    assert (done.returncode, rows[1]["verdict"]) == (0, "same")


def test_global_state_starts_anew_with_each_trace(tmp_path: Path) -> None:
    source = "static int sum; int f(int n) { return sum += n; }"
    wrong = "static int sum; int f(int n) { sum += n; return sum > 20 ? 20 : sum; }"
    rows, _ = run(tmp_path, [source, wrong], OP)
    assert rows[1]["verdict"] == "undeclared difference"
    total = sum(call["args"]["n"] for call in rows[1]["example"]["trace"])
    assert (len(rows[1]["example"]["trace"]), total) == (3, 21)


def test_what_shows_only_what_is_not_deterministic_is_not_decided(tmp_path: Path) -> None:
    source = "#include <time.h>\nint f(int n) {{ struct timespec t; "
    source += "clock_gettime(CLOCK_MONOTONIC, &t); {} return t.tv_nsec + n; }}"
    rows, _ = run(tmp_path, [source.format(""), source.format("volatile int unused = n;")], OP)
    assert rows[1]["verdict"] == "not decided"
    assert rows[1]["reason"] == "nothing is observed of f"


def test_a_renamed_function_is_mapped_for_a_range_of_commits(tmp_path: Path) -> None:
    sources = [
        "int f(int n) { return n; }",
        "int g(int n) { return n; }",
        "int h(int flags, int n) { return n + flags; }",
    ]
    rows, _ = run(tmp_path, sources, OP)
    assert [row["verdict"] for row in rows] == ["base", "cannot be judged", "cannot be judged"]
    assert "calls f, which the library does not export" in rows[1]["reason"]
    maps = """
[[map]]
commits = "main~2..main~1"
op = "f"
function = "g"
[[map]]
commits = "main"
op = "f"
function = "h"
args = [0, "n"]
"""
    (tmp_path / "two").mkdir()
    rows, done = run(tmp_path / "two", sources, OP + maps)
    assert [row["verdict"] for row in rows] == ["base", "same", "same"], done
    names = OP.replace('"f"', '["f", "g"]')
    (tmp_path / "three").mkdir()
    rows, _ = run(tmp_path / "three", sources, names)
    assert [row["verdict"] for row in rows] == ["base", "same", "cannot be judged"]


def test_a_function_that_goes_is_left_out_and_the_rest_is_compared_from_then_on(
    tmp_path: Path,
) -> None:
    f, g = "int f(int n) { return n; }\n", "int g(int n) { return n; }\n"
    sources = [f + g, f, f + "int unused;\n", f.replace("n;", "-n;")]
    rows, done = run(tmp_path, sources, OP + OP.replace('"f"', '"g"'))
    assert done.returncode == 1
    assert [row["verdict"] for row in rows] == [
        "base", "not decided", "same", "undeclared difference",
    ]  # fmt: skip
    assert "gone, and not compared: g" in rows[1]["reason"] and "[[map]]" in rows[1]["reason"]
    assert "without g, not there yet or gone" in " ".join(rows[1]["notes"])
    assert rows[3]["example"]["text"] == ["f(n=1)"]


def test_a_map_that_names_what_is_not_there_stops_a_commit(tmp_path: Path) -> None:
    f, g = "int f(int n) { return n; }\n", "int g(int n) { return n; }\n"
    rule = '[[map]]\ncommits = "main"\nop = "g"\nfunction = "nowhere"\n'
    rows, _ = run(tmp_path, [f + g, f], OP + OP.replace('"f"', '"g"') + rule)
    assert rows[1]["verdict"] == "cannot be judged" and "calls nowhere or g" in rows[1]["reason"]


def test_changed_arguments_without_a_map_cannot_be_judged(tmp_path: Path) -> None:
    sources = ["int f(int n) { return n; }", "int f(int n, int m) { return n + m; }"]
    rows, _ = run(tmp_path, sources, OP)
    assert "gives 1 arguments, and here it is int f(int n, int m)" in rows[1]["reason"]


def test_an_optional_function_is_compared_where_both_have_it(tmp_path: Path) -> None:
    one = "int f(int n) { return n; }\n"
    sources = [one, one + "int g(int n) { return n; }", one + "int g(int n) { return -n; }"]
    rows, _ = run(tmp_path, sources, OP + OP.replace('"f"', '"g"\noptional = true'))
    assert [row["verdict"] for row in rows] == ["base", "same", "undeclared difference"]
    assert "without g" in rows[0]["notes"][0]
    assert rows[2]["example"]["text"] == ["g(n=1)"]


ROLES = """
#include <stddef.h>
#include <string.h>
#include <stdlib.h>
#include <stdbool.h>
enum color { RED, GREEN = 4 };
struct box { int seen; };
struct jar { int seen; char pad[%d]; };
struct box *box_open(enum color c) { struct box *b = calloc(1, sizeof *b); b->seen = c; return b; }
int box_make(struct box **out, bool yes)
{ *out = yes ? calloc(1, sizeof **out) : NULL; return yes; }
void box_close(struct box *b) { free(b); }
size_t box_text(struct box *b, const char *text) { b->seen += strlen(text); return b->seen; }
void box_flip(unsigned char *data, size_t n) { for (size_t i = 0; i < n; i++) data[i] ^= 1; }
long box_sum(const unsigned char *data, size_t len)
{ long s = 0; while (len) s += data[--len]; return s; }
void box_half(struct box *b, double x, int *whole) { *whole = x + b->seen; }
const char *box_name(enum color c, void (*hook)(int)) { (void)hook; return c ? "green" : "red"; }
size_t box_fill(char *data, size_t n) { memset(data, 'x', n); if (n %s 3) data[n] = 'y'; return n; }
void jar_init(struct jar *j) { memset(j, 0, sizeof *j); }
int jar_add(struct jar *j, short n) { return j->seen += n; }
int box_seen(const struct box *b) { return b->seen; }
"""
ROLES_BINDING = """
[[op]]
function = "box_open"
[[op]]
function = "box_make"
[op.args]
out = { makes = "box" }
[[op]]
function = "box_close"
[[op]]
function = "box_text"
[op.args]
text = { string = [0, 4], alphabet = "xyz" }
[[op]]
function = "box_flip"
[op.args]
data = { inout = [0, 4] }
n = { length_of = "data" }
[[op]]
function = "box_sum"
[[op]]
function = "box_half"
[op.args]
x = { choices = [0.5, 2] }
[[op]]
function = "box_name"
[[op]]
function = "box_fill"
[op.args]
n = { range = [0, 4] }
[[op]]
function = "jar_init"
[[op]]
function = "jar_add"
requires = "box"
[[observe]]
function = "box_seen"
"""


def test_every_role_is_passed_and_observed(tmp_path: Path) -> None:
    same = [ROLES % (4, "> 9 && n =="), ROLES % (400, "> 9 && n ==") + "\n"]
    rows, done = run(tmp_path, same, ROLES_BINDING)
    assert (done.returncode, done.stderr) == (0, ""), rows[1]["reason"]
    assert len(json.loads(done.stdout)["calls"]) == 11


def test_a_write_past_the_end_of_a_buffer_is_seen(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, [ROLES % (4, "> 9 && n =="), ROLES % (4, "==")], ROLES_BINDING)
    assert rows[1]["example"]["text"] == ["box_fill(n=3)"]
    assert rows[1]["example"]["differs"][0][2] == "787878 and past its end"


def test_a_drafted_binding_parses_and_is_used_when_none_is_given(tmp_path: Path) -> None:
    rows, done = run(tmp_path, [ROLES % (4, "> 9 && n =="), ROLES % (4, "==")])
    assert done.stderr == ""
    assert rows[1]["verdict"] == "undeclared difference"
    assert rows[1]["example"]["text"] == ["box_fill(n=3)"]


def test_without_debug_information_types_are_asked_for(tmp_path: Path) -> None:
    sources = ["long f(int n) { return -n; }", "long f(int n) { return n; }"]
    build = MAKE.replace("-g ", "")
    _, done = run(tmp_path, sources, OP, build=build)
    assert done.returncode == 2
    assert "build it with -g, or add type" in done.stderr
    (tmp_path / "two").mkdir()
    typed = OP.replace("[op.args]", 'returns = "long"\n[op.args]').replace(
        "] }", '], type = "int" }'
    )
    rows, done = run(tmp_path / "two", sources, typed, build=build)
    assert rows[1]["example"]["differs"] == [["returns", -1, 1]], done
    assert "its calls are unchecked" in rows[1]["notes"][0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "the file is empty"),
        ('{"format": "x"}\n', 'the first line must be the header {"format": "replay-calls/1"'),
        ('{"call": "g", "args": {}}\n', "no operation 'g'"),
        ('{"call": "f", "args": {"m": 1}}\n', "f has no 'm'; known are n"),
        ('{"call": "f", "args": {"n": 10}}\n', "the binding says 0 to 9"),
        ('{"call": "f", "args": {"n": 1}, "makes": 1}\n', "it makes nothing"),
        ('{"call": "f"\n', "not JSON"),
    ],
)
def test_a_trace_file_that_does_not_fit_is_an_error_with_its_line(
    lines: str, said: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    header = '{"format": "replay-calls/1", "name": "x"}\n'
    trace.write_text(header + lines if "call" in lines else lines)
    source = "int f(int n) { return n; }"
    _, done = run(tmp_path, [source, source + "\n"], OP, "--trace", trace)
    assert done.returncode == 2
    assert said in done.stderr


MERGES = """
#include <stdlib.h>
typedef struct box { int n; } box;
box *box_new(int n) { box *b = malloc(sizeof *b); b->n = n; return b; }
void box_free(box *b) { free(b); }
void box_merge(box *to, const box *from) { %s to->n = (to->n + from->n) & 63; }
int box_get(box *b) { return b->n; }
"""
MERGING = """
[[op]]
function = "box_new"
args = { n = { range = [0, 9] } }
[[op]]
function = "box_free"
[[op]]
function = "box_merge"
args = { from = { handle = "box" } }
[[op]]
function = "box_get"
"""


def test_a_call_that_is_given_one_object_twice_and_crashes_is_left_out(tmp_path: Path) -> None:
    source = MERGES % "if (to == from) *(volatile int *)8 = 1;"
    other = source.replace("return b->n;", "return b->n == 63 ? 0 : b->n;")
    rows, _ = run(tmp_path, [source, source.replace("& 63", "% 64"), other], MERGING)
    same = rows[1]["evidence"]
    assert rows[1]["verdict"] == "same"
    assert same["functions"]["box_merge"]["left_out"] > 0
    assert same["functions"]["box_merge"]["returned"] > 0
    # What comes behind such a call is compared.
    assert same["stopped"] == []
    assert same["functions"]["box_get"]["returned"] == same["functions"]["box_get"]["generated"]
    (tmp_path / "gone").mkdir()
    rows, _ = run(tmp_path / "gone", [source, MERGES % ""], MERGING)
    assert rows[1]["verdict"] == "undeclared difference"  # a crash that goes is told
    assert rows[1]["example"]["differs"][0][0] == "crash"
