"""What a call changes beside its results is seen: data, output, errno, memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from misbehaving import HEAD, MORE, compiled, loaded

from replay.repo.binding import Binding
from replay.repo.bindingfile import parse_binding
from replay.repo.calls import Call
from replay.repo.campaign import Sampling
from replay.repo.checking import Checker
from replay.repo.errors import BindingError
from replay.repo.judging import judge
from replay.repo.results import Counterexample, PairResult
from replay.repo.runner import Run
from replay.repo.shapes import read_shape
from replay.repo.showing import value_text
from replay.search.verdict import Verdict


def run(folder: Path, source: str, *calls: Call, binding: Binding | None = None) -> Run:
    """One trace on one library."""
    library = compiled({"it": HEAD + source}, folder)["it"]
    _, (prepared,) = loaded([library], binding)
    assert prepared.target is not None
    with prepared.target.open(1.0) as runner:
        return runner.run(calls)


def records(folder: Path, source: str, *calls: Call, binding: Binding | None = None) -> list[Any]:
    ran = run(folder, source, *calls, binding=binding)
    assert ran.end == "ok", ran
    return [json.loads(line) for line in ran.records]


def compared(folder: Path, old: str, new: str) -> PairResult:
    made = compiled({"old": HEAD + old, "new": HEAD + new}, folder)
    interface, prepared = loaded([made["old"], made["new"]])
    with Checker(1, 1.0) as checker:
        sampling = Sampling(interface, 1, 5, 8)
        return judge(checker, sampling, prepared, 100, lambda done, total, text: None).neighbours[1]


def f(number: int) -> Call:
    return Call("f", (number,))


DATA = """
enum way { LEFT, RIGHT };
struct part { short small; double real; enum way way; char *text; char name[8]; };
int total = 5; struct part parts[2]; const int limit = 9; static int hidden;
union { int i; float f; } either; struct { unsigned low : 3, high : 5; } bits;
void f(int n) {
  hidden += n; total += n; if (n > 1) { parts[1].small = n; parts[1].real = n / 4.0;
  parts[1].way = RIGHT; parts[1].text = "x"; strcpy(parts[1].name, "abc"); }
  if (n > 2) { either.i = 258; bits.high = 3; }
}
"""


def test_what_a_call_changes_in_exported_data_is_seen_member_by_member(tmp_path: Path) -> None:
    first, second, third, last = records(tmp_path, DATA, f(1), f(0), f(2), f(3))
    assert first == {"ret": None, "start": {"limit": 9, "total": 5}, "data": {"total": 6}}
    assert second == {"ret": None}
    assert third["data"] == {
        "total": 8, "parts[1].small": 2, "parts[1].real": "0.5", "parts[1].way": 1,
        "parts[1].text": "not NULL", "parts[1].name": "abc",
    }  # fmt: skip
    # A pointer that points elsewhere says nothing; a union and bit-fields are bytes.
    assert last["data"] == {
        "total": 11, "parts[1].small": 3, "parts[1].real": "0.75",
        "either+0x0": "02010000", "bits.low+0x0": "18",
    }  # fmt: skip


def test_data_without_a_known_type_is_seen_as_bytes(tmp_path: Path) -> None:
    source = "int total; void f(int n) {{ total += n; }} {}"
    library = compiled({"it": HEAD + source.format("")}, tmp_path)["it"]
    (known,) = read_shape(library).data
    assert (known.typed, known.leaves) == (True, (("", 0, "i4", 1),))
    bare = 'asm(".globl raw\\n.data\\n.type raw, @object\\n.size raw, 4\\nraw: .long 0\\n.text"); '
    bare += "extern int raw; void f(int n) { raw += n; }"
    (record,) = records(tmp_path, bare, f(3))
    assert record["data"] == {"raw+0x0": "03000000"}


def test_a_table_that_changes_as_a_whole_is_a_digest(tmp_path: Path) -> None:
    source = "int t[100]; void f(int n) { for (int i = 0; i < 100; i++) t[i] = n; }"
    (record,) = records(tmp_path, source, f(3))
    assert list(record["data"]) == ["t"]
    assert record["data"]["t"].startswith("100 values changed, sha256 ")


def test_data_that_only_one_library_exports_is_not_compared(tmp_path: Path) -> None:
    old = "int sum; int f(int n) { return sum += n; }"
    new = "int sum, calls; int f(int n) { calls++; return sum += n; }"
    found = compared(tmp_path, old, new)
    assert (found.verdict, found.differing, found.unseen) == (Verdict.SAME, 0, ())


def test_a_constant_that_is_exported_is_compared(tmp_path: Path) -> None:
    source = "const int limit = {}; int f(int n) {{ return n; }}"
    found = compared(tmp_path, source.format(3), source.format(4))
    assert isinstance(found.shown, Counterexample)
    assert found.shown.divergence.fields == (("limit", 3, 4),)


SAYS = 'void f(int n) { printf("out %d", n); if (n > 1) fputs("err\\n", stderr); }'


def test_what_a_call_writes_is_seen(tmp_path: Path) -> None:
    first, second = records(tmp_path, SAYS, f(1), f(2))
    assert first["said"] == {"stdout": "out 1"}
    assert second["said"] == {"stdout": "out 2", "stderr": "err\n"}


def test_another_output_is_a_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, SAYS, SAYS.replace("out", "put"))
    assert isinstance(found.shown, Counterexample)
    ((what, old, new),) = found.shown.divergence.fields
    assert (what, old[:3], new[:3]) == ("stdout", "out", "put")


def test_much_output_is_its_start_and_a_digest(tmp_path: Path) -> None:
    source = 'void f(int n) { for (int i = 0; i < 5000; i++) putchar("abc"[i == n]); }'
    first, second = records(tmp_path, source, f(0), f(4500))
    said = [record["said"]["stdout"] for record in (first, second)]
    assert [len(text) < 4200 for text in said] == [True, True]
    assert said[0][1:4096] == said[1][1:4096]
    assert " … and 904 bytes more, sha256 " in said[1]
    assert said[0] != said[1]


@pytest.mark.parametrize(
    "trick",
    [
        "close(1); close(2);",
        'freopen("/dev/null", "w", stdout);',
        'dup2(open("/dev/null", 2), 1); dup2(1, 2);',
        "ftruncate(1, 0); lseek(1, 0, 0);",
    ],
)
def test_a_library_that_closes_or_redirects_its_output_is_followed(
    tmp_path: Path, trick: str
) -> None:
    source = f"#include <fcntl.h>\nint f(int n) {{ if (n == 1) {{ {trick} }} "
    source += 'puts("x"); return n; }'
    first, *rest = records(tmp_path, source, f(0), f(1), f(2))
    assert first["said"] == {"stdout": "x\n"}
    assert [record["ret"] for record in rest] == [1, 2]


def test_a_thread_that_writes_is_heard(tmp_path: Path) -> None:
    source = 'static void *run(void *a) { write(1, "late", 4); return a; } '
    source += "void f(int n) { pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0); }"
    (record,) = records(tmp_path, source, f(0))
    assert record["said"] == {"stdout": "late"}


def test_a_failed_assertion_is_shown_after_much_was_written(tmp_path: Path) -> None:
    source = "#include <assert.h>\nvoid f(int n) { for (int i = 0; i < 9999; i++) "
    source += 'fputs("noise\\n", stderr); assert(n < 2); }'
    ran = run(tmp_path, source, f(1), f(2))
    assert (ran.end, len(ran.records)) == ("crash", 1)
    assert "n < 2" in ran.detail


BOX = """
struct box { int n; char *text; int more; };
struct box *box_new(void) { struct box *b = calloc(1, sizeof *b); b->text = strdup("x"); return b; }
void box_add(struct box *b, int n) { b->n += n; errno = n; }
void box_free(struct box *b) { free(b); }
"""
BINDING = """
format = "replay-binding/1"
[library]
errno = true
behind = { box = 24 }
[[op]]
function = "box_new"
[[op]]
function = "box_add"
[op.args]
n = { range = [0, 9] }
[[op]]
function = "box_free"
"""


def test_errno_and_the_memory_behind_a_handle_are_seen_on_request(tmp_path: Path) -> None:
    calls = (Call("box_new", (), 1), Call("box_add", (1, 3)), Call("box_add", (1, 0)))
    new, add, none = records(tmp_path, BOX, *calls, binding=parse_binding(BINDING, "here"))
    zero, pointer = "00000000", "*" * 16
    assert new["behind"] == {"box1": zero * 2 + pointer + zero * 2}
    assert (add["errno"], none["errno"]) == (3, 0)
    assert add["behind"] == {"box1": "03000000" + zero + pointer + zero * 2}
    assert "behind" not in none


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("errno = true", "errno = 1", "library.errno"),
        ("box = 24", "box = 0", "library.behind.box"),
        ("{ box = 24 }", "24", "library.behind"),
    ],
)
def test_a_wrong_request_is_an_error_that_names_its_place(old: str, new: str, place: str) -> None:
    with pytest.raises(BindingError, match=place):
        parse_binding(BINDING.replace(old, new), "here")


@pytest.mark.parametrize(
    ("source", "unseen"),
    [
        ("static int s; void f(int n) { s += n; } int g(int n) { return n; }", ("f",)),
        ("static int s; void f(int n) { s += n; } int g(int n) { return s + n; }", ()),
        ("int s; void f(int n) { s += n; } int g(int n) { return n; }", ()),
        ('void f(int n) { if (n & 1) puts("odd"); } int g(int n) { return n; }', ()),
        ("int s; void f(int n) { } int g(int n) { return n; }", ("f",)),
    ],
)
def test_a_function_of_which_nothing_is_observed_is_told(
    tmp_path: Path, source: str, unseen: tuple[str, ...]
) -> None:
    found = compared(tmp_path, source, f"/* a\n comment */\n{source}\n{MORE}")
    assert (found.verdict, found.unseen) == (Verdict.SAME, unseen)


def test_what_was_seen_is_shown_in_words() -> None:
    assert value_text({"stdout": "a\n", "n": 1}) == "stdout a\\n, n 1"
    assert value_text("") == "an empty text"
