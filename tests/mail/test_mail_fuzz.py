"""Whatever a mail holds, reading it gives a value or the project's own error."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.cli import main
from replay.errors import ReplayError
from replay.mail.comparing import compare_covers, compare_series
from replay.mail.diffs import read_diff
from replay.mail.reading import read_series

CASES = Path(__file__).parent / "cases"
MAILS = [path.read_bytes() for path in sorted(CASES.iterdir()) if path.is_file()]
ATTACHED = (
    b"From: a <a@b>\nSubject: [PATCH] x\nContent-Type: multipart/mixed; boundary=B\n\n--B\n\nt\n"
    b"--B\nContent-Type: text/x-patch; name=x.patch\nContent-Transfer-Encoding: base64\n\n"
    b"LS0tIGEvZgorKysgYi9mCkBAIC0xICsxIEBACi0xCisyCg==\n--B--\n"
)
HOSTILE = (
    b"\0", b"\xff", b"\r\n", b"\n", b" \n", b"\n\n", b"=?", b"?=", b"=?utf-8?b?abcde?=", b"\\",
    b'"', b"<", b">", b"(", b"diff --git ", b'diff --git "a/\\3', b"@@ -", b"@@ -1,9 +1 @@\n",
    b"--- a/x\n+++ b/x\n", b"GIT binary patch\n", b"literal 9\n", b"Binary files a and b differ\n",
    b"Content-Type: ", b"multipart/mixed; boundary=", b"--B\n", b"--B--\n", b"message/rfc822\n",
    b"Content-Transfer-Encoding: base64\n", b"charset*0*=", b"charset=undefined", b"format=flowed",
    b"From x Mon Sep 17 00:00:00 2001\n", b"[PATCH 9999/0]", b"rename from \n", b"new mode \n",
    b"-- \n", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"From: \n", b"\x1b[31m", b":", b"99999999999",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A mail in which pieces were cut out, put in, or moved."""
    data = bytearray(b"\n".join(draw(st.lists(st.sampled_from([*MAILS, ATTACHED]), max_size=4))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 30)))
        piece = draw(st.sampled_from(HOSTILE) | st.binary(max_size=6))
        data[at : end if draw(st.booleans()) else at] = piece
    return bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated")


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_a_mutated_mail_is_a_value_or_one_error(folder: Path, data: bytes) -> None:
    file = folder / "m"
    file.write_bytes(data)
    try:
        series = read_series(file)
    except ReplayError as error:
        assert "\n" not in str(error)
        return
    assert compare_series(series, series) or not series.patches
    compare_covers(series, series)
    for patch in series.patches:
        assert patch.diff.endswith("\n")
        # All but the diff can be written anywhere.
        "".join((patch.title, patch.author, patch.date, patch.message, *patch.files)).encode()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated(), mutated())
def test_no_command_ends_in_a_traceback(folder: Path, old: bytes, new: bytes) -> None:
    (folder / "1").write_bytes(old)
    (folder / "2").write_bytes(new)
    for words in (["show", "1"], ["show", "1", "--json"], ["compare", "1", "2"],
                  ["compare", "1", "2", "--json"]):  # fmt: skip
        paths = [str(folder / word) if word in "12" else word for word in words]
        result = CliRunner().invoke(main, ["mail", *paths])
        assert result.exit_code in (0, 1, 2), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        shown = [c for c in result.stdout if not c.isprintable() and c != "\n"]
        assert not shown


DIFFS = (
    "diff --git a/f b/f\nindex 1111111..2222222 100644\n--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n"
    "-two\n+TWO\n three\n@@ -10,2 +10,3 @@ fn\n a\n+b\n c\n",
    "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n\\ No newline at end of file\n--- a/y\n+++ b/y\n"
    "@@ -1,2 +1,2 @@\n--- 1\n+++ 2\n z\n",
    "diff --git a/n b/n\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/n\n"
    "@@ -0,0 +1,2 @@\n+a\n+b\ndiff --git a/o b/q\nsimilarity index 90%\nrename from o\n"
    "rename to q\nindex 1111111..2222222 100644\n--- a/o\n+++ b/q\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n",
    "diff --git a/run b/run\nold mode 100644\nnew mode 100755\ndiff --git a/d b/d\n"
    "deleted file mode 100644\nindex 1111111..0000000\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
)
LINES = ("-- \n", "2.40\n", "\n", "+x\n", "-y\n", " z\n", "text\n", "\\ No newline at end\n",
         "+++ q\n", "--- p\n", "___\n", "\\\n", "@@ -1 +1 @@\n", "-\n", "+\n")  # fmt: skip


@st.composite
def changed_hunks(draw: st.DrawFn) -> str:
    """A diff in which lines of hunks are missing, doubled, or others."""
    lines = draw(st.sampled_from(DIFFS)).splitlines(keepends=True)
    heads = ("diff", "index", "---", "+++ ", "new", "old", "deleted", "sim", "rename")
    for _ in range(draw(st.integers(0, 3))):
        places = [i for i, line in enumerate(lines) if not line.startswith((*heads, "@@"))]
        if not places:
            break
        at = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("drop", "put", "replace")))
        piece = [] if how == "drop" else [draw(st.sampled_from(LINES))]
        lines[at : at + (how != "put")] = piece
    return "".join(lines)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed_hunks())
def test_what_git_refuses_is_told_and_what_it_takes_has_its_counts(folder: Path, text: str) -> None:
    found = read_diff(text)
    done = subprocess.run(
        ["git", "-C", str(folder), "apply", "--numstat"], input=text.encode(), capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        assert found.problems, done.stderr
        return
    rows = [row.split("\t") for row in done.stdout.decode().splitlines()]
    assert [(int(row[0]), int(row[1])) for row in rows] == [
        (file.added, file.removed) for file in found.files
    ]
