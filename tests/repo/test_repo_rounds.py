"""How hard `verify` looks, and what it makes use of that earlier runs found."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, Done, UserRepo, cli

from replay.repo.agreeing import CALLED, RECORDED, agree, to_record
from replay.repo.bindingfile import parse_binding
from replay.repo.calls import Call
from replay.repo.campaign import CallCampaign
from replay.repo.drafting import draft
from replay.repo.driver.run import Digest
from replay.repo.language import CallLanguage
from replay.repo.mining import mine
from replay.repo.resolving import resolve
from replay.repo.shapes import read_shape


def repository(tmp_path: Path, sources: Sequence[str]) -> UserRepo:
    """A commit a source; later calls add to it."""
    path = tmp_path / "repo"
    repo = UserRepo(path)
    for number, source in enumerate(sources):
        repo.commit(f"commit {number}", x_c=source)
    return repo


def verify(repo: UserRepo, span: str, *more: object) -> Done:
    return cli(
        "verify", "--repo", repo.path, "--range", span, "--build", MAKE,
        "--library", "libx.so", "--save", repo.path.parent / "saved", *more,
    )  # fmt: skip


def told(done: Done) -> dict[str, Any]:
    assert not done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


PLAIN = "int f(int n) { %s; }\n"
ONE, SAME, AGAIN = (
    PLAIN % one for one in (
        "return n + 1", "volatile int k = 1; return n + k", "volatile int k = 2; return n + k - 1",
    )
)  # fmt: skip
TWO = PLAIN % "return n + 2"


def test_where_all_is_reached_one_round_more_is_run(tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, SAME])
    row = told(verify(repo, "main~1..main", "--json"))["commits"][1]
    assert (row["verdict"], row["traces"]) == ("same", 400)


RARE = """static volatile unsigned wanted = %du;
unsigned f(unsigned n) { if (n == wanted) return %s; return 0; }
"""


def test_rounds_go_on_as_long_as_they_reach_something_new(tmp_path: Path) -> None:
    """What no trace of the first round reached, but one of the second, has a third follow."""
    texts = ("n | 1", "n % 2 ? n : n + 1")
    libraries = [tmp_path / f"lib{number}.so" for number in range(2)]
    for library, text in zip(libraries, texts, strict=True):
        library.with_suffix(".c").write_text(RARE % (0, text))
        words = ["cc", "-O1", "-g", "-fPIC", "-shared", "-o", library, library.with_suffix(".c")]
        subprocess.run(words, check=True)
    shape = read_shape(libraries[0])
    drawn = resolve(parse_binding(draft(shape, "x"), "here"), [shape], lambda *_: False)
    language = CallLanguage(replace(drawn, mined=mine(libraries)))
    first, second = (
        {call.values[0] for number in numbers for call in language.draw(1, number)}
        for numbers in (range(200), range(200, 400))
    )
    late = min(second - first)
    repo = repository(tmp_path, [RARE % (late, text) for text in texts])
    row = told(verify(repo, "main~1..main", "--json"))["commits"][1]
    assert row["traces"] == 800 + 50  # and those drawn from what is compared
    assert 2 in [line["line"] for line in row["evidence"]["changed_lines"]["executed"]]


def test_traces_are_exactly_as_many_as_asked_for(tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, SAME])
    found = told(verify(repo, "main~1..main", "--json", "--traces", 30))
    assert (found["traces"], found["commits"][1]["traces"]) == (30, 30)


def test_with_a_time_it_goes_on_and_says_that_it_cannot_be_repeated(tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, SAME])
    found = told(verify(repo, "main~1..main", "--json", "--for", "3s"))
    assert found["commits"][1]["traces"] > 400
    assert any("--for" in note and "another run" in note for note in found["notes"])
    again = told(verify(repo, "main~1..main", "--json", "--for", "1s"))
    assert not any("--fresh" in note for note in again["notes"])


@pytest.mark.parametrize("text", ["0s", "ten", "1d", "-1s", ""])
def test_a_time_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, TWO])
    done = verify(repo, "main~1..main", "--for", text)
    assert done.returncode == 2 and "write a time as in 10s" in done.stderr


def test_traces_and_a_time_exclude_each_other(tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, TWO])
    done = verify(repo, "main~1..main", "--for", "1s", "--traces", 3)
    assert done.returncode == 2 and "--traces is exact" in done.stderr


# --- what is remembered -----------------------------------------------------------------


def test_a_second_run_gives_the_verdicts_of_the_first_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = repository(tmp_path, [ONE, SAME, TWO, ONE])
    first = told(verify(repo, "main~3..main", "--json"))
    monkeypatch.setattr(CallCampaign, "look", None)
    second = told(verify(repo, "main~3..main", "--json"))
    (note,) = set(second["notes"]) - set(first["notes"]) - {_cached(second)}
    assert note.startswith("3 of 3 verdicts are those of an earlier run")
    for one in (first, second):
        one.pop("notes")
        for row in one["commits"]:
            row.pop("cached", None)
    assert first == second


def _cached(found: dict[str, Any]) -> str:
    return next((note for note in found["notes"] if "cache of builds" in note), "")


def test_fresh_judges_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = repository(tmp_path, [ONE, TWO])
    verify(repo, "main~1..main", "--json")
    looks = []
    look = CallCampaign.look
    monkeypatch.setattr(CallCampaign, "look", lambda *given: looks.append(1) or look(*given))
    verify(repo, "main~1..main")
    assert not looks
    verify(repo, "main~1..main", "--fresh")
    assert looks


@pytest.mark.parametrize("more", [("--seed", 2), ("--traces", 50), ("--ops", 7), ("--budget", 3)])
def test_another_question_is_judged_anew(more: tuple[object, ...], tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, SAME])
    verify(repo, "main~1..main", "--json")
    found = told(verify(repo, "main~1..main", "--json", *more))
    assert not any("earlier run" in note for note in found["notes"])


def test_only_what_changed_is_judged_anew_when_a_range_grows(tmp_path: Path) -> None:
    repo = repository(tmp_path, [ONE, SAME])
    verify(repo, "main~1..main", "--json")
    repo.commit("one more", x_c=AGAIN)
    found = told(verify(repo, "main~2..main", "--json"))
    assert [row["verdict"] for row in found["commits"]] == ["base", "same", "same"]


def test_a_crash_is_never_remembered(tmp_path: Path) -> None:
    crash = "#include <stdlib.h>\nint f(int n) { %s return n; }\n"
    repo = repository(tmp_path, [crash % "", crash % "if (n > 3) abort();"])
    for _ in range(2):
        found = told(verify(repo, "main~1..main", "--json", "--traces", 20))
        assert found["commits"][1]["verdict"] == "crash"
        assert not any("earlier run" in note for note in found["notes"])


# --- what is kept -----------------------------------------------------------------------

FAR = "int f(int n) { return n == 48673 ? 1 : 0; }\n"
NEAR = "int f(int n) { return n %s ? 0 : 0; }\n"


def test_a_trace_that_once_showed_a_difference_is_run_first_the_next_time(tmp_path: Path) -> None:
    repo = repository(tmp_path, [FAR, FAR.replace("1 :", "2 :")])
    found = told(verify(repo, "main~1..main", "--json"))
    assert found["commits"][1]["example"]["text"] == ["f(n=48673)"]
    # The same fault comes back, and a single random trace does not show it.
    repo.commit("again", x_c=FAR)
    few = ("--json", "--traces", 1, "--ops", 1)
    alone = told(verify(repo, "main~1..main", *few, "--fresh"))["commits"][1]
    assert alone["verdict"] != "undeclared difference"
    row = told(verify(repo, "main~1..main", *few))["commits"][1]
    assert (row["verdict"], row["example"]["text"]) == ("undeclared difference", ["f(n=48673)"])


# --- which traces are recorded ----------------------------------------------------------


def digest(value: int, end: str = "ok") -> Digest:
    return Digest(value, 1, 1, end, 1)


def test_two_digests_agree_only_where_both_came_to_the_same_end() -> None:
    assert agree(digest(5), digest(5))
    assert not agree(digest(5), digest(6))
    assert not agree(None, digest(5)) and not agree(digest(5), None)
    assert not agree(digest(5, "crash"), digest(5, "crash"))


def test_of_each_function_some_traces_are_recorded_however_late_it_is_called() -> None:
    common, rare = (Call("f", (), 0),), (Call("g", (), 0),)
    traces = {number: rare if number >= 150 else common for number in range(200)}
    chosen = to_record(range(200), traces)
    assert chosen >= set(range(RECORDED))
    assert len([number for number in chosen if traces[number] is rare]) == CALLED
    assert chosen == to_record(range(200), traces)


# --- what a library leaves or takes along -----------------------------------------------


def test_a_child_that_a_library_leaves_running_neither_hangs_nor_stays(tmp_path: Path) -> None:
    source = "#include <unistd.h>\nint f(int x) { if (fork() == 0) for (;;) pause(); return %s; }\n"
    repo = repository(tmp_path, [source % "x", source % "x + (x == 3)"])
    row = told(verify(repo, "main~1..main", "--json", "--traces", 20, "--ops", 5))["commits"][1]
    assert (row["verdict"], row["example"]["text"]) == ("undeclared difference", ["f(x=3)"])
    # Only what this test's process built: others may run beside it.
    left = [one for one in Path("/proc").glob("[0-9]*/maps") if _maps(one, f"{tmp_path.parent}/")]
    assert not left


def _maps(path: Path, *names: str) -> bool:
    try:
        text = path.read_text()
    except OSError:
        return False
    return any(name in text for name in names)


def test_a_library_that_kills_its_parent_is_a_finding_and_ends_no_run(tmp_path: Path) -> None:
    source = """#include <signal.h>
#include <unistd.h>
int f(int x) { %s return x; }
"""
    kill = "if (x == 4) kill(getppid(), 9);"
    repo = repository(tmp_path, [source % "", source % kill])
    done = verify(repo, "main~1..main", "--json", "--traces", 10, "--ops", 6, "--budget", 8)
    row = told(done)["commits"][1]
    assert (done.returncode, row["verdict"]) == (1, "crash")
    assert "ended the process that had called it" in json.dumps(row["example"])
