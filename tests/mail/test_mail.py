"""Patches as they come by mail: read whatever their form, and two versions compared."""

from __future__ import annotations

import base64
import json
import quopri
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from replay.cli import COMMANDS, Entry, main
from replay.git.apply import File
from replay.mail.behaviour import compare_behaviour
from replay.mail.comparing import Status, compare_series
from replay.mail.reading import MailError, read_series

SEPARATOR = "From 0123456789 Mon Sep 17 00:00:00 2001\n"


class Done(NamedTuple):
    code: int
    out: str
    err: str


def cli(*arguments: object) -> Done:
    COMMANDS.setdefault("mail", Entry("replay.cli.mail:command", "mail"))
    result = CliRunner().invoke(main, ["mail", *map(str, arguments)])
    return Done(result.exit_code, result.stdout, result.stderr)


def diff(name: str, old: list[str], new: list[str], start: int = 1) -> str:
    lines = [f"-{line}" for line in old] + [f"+{line}" for line in new]
    return (
        f"diff --git a/{name} b/{name}\nindex 1111111..2222222 100644\n"
        f"--- a/{name}\n+++ b/{name}\n"
        f"@@ -{start},{len(old)} +{start},{len(new)} @@\n" + "\n".join(lines) + "\n"
    )


def mail(subject: str, body: str, headers: str = "") -> str:
    return (
        f"{SEPARATOR}From: A Developer <a@example.org>\nDate: Wed, 6 Nov 2013 12:00:00 +0000\n"
        f"Subject: {subject}\n{headers}\n{body}\n"
    )


def patch(subject: str, name: str, old: list[str], new: list[str], why: str = "Because.") -> str:
    return mail(subject, f"{why}\n---\n x | 2 +-\n\n{diff(name, old, new)}-- \n2.39.5\n")


V1 = [
    mail("[PATCH 0/4] A series", "It does this.\n\nbase-commit: " + "ab" * 20 + "\n"),
    patch("[PATCH 1/4] one", "a", ["1"], ["2"]),
    patch("[PATCH 2/4] two", "b", ["x", "y", "z"], ["p", "q", "r"]),
    patch("[PATCH 3/4] three", "c", ["3"], ["4"]),
    patch("[PATCH 4/4] four", "d", ["5"], ["6"]),
]
V2 = [
    mail("[PATCH v2 0/4] A series", "Again.\n"),
    patch("[PATCH v2 1/4] two, better", "b", ["x", "y", "z"], ["p", "q", "s"]),
    patch("[PATCH v2 2/4] one", "a", ["1"], ["2"]),
    patch("[PATCH v2 3/4] three", "c", ["3"], ["4"], "Because of this."),
    patch("[PATCH v2 4/4] five", "e", ["7"], ["8"]),
]


def box(path: Path, mails: list[str] | bytes) -> Path:
    path.write_bytes(mails if isinstance(mails, bytes) else "".join(mails).encode())
    return path


def test_a_mailbox_out_of_order_with_replies_is_the_series(tmp_path: Path) -> None:
    reply = mail("Re: [PATCH 2/4] two", "> " + diff("b", ["x"], ["y"]).replace("\n", "\n> "))
    chat = mail("lunch?", "At noon.\n")
    mails = [V1[3], reply, V1[1], chat, V1[4], V1[0], V1[2]]
    series = read_series(box(tmp_path / "m", mails))
    assert [p.title for p in series.patches] == ["one", "two", "three", "four"]
    assert series.cover == ("A series", "It does this.\n\nbase-commit: " + "ab" * 20)
    assert (series.base, series.replies, series.others) == ("ab" * 20, 1, 1)
    assert series.missing == []
    assert series.patches[1].counts == (3, 3)
    assert series.patches[0].message == "Because."
    assert series.patches[0].diff.endswith("+2\n")


def test_missing_numbers_are_named_and_make_the_exit_code(tmp_path: Path) -> None:
    path = box(tmp_path / "m", [V1[0], V1[1], V1[4]])
    done = cli("show", path)
    assert done.code == 1
    assert "missing: 2, 3" in done.out
    assert cli("show", box(tmp_path / "whole", V1)).code == 0


@pytest.mark.parametrize(
    ("subject", "version", "tags", "title"),
    [
        ("[RFC PATCH v3 01/01] t: x", 3, ("RFC",), "t: x"),
        ("[PATCHv2 1/1] x", 2, (), "x"),
        ("[PATCH RESEND] x", 1, ("RESEND",), "x"),
        ("[PATCH net-next,v4 1/1] x", 4, ("net-next",), "x"),
        ("[PATCH 1/1] [arm] x", 1, ("arm",), "x"),
        ("=?utf-8?q?=5BPATCH_1/1=5D_caf=C3=A9?=", 1, (), "café"),
        ("=?UTF-8?B?" + base64.b64encode("[PATCH] naïve".encode()).decode() + "?=", 1, (), "naïve"),
        ("=?x-none?q?broken?= [PATCH]", 1, (), "=?x-none?q?broken?= [PATCH]"),
        ("[PATCH 1/1] folded\n  over lines", 1, (), "folded over lines"),
    ],
)
def test_subjects_are_read_in_all_their_forms(
    subject: str, version: int, tags: tuple[str, ...], title: str, tmp_path: Path
) -> None:
    found = read_series(box(tmp_path / "m", [patch(subject, "a", ["1"], ["2"])])).patches[0]
    assert (found.version, found.tags, found.title) == (version, tags, title)


def _form(name: str) -> bytes:
    """One patch, sent in one of the ways mail has."""
    body = "Because of é.\n---\n\n" + diff("a", ["1 = é"], ["2 = é"]) + "-- \n2.0\n"
    text = 'Content-Type: text/plain; charset="utf-8"\n'
    if name == "crlf":
        return mail("[PATCH] x", body, text).encode().replace(b"\n", b"\r\n")
    if name == "latin-1":
        return mail("[PATCH] x", body, text.replace("utf-8", "iso-8859-1")).encode("latin-1")
    if name == "attached":
        parts = (
            f"--B\n{text}\nBecause of é.\n--B\nContent-Type: text/x-patch; name=x.patch\n"
            "Content-Disposition: attachment; filename=x.patch\nContent-Transfer-Encoding: base64\n"
            f"\n{base64.encodebytes(diff('a', ['1 = é'], ['2 = é']).encode()).decode()}--B--\n"
        )
        kind = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="B"\n'
        return mail("[PATCH] x", parts, kind).encode()
    encode = {"quoted-printable": quopri.encodestring, "base64": base64.encodebytes}
    if name in encode:
        coded = encode[name](body.encode()).decode()
        return mail("[PATCH] x", coded, f"{text}Content-Transfer-Encoding: {name}\n").encode()
    return mail("[PATCH] x", body, text).encode()


@pytest.mark.parametrize(
    "form", ["plain", "crlf", "latin-1", "quoted-printable", "base64", "attached"]
)
def test_the_same_patch_is_read_from_every_form_of_mail(form: str, tmp_path: Path) -> None:
    found = read_series(box(tmp_path / "m", _form(form))).patches[0]
    assert found.diff == diff("a", ["1 = é"], ["2 = é"])
    assert found.message == "Because of é."
    assert found.author == "A Developer <a@example.org>"


def test_a_folder_of_patches_and_a_maildir_are_read(tmp_path: Path) -> None:
    for place in ("folder", "maildir/cur"):
        (tmp_path / place).mkdir(parents=True)
        for number, text in enumerate(V1):
            (tmp_path / place / f"{9 - number}.patch").write_text(text)
    for place in ("folder", "maildir"):
        assert len(read_series(tmp_path / place).patches) == 4


def test_the_latest_of_several_versions_is_taken(tmp_path: Path) -> None:
    path = box(tmp_path / "m", [*V2, *V1])
    assert read_series(path).version == 2
    assert read_series(path, 1).patches[0].title == "one"
    with pytest.raises(MailError, match="no patch of v7; there are v1, v2"):
        read_series(path, 7)
    done = cli("compare", path, path, "--brief")
    assert "two, better" in done.out


def test_a_comparison_tells_changed_new_dropped_and_moved(tmp_path: Path) -> None:
    old, new = box(tmp_path / "1", V1), box(tmp_path / "2", V2)
    rows = compare_series(read_series(old), read_series(new))
    told = [(row.old_place, row.new_place, row.status, row.moved) for row in rows]
    assert told == [
        (2, 1, Status.CHANGED, True),
        (1, 2, Status.SAME, False),
        (3, 3, Status.MESSAGE, False),
        (0, 4, Status.NEW, False),
        (4, 0, Status.DROPPED, False),
    ]
    done = cli("compare", old, new)
    assert done.code == 1
    assert "-+r" in done.out
    assert "++s" in done.out
    assert "was: two" in done.out
    assert cli("compare", old, old).code == 0
    data = json.loads(cli("compare", old, new, "--json").out)
    assert data["same"] is False
    assert data["patches"][0]["status"] == "changed"


def test_line_numbers_and_blob_ids_make_no_difference(tmp_path: Path) -> None:
    moved = V1[1].replace("@@ -1,1 +1,1 @@", "@@ -9,1 +9,1 @@").replace("1111111", "3333333")
    old, new = box(tmp_path / "1", [V1[1]]), box(tmp_path / "2", [moved])
    assert cli("compare", old, new).code == 0


def test_trees_are_compared_when_both_apply_and_hostile_paths_are_refused(tmp_path: Path) -> None:
    base = {"a": File(b"1\n"), "b": File(b"x\ny\nz\n"), "c": File(b"3\n"), "d": File(b"5\n")}
    first = read_series(box(tmp_path / "1", V1[1:3]))
    second = read_series(box(tmp_path / "2", V2[1:3]))
    steps = compare_behaviour(first, second, base)
    assert [(s.old_place, s.new_place, s.same_tree, s.problem) for s in steps] == [
        (2, 1, False, ""),
        (1, 2, False, ""),
    ]
    equal = compare_behaviour(first, first, base)
    assert [(step.same_tree, step.ruling) for step in equal] == [(True, None)] * 2
    evil = read_series(box(tmp_path / "3", [patch("[PATCH] one", "../../a", ["1"], ["2"])]))
    refused = compare_behaviour(first, evil, base)
    assert refused[0].problem
    assert "must stay inside its tree" in refused[0].problem
    (tmp_path / "tree").mkdir()
    for name, file in base.items():
        (tmp_path / "tree" / name).write_bytes(file.data)
    shown = cli("compare", tmp_path / "1", tmp_path / "2", "--tree", tmp_path / "tree")
    assert "another tree after it" in shown.out


def test_nothing_in_a_mail_steers_the_terminal(tmp_path: Path) -> None:
    bad = "\x1b]0;evil\x07\x9b31m\u202e"
    text = patch(f"[PATCH] {bad}", f"a{bad}", ["1"], ["2" + bad], why=f"Look: {bad}")
    path = box(tmp_path / "m", [mail(f"[PATCH 0/1] {bad}", bad), text])
    other = box(tmp_path / "o", [patch("[PATCH] x" + bad, "a", ["1"], ["3" + bad])])
    for done in (cli("show", path), cli("compare", path, other)):
        assert not [c for c in done.out if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "the file is empty"),
        (b"no mail at all\n", "no patch in 1 mail"),
        (b"\0\1\2" * 50, "no patch in 1 mail"),
        (mail("Re: [PATCH] x", "> no").encode(), "no patch in 1 mail (1 replies)"),
    ],
)
def test_bad_input_is_one_error(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    if content is not None:
        path.write_bytes(content)
    done = cli("show", path)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    (tmp_path / "folder").mkdir()
    assert "no file with a patch" in cli("show", tmp_path / "folder").err
