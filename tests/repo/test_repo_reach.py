"""Which changed lines traces come by is told, and looking changes nothing of what is seen."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, Done, UserRepo, cli

from replay.repo.binding import Interface
from replay.repo.bindingfile import parse_binding
from replay.repo.bound import Bound, bind
from replay.repo.calls import Call, is_valid
from replay.repo.drafting import draft
from replay.repo.language import CallLanguage
from replay.repo.lines import ChangedLines, Line, changed_lines, diff_lines
from replay.repo.reach import (
    NoReach,
    Reach,
    bred,
    helper,
    joined,
    places,
    reach_request,
    reached,
)
from replay.repo.resolving import resolve
from replay.repo.runner import Run, Runner, library_head
from replay.repo.shapes import read_shape

OLD = """\
/* A toy. */
int step(int v)
{
    if (v > 90)
        return v - 7;
    return v + 1;
}
int other(int v)
{
    return v;
}
"""
NEW = """\
/* A toy with a comment that is longer. */
int step(int v)
{
    if (v == 1000)
        return v * 2 - 7;
    if (v > 90)
        return v - 8;
    return v + 1;
}
int other(int v)
{
    return v;
}
"""


def built(text: str, folder: Path, *flags: str) -> Path:
    folder.mkdir()
    (folder / "x.c").write_text(text)
    library = folder / "libx.so"
    words = ["cc", "-O0", "-g", "-fPIC", "-shared", *flags, "-o", str(library), "x.c"]
    subprocess.run(words, cwd=folder, check=True, timeout=60)
    return library


def bound_to(library: Path) -> tuple[Interface, Bound]:
    shape = read_shape(library)
    binding = parse_binding(draft(shape, "the library"), "drafted")
    interface = resolve(binding, [shape], lambda rule, at: True)
    return interface, bind(interface, shape, {})


def runs(library: Path, lines: ChangedLines | None, *values: int) -> list[Run]:
    """A trace of one call of ``step`` for each value, with the lines of the new side watched."""
    _, bound = bound_to(library)
    head = library_head(bound, library)
    if lines is not None:
        head |= reach_request(places(lines.new), helper())
    with Runner(head) as runner:
        return [runner.run((Call("step", (value,)),)) for value in values]


def first_of(found: list[Run]) -> dict[int, int]:
    first: dict[int, int] = {}
    for number, run in enumerate(found):
        for place in run.reached:
            first.setdefault(place, number)
    return first


class Pair:
    """Two commits, with their libraries."""

    def __init__(self, place: Path, old: str, new: str, *flags: str) -> None:
        repo = UserRepo(place / "repo")
        repo.commit("old", x_c=old)
        repo.commit("new", x_c=new)
        self.git_dir = repo.path / ".git"
        self.trees = (repo.git("rev-parse", "HEAD~1^{tree}"), repo.git("rev-parse", "HEAD^{tree}"))
        self.libraries = (
            built(old, place / f"tree-{self.trees[0]}", *flags),
            built(new, place / f"tree-{self.trees[1]}", *flags),
        )

    def lines(self) -> ChangedLines:
        return changed_lines(self.git_dir, self.trees, *self.libraries)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("toy"), OLD, NEW)


@pytest.mark.parametrize("flags", [(), ("-gdwarf-4",), ("-gdwarf-2", "-gstrict-dwarf")])
def test_changed_lines_are_found_in_the_libraries(tmp_path: Path, flags: tuple[str, ...]) -> None:
    lines = Pair(tmp_path, OLD, NEW, *flags).lines()
    assert [str(one.line) for one in lines.new] == ["x.c:4", "x.c:5", "x.c:7"]
    assert [str(one.line) for one in lines.old] == ["x.c:5 (removed)"]
    assert {one.functions for one in (*lines.new, *lines.old)} == {("step",)}
    assert lines.without == 2  # the comment, before and after


def test_a_renamed_file_and_lines_that_look_like_a_diff_are_no_trap(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("old", a_c="-- a/b\n" + "x\n" * 20, gone_c="y\n")
    (repo.path / "gone.c").unlink()
    repo.git("mv", "a.c", "sub dir.c")
    (repo.path / "sub dir.c").write_text("++ b/c\n" + "x\n" * 20 + "z")
    repo.commit("new")
    ids = [repo.git("rev-parse", f"{name}^{{tree}}") for name in ("HEAD~1", "HEAD")]
    assert diff_lines(repo.path / ".git", ids[0], ids[1]) == {
        Line("a.c", 1, removed=True), Line("sub dir.c", 1), Line("sub dir.c", 22),
        Line("gone.c", 1, removed=True),
    }  # fmt: skip


def test_lines_that_are_executed_are_told_with_the_first_trace(toy: Pair) -> None:
    lines = toy.lines()
    found = runs(toy.libraries[1], lines, 1, 2, 95, 96)
    reach = reached(lines.new, first_of(found))
    assert {str(line): number for line, number in reach.executed.items()} == {
        "x.c:4": 0, "x.c:7": 2,
    }  # fmt: skip
    assert reach.traces == (0, 2)
    assert reach.text() == "2 of 3 changed lines executed; not: x.c:5"
    whole = joined(lines, reach, Reach(missed=tuple(one.line for one in lines.old)))
    assert whole.text() == "2 of 4 changed lines executed; not: x.c:5, x.c:5 (removed)"


def test_what_is_observed_is_what_is_observed_without(toy: Pair) -> None:
    values = (1, 95, 1000, 95)
    watched, alone = (runs(toy.libraries[1], n, *values) for n in (toy.lines(), None))
    assert watched == alone
    assert [run.reached for run in alone] == [()] * 4


def test_what_lies_below_the_stack_is_as_without(tmp_path: Path) -> None:
    text = """
    __attribute__((noinline)) static int left(void) { volatile int rest[400]; int sum = 0;
        for (int i = 0; i < 400; i++) sum ^= rest[i]; return sum; }
    __attribute__((noinline)) static void fill(int v) { volatile int rest[400];
        for (int i = 0; i < 400; i++) rest[i] = v * i * i; }
    int step(int v)
    {
        fill(v);
        return left() + %d;
    }
    """
    pair = Pair(tmp_path, text % 1, text % 2)
    watched, alone = (runs(pair.libraries[1], n, 3, 4) for n in (pair.lines(), None))
    assert watched[0].reached
    assert watched == alone


TRAPPED = """
#include <signal.h>
#include <stddef.h>
int step(int v)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    v += %d;
    return v;
}
"""


def test_a_library_that_holds_signals_back_is_judged_as_without(tmp_path: Path) -> None:
    pair = Pair(tmp_path, TRAPPED % 1, TRAPPED % 2)
    found = runs(pair.libraries[1], pair.lines(), 5, 6)
    assert [run.record(0) for run in found] == [{"ret": 7}, {"ret": 8}]
    assert "SIGTRAP" in found[0].reach_unknown


def test_a_crash_on_a_changed_line_and_a_trap_of_its_own_are_as_without(tmp_path: Path) -> None:
    text = "int step(int v)\n{\n    if (v == 1)\n        %s\n    return v;\n}\n"
    for number, bad in enumerate(("return *(int *)0;", '__asm__("int3");')):
        place = tmp_path / str(number)
        place.mkdir()
        pair = Pair(place, text % ";", text % bad)
        watched, alone = (runs(pair.libraries[1], n, 0, 1, 0) for n in (pair.lines(), None))
        assert watched == alone
        assert [run.end for run in watched] == ["ok", "crash", "ok"]


def test_without_a_compiler_the_reach_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoReach, match="without a C compiler"):
        helper()
    said = Reach(unknown="without a C compiler").text()
    assert said == "not known which changed lines were executed: without a C compiler"


def test_without_debug_information_the_reach_is_unknown(tmp_path: Path) -> None:
    lines = Pair(tmp_path, OLD, NEW, "-g0").lines()
    assert "debug information" in lines.unknown
    assert "not known" in joined(lines, Reach(), Reach()).text()


def test_once_lines_are_reached_traces_run_as_fast_as_without(toy: Pair) -> None:
    def seconds(lines: ChangedLines | None) -> float:
        began = time.monotonic()
        assert len(runs(toy.libraries[1], lines, *([1, 95, 1000] + [7] * 297))) == 300
        return time.monotonic() - began

    lines = toy.lines()
    seconds(lines)  # compiles the helper
    # Far off what a breakpoint a trace would cost; a busy machine must not fail this.
    assert seconds(lines) < 3 * seconds(None) + 1


def test_a_line_inlined_twice_is_executed_where_either_is(tmp_path: Path) -> None:
    text = """
static inline __attribute__((always_inline)) int clamp(int v)
{
    return v > %d ? 3 : v * v;
}
int step(int v) { return clamp(v) + 1; }
int other(int v) { return clamp(v) + 2; }
"""
    lines = Pair(tmp_path, text % 9, text % 8, "-O2")
    (one,) = lines.lines().new
    assert one.functions == ("other", "step")
    assert places([one]) == list(one.addresses)
    found = runs(lines.libraries[1], lines.lines(), 3)
    assert reached([one], first_of(found)).text() == "1 of 1 changed line executed"


def test_bred_traces_are_valid_and_the_same_each_time(ring: UserRepo, tmp_path: Path) -> None:
    library = tmp_path / "libring.so"
    source = next(iter(sorted(ring.path.rglob("ring.c"))))
    subprocess.run(["cc", "-g", "-fPIC", "-shared", "-o", library, source], check=True, timeout=60)
    interface, _ = bound_to(library)
    language = CallLanguage(interface, 20)
    trace = language.draw(1, 0)
    many = [bred(language, trace, 1, number) for number in range(100)]
    assert many == [bred(language, trace, 1, number) for number in range(100)]
    assert all(is_valid(one, interface) for one in many)
    assert len({tuple(one) for one in many}) > 50


# --- by the command line ----------------------------------------------------------------


def verify(place: Path, sources: list[str], *more: object) -> Done:
    """Verify one commit a source, which are committed where they are not yet."""
    if not (place / "repo").exists():
        repo = UserRepo(place / "repo")
        for number, source in enumerate(sources):
            repo.commit(f"commit {number}", x_c=source)
    return cli(
        "verify", "--repo", place / "repo", "--range", f"main~{len(sources) - 1}..main",
        "--build", MAKE, "--library", "libx.so", "--traces", 40, "--ops", 12, *more,
    )  # fmt: skip


def last(done: Done) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(done.stdout)["commits"][-1]
    return row


def named(lines: list[dict[str, Any]]) -> list[str]:
    return [f"{one['file']}:{one['line']}{'-' if one['removed'] else ''}" for one in lines]


STEP = """\
int step(int v)
{
%s
    return v / 3;
}
"""
PLAIN = STEP % ""
NO_TYPES = """\
format = "replay-binding/1"
[[op]]
function = "step"
returns = "int"
[op.args]
v = { range = [0, 99], type = "int" }
"""


def test_a_line_behind_a_rare_condition_is_named_as_not_executed(tmp_path: Path) -> None:
    rare = "    if (v * 3 == v * v - 918273645)\n        return v * 7;"
    done = verify(tmp_path, [PLAIN, STEP % rare])
    assert done.returncode == 0, done.stdout
    assert "1 of 2 changed lines executed; not: x.c:4" in done.stdout
    row = last(verify(tmp_path, [PLAIN, STEP % rare], "--json"))
    lines = row["evidence"]["changed_lines"]
    assert (row["verdict"], lines["unknown"]) == ("same", None)
    assert named(lines["executed"]) == ["x.c:3"]
    assert named(lines["missed"]) == ["x.c:4"]


HIDDEN = """\
static __attribute__((noinline)) int far(int v)
{
    return v * %s;
}
int step(int v)
{
    return v * 3 == v * v - 918273645 ? far(v) : v;
}
"""


def test_where_no_changed_line_was_executed_nothing_is_decided(tmp_path: Path) -> None:
    done = verify(tmp_path, [HIDDEN % "7", HIDDEN % "9"], "--json")
    row = last(done)
    assert (done.returncode, row["verdict"]) == (4, "not decided")
    assert "no changed line was executed (x.c:3, x.c:3 (removed), in far)" in row["reason"]
    assert "--traces" in row["reason"]


def test_a_commit_that_changes_no_line_with_code_is_not_held_back(tmp_path: Path) -> None:
    text = (
        "static const int table[] = {1, %s};\nint step(int v)\n{\n    return table[v == -7];\n}\n"
    )
    done = verify(tmp_path, [text % 2, text % 3], "--json")
    row = last(done)
    assert row["evidence"]["changed_lines"] == {
        "executed": [], "missed": [], "unknown": None, "bred": 0,
    }  # fmt: skip
    assert "changed line" not in row["reason"]


def test_lines_of_either_side_and_their_traces_do_not_depend_on_jobs(tmp_path: Path) -> None:
    sources = [
        STEP % "    if (v > 50)\n        v = v * 2;",
        STEP % "    if (v > 50)\n        v = v + v;",
        STEP % "    if (v >= 51)\n        v = v + v;",
    ]
    one, two = (verify(tmp_path, sources, "--json", "--jobs", n) for n in (1, 2))
    commits = [json.loads(done.stdout)["commits"] for done in (one, two)]
    found = [[row["evidence"] for row in rows if row["evidence"]] for rows in commits]
    assert found[0] == found[1]
    for evidence in found[0]:
        if not evidence["identical"]:
            assert evidence["changed_lines"]["executed"]
            assert not evidence["changed_lines"]["missed"]


def test_without_debug_information_the_report_says_that_it_is_unknown(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("old", x_c=PLAIN)
    repo.commit("new", x_c=STEP % "    v += 2;\n    v -= v == 918273645 ? 1 : 2;")
    (tmp_path / "b.toml").write_text(NO_TYPES)
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~1..main", "--library", "libx.so",
        "--build", MAKE.replace("-g ", ""), "--binding", tmp_path / "b.toml", "--traces", 20,
    )  # fmt: skip
    assert "not known which changed lines were executed" in " ".join(done.stdout.split())


LOCK = """\
static int state;
static __attribute__((noinline)) int opened(int v)
{
    return v * %s;
}
int turn(int v)
{
    state = v > 50 ? state + 1 : 0;
    return state == NEED ? opened(v) : v;
}
"""


def test_while_changed_lines_are_missing_traces_are_bred_whatever_the_jobs(tmp_path: Path) -> None:
    old = LOCK.replace("NEED", "900")
    sources = [old % "7", old.replace("v > 50", "v >= 51") % "8"]
    one, two = (verify(tmp_path, sources, "--json", "--jobs", n) for n in (1, 2))
    row = last(one)
    assert last(two) == row | {"cached": True}
    lines = row["evidence"]["changed_lines"]
    assert (lines["bred"], row["traces"]) == (10, 50)
    assert named(lines["missed"]) == ["x.c:4", "x.c:4-"]
