"""Which changed lines traces come by is told, and looking changes nothing of what is seen."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from userrepo import UserRepo

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
        head |= reach_request(lines.new, helper())
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
