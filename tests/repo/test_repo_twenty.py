"""A history of 20 commits: every verdict is right, says what it rests on, and fits its code."""

from __future__ import annotations

import json

import pytest
from twenty import BUILD, CHANGES, twenty
from userrepo import UserRepo, cli


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return twenty(tmp_path_factory.mktemp("accounts") / "repo")


def test_each_of_the_20_commits_gets_the_verdict_that_is_right(accounts: UserRepo) -> None:
    done = cli(
        "verify", "--repo", accounts.path, "--range", "main~20..main", "--build", BUILD,
        "--library", "libacct.so", "--jobs", 2, "--json",
    )  # fmt: skip
    rows = json.loads(done.stdout)["commits"][1:]
    found = [(row["subject"], row["verdict"]) for row in rows]
    assert found == [(change.subject, change.verdict) for change in CHANGES]
    for row, change in zip(rows, CHANGES, strict=True):
        said = json.dumps(row)
        assert change.because in said, change.subject
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [(0, 5, 0), (5, 6, 1), (11, 12, 4), (12, 14, 0), (14, 15, 1), (18, 20, 0)],
)
def test_the_exit_code_says_same_different_or_not_decided(
    accounts: UserRepo, first: int, last: int, code: int
) -> None:
    span = f"main~{20 - first}..main~{20 - last}"
    done = cli(
        "verify", "--repo", accounts.path, "--range", span, "--build", BUILD, "--library",
        "libacct.so", "--jobs", 2,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
