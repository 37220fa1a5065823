"""A library is not blamed for what it does not do the same twice; the rest is compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import ASK_ALL
from misbehaving import COMMENT, HEAD, LIBRARIES, MORE, WITH_OUT, compiled, loaded
from userrepo import MAKE, UserRepo, cli

from replay.repo.bindingfile import parse_binding
from replay.repo.campaign import Sampling
from replay.repo.checking import Checker
from replay.repo.judging import judge
from replay.repo.results import Counterexample, PairResult
from replay.search.verdict import Verdict


def compared(libraries: list[Path], binding: str = "") -> PairResult:
    """What is found of two libraries."""
    interface, prepared = loaded(libraries, parse_binding(binding, "here") if binding else None)
    with Checker(2, 1.0) as checker:
        sampling = Sampling(interface, 1, 12, 10)
        return judge(checker, sampling, prepared, 200, lambda done, total, text: None).neighbours[1]


ASKED = [name for place, name in enumerate(LIBRARIES) if ASK_ALL or place % 3 == 0]
"""To compile and compare one takes a second."""
BY_NAME = (
    "address of the heap", "an address in exported data", "an address written",
    "hash of the address of data", "heap of 5000 bytes", "one bit of getrandom",
    "sometimes no object", "the time",
)  # fmt: skip
"""Those that a test below asks for."""


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Each that is asked for as it is, and with a comment and a function that nothing calls."""
    sources = {
        f"{which} {name}": HEAD + (COMMENT + source + MORE if which else source)
        for name, source in LIBRARIES.items()
        if name in ASKED or name in BY_NAME
        for which in (0, 1)
    }
    made = compiled(sources, tmp_path_factory.mktemp("misbehaving"))
    return {name: [made[f"0 {name}"], made[f"1 {name}"]] for name in {*ASKED, *BY_NAME}}


@pytest.mark.parametrize("part", range(4))
def test_no_comment_is_blamed_for_what_a_library_does_not_do_the_same_twice(
    twice: dict[str, list[Path]], part: int
) -> None:
    assert len(LIBRARIES) >= 100
    blamed = {}
    for name in ASKED[part::4]:
        found = compared(twice[name], WITH_OUT if "*out)" in LIBRARIES[name] else "")
        if found.verdict not in (Verdict.SAME, Verdict.UNDECIDED) or found.differing:
            blamed[name] = found
    assert not blamed


def two(folder: Path, old: str, new: str) -> list[Path]:
    made = compiled({"old": HEAD + old, "new": HEAD + new}, folder)
    return [made["old"], made["new"]]


KEY = "unsigned long key(int n) { return (uintptr_t)&anchor + n; } "


def test_the_rest_is_compared_and_what_was_left_out_is_named(tmp_path: Path) -> None:
    old, new = "int f(int n) { return n; }", "int f(int n) { return n + (n == 5); }"
    found = compared(two(tmp_path, KEY + old, KEY + new))
    assert found.verdict is Verdict.UNDECLARED
    assert 0 < found.differing < found.traces
    assert isinstance(found.shown, Counterexample)
    assert [call.op for call in found.shown.trace] == ["f"]
    (note,) = found.notes
    assert note.startswith("what key returns is not the same twice (an address): left out of ")


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("address of the heap", "what f returns is not the same twice (an address)"),
        ("the time", "what f returns is not the same twice (the time)"),
        ("an address written", "what f writes to stdout is not the same twice"),
        ("an address in exported data", "the data kept is not the same twice (an address)"),
        ("heap of 5000 bytes", "what f returns is not the same twice (random, or memory"),
        ("sometimes no object", "whether o_add is called is not the same twice"),
    ],
)
def test_what_is_not_the_same_twice_is_named_with_a_guess_why(
    twice: dict[str, list[Path]], name: str, note: str
) -> None:
    notes = compared(twice[name]).notes
    assert any(one.startswith(note) for one in notes), notes


@pytest.mark.parametrize(
    "name", ["the time", "hash of the address of data", "one bit of getrandom"]
)
def test_a_function_of_which_only_noise_is_seen_is_not_observed(
    twice: dict[str, list[Path]], name: str
) -> None:
    found = compared(twice[name])
    assert (found.verdict, found.unseen) == (Verdict.UNDECIDED, ("f",))


def test_noise_in_one_thing_leaves_a_function_observed_by_another(
    twice: dict[str, list[Path]],
) -> None:
    found = compared(twice["an address in exported data"])
    assert (found.verdict, found.unseen) == (Verdict.SAME, ())


def test_a_difference_that_stands_is_not_taken_for_noise(tmp_path: Path) -> None:
    # Deterministic though it looks random, and another constant in it.
    source = "int f(int n) {{ static unsigned s = {}; s = s * 1103515245u + n; return s >> 16; }}"
    found = compared(two(tmp_path, source.format(7), source.format(8)))
    assert (found.verdict, found.notes) == (Verdict.UNDECLARED, ())


def test_a_search_is_not_misled_by_what_is_not_the_same_twice(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    body = "unsigned long kept; int f(int n) {{ kept = (uintptr_t)&anchor; return n + {}; }}"
    for number, more in enumerate((0, 0, 0, 0, 1, 1)):
        repo.commit(f"commit {number}", x_c=HEAD + f"/* {number} */\n" + body.format(more))
    out = cli(
        "verify", "--repo", repo.path, "--range", "HEAD~5..HEAD", "--build", MAKE, "--library",
        "libx.so", "--bisect", "--traces", 10, "--save", tmp_path / "ce",
    )  # fmt: skip
    assert out.returncode == 1
    assert "first guilty: " in out.stdout
    assert out.stdout.rstrip().endswith("commit 4")
