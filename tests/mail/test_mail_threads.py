"""Several series in one mailbox: by their threads, else by their subjects."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from replay.cli import main
from replay.mail.reading import MailError, list_series, read_series

CASES = Path(__file__).parent / "cases"


def mail(subject: str, id: str, after: str = "", file: str = "f") -> str:
    refs = f"In-Reply-To: <{after}>\nReferences: <{after}>\n" if after else ""
    diff = f"---\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-1\n+{id}\n" if file else ""
    return (
        f"From x Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: {subject}\n"
        f"Message-ID: <{id}>\n{refs}\ntext\n{diff}\n"
    )


def cli(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["mail", *map(str, arguments)])
    return result.exit_code, result.output


def told(path: Path) -> list[list[tuple[int, list[str]]]]:
    return [[(v.version, [p.title for p in v.patches]) for v in versions]
            for versions in list_series(path).series]  # fmt: skip


def test_two_series_are_listed_each_with_its_versions() -> None:
    path = CASES / "16-two-threads.mbox"
    assert told(path) == [[(1, ["f: one thing"])], [(3, ["g: another thing"])]]
    code, out = cli("list", path)
    assert code == 0
    assert "   1  f: one thing\n      v1  1 patch" in out
    assert "   2  g: another thing\n      v3  1 patch" in out
    assert read_series(path, place=1).patches[0].title == "f: one thing"
    assert "this is series 2 of 2" in cli("show", path)[1]
    with pytest.raises(MailError, match="no series 3; there are 2 series"):
        read_series(path, place=3)


A = [
    mail("[PATCH 0/2] A", "a0", file=""),
    mail("[PATCH 1/2] a one", "a1", "a0"),
    mail("[PATCH 2/2] a two", "a2", "a0", "g"),
    mail("[PATCH v2 1/1] a new name", "a3", "a0", "h"),
]
B = [mail("[PATCH 1/2] b one", "b1", "gone", "k"), mail("[PATCH 2/2] b two", "b2", "gone", "f")]


@pytest.mark.parametrize("order", [0, 1, 7, 40, 719])
def test_threads_keep_series_apart_in_any_order(order: int, tmp_path: Path) -> None:
    mails = list(next(itertools.islice(itertools.permutations([*A, *B]), order, None)))
    (tmp_path / "m").write_text("".join(mails))
    found = sorted(told(tmp_path / "m"), key=len)
    assert found == [
        [(1, ["b one", "b two"])],
        [(1, ["a one", "a two"]), (2, ["a new name"])],
    ]
    assert all(not v.missing for versions in list_series(tmp_path / "m").series for v in versions)


def test_mails_without_threads_go_by_their_subjects(tmp_path: Path) -> None:
    mails = [
        mail("[PATCH 1/1] one", "1"), mail("[PATCH v2 1/1] one, better", "2"),
        mail("[PATCH v3 1/1] other", "3", file="z"), mail("[PATCH 1/1] third", "4", file="y"),
    ]  # fmt: skip
    (tmp_path / "m").write_text("".join(mails))
    assert told(tmp_path / "m") == [
        [(1, ["one"]), (2, ["one, better"])],
        [(3, ["other"])],
        [(1, ["third"])],
    ]
    data = json.loads(cli("list", tmp_path / "m", "--json")[1])
    assert [v["version"] for v in data["series"][0]["versions"]] == [1, 2]


def test_missing_patches_of_any_series_make_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("".join([*A, B[1]]))
    code, out = cli("list", tmp_path / "m")
    assert code == 1
    assert "missing: 1" in out


def test_cover_letters_alone_are_no_error(tmp_path: Path) -> None:
    covers = [mail("[PATCH 0/1] A", "1", file=""), mail("[PATCH v2 0/1] B", "2", file="")]
    (tmp_path / "m").write_text("".join(covers))
    code, out = cli("show", tmp_path / "m")
    assert (code, "missing: 1" in out) == (1, True)
