"""The reader of patches: what it gives, and what it refuses before anything is written."""

import contextlib
import datetime
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replay.dirty.subject import SUBJECT
from replay.errors import SeriesError
from replay.git.apply import File, apply_changes, split_lines
from replay.git.diff import PatchPlace
from replay.git.mail import file_name, parse_mail, write_mail
from replay.git.paths import path_problem, quote, unquote
from replay.git.stat import stat_table
from replay.series import declared as series
from replay.series.patches import Patch, PatchError, parse_patch, read_mbox, read_patches

REAL = series.data_path() / "patches"
REAL_FILES = sorted(REAL.glob("*.patch"))

HEAD = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A U Thor <author@example.invalid>
Date: Wed, 6 Nov 2013 12:01:00 +0100
Subject: [PATCH 1/1] a title

Why it is so.
---
 f | 2 +-

"""
DIFF = """\
diff --git a/f b/f
index 0000000000..1111111111 100644
--- a/f
+++ b/f
@@ -1,3 +1,3 @@ heading
 one
-two
+TWO
 three
"""
GOOD = HEAD + DIFF


def parse(text: str | bytes) -> Patch:
    return parse_patch(text.encode() if isinstance(text, str) else text, "0001-a-title.patch", 1)


def refusal(text: str | bytes) -> str:
    with pytest.raises(PatchError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("0001-a-title.patch:")
    assert message.isprintable(), "one message, on one line"
    assert len(message) < 400
    return message


# --- what is read ---------------------------------------------------------------------


def test_all_39_patches_have_the_titles_of_series_toml_in_order() -> None:
    declared = [(step.number, step.title) for step in SUBJECT.series.steps]
    assert [(patch.number, patch.title) for patch in read_patches()] == declared


def test_a_patch_is_read_into_its_values() -> None:
    patch = parse(GOOD)
    assert (patch.number, patch.title, patch.message) == (1, "a title", "Why it is so.")
    assert (patch.author, patch.email) == ("A U Thor", "author@example.invalid")
    zone = datetime.timezone(datetime.timedelta(hours=1))
    assert patch.date == datetime.datetime(2013, 11, 6, 12, 1, tzinfo=zone)
    assert patch.date.utcoffset() == datetime.timedelta(hours=1)
    assert patch.diff.decode() == DIFF
    assert patch.text == "a title\n\nWhy it is so.\n"
    (change,) = patch.files
    assert (change.old, change.new, change.old_mode, change.new_mode) == (
        "f", "f", 0o100644, 0o100644,
    )  # fmt: skip
    assert (change.added, change.removed, patch.added, patch.removed) == (1, 1, 1, 1)
    assert change.hunks[0].lines[1] == ("-", b"two\n")


def test_folded_and_encoded_headers_are_decoded() -> None:
    text = GOOD.replace(
        "Subject: [PATCH 1/1] a title",
        "Subject: [PATCH 1/1]\n =?UTF-8?q?gr=C3=B6=C3=9Fer?=\n =?utf-8?b?IGFscw==?= x\n y",
    ).replace("A U Thor", "=?iso-8859-1?q?J=FCrgen?= M")
    patch = parse(text)
    assert patch.title == "größer als x y"
    assert patch.author == "Jürgen M"


def test_a_quoted_author_loses_the_quotes() -> None:
    assert parse(GOOD.replace("A U Thor", '"Thor, A \\"U\\""')).author == 'Thor, A "U"'


def test_line_ends_of_transport_are_taken_off_but_those_of_content_stay() -> None:
    plain, carried = parse(GOOD), parse(GOOD.replace("\n", "\r\n"))
    assert carried == plain
    content = parse(GOOD.replace("TWO\n", "TWO\r\n"))
    assert content.files[0].hunks[0].lines[2] == ("+", b"TWO\r\n")


def test_a_body_is_decoded_from_its_transfer() -> None:
    head, _, body = GOOD.partition("\n\n")
    coded = body.replace("=", "=3D").replace("TWO", "T=57O")
    text = f"{head}\nContent-Transfer-Encoding: quoted-printable\n\n{coded}"
    assert (parse(text).message, parse(text).diff) == (parse(GOOD).message, parse(GOOD).diff)


def test_a_signature_and_text_before_the_diff_are_passed_over() -> None:
    text = HEAD.replace(" f | 2 +-\n", "notes of no weight\n") + DIFF + "-- \n2.39.5\n\n"
    assert parse(text) == parse(GOOD)


def test_paths_in_quotes_are_decoded() -> None:
    name = '"a/gr\\303\\266\\303\\237e \\"x\\""'
    text = GOOD.replace("a/f b/f", f"{name} {name.replace('a/', 'b/', 1)}")
    text = text.replace("--- a/f", f"--- {name}")
    text = text.replace("+++ b/f", f"+++ {name.replace('a/', 'b/', 1)}")
    assert parse(text).files[0].new == 'größe "x"'


def test_names_with_spaces_are_read() -> None:
    text = GOOD.replace("a/f b/f", "a/x b/y b/x b/y").replace("--- a/f", "--- a/x b/y\t")
    assert parse(text.replace("+++ b/f", "+++ b/x b/y\t")).files[0].new == "x b/y"


@pytest.mark.parametrize(
    ("diff", "old", "new", "modes"),
    [
        ("old mode 100644\nnew mode 100755\n", "f", "f", (0o100644, 0o100755)),
        ("new file mode 100755\nindex 0000000..e69de29\n", None, "f", (None, 0o100755)),
        ("deleted file mode 100644\nindex e69de29..0000000\n", "f", None, (0o100644, None)),
        ("similarity index 100%\nrename from f\nrename to g\n", "f", "g", (None, None)),
        ("similarity index 100%\ncopy from f\ncopy to g\n", "f", "g", (None, None)),
    ],
)
def test_changes_without_lines(
    diff: str, old: str | None, new: str | None, modes: tuple[int | None, int | None]
) -> None:
    names = "a/f b/g" if "from" in diff else "a/f b/f"
    (change,) = parse(HEAD + f"diff --git {names}\n" + diff).files
    assert (change.old, change.new, (change.old_mode, change.new_mode)) == (old, new, modes)


# --- what is refused: paths -----------------------------------------------------------


def at_path(path: str, quoted: bool = False) -> str:
    """A patch that makes a new file."""
    names = [f'"{side}/{path}"' if quoted else f"{side}/{path}" for side in "ab"]
    return (
        HEAD + f"diff --git {names[0]} {names[1]}\nnew file mode 100644\nindex 0000000..1111111\n"
        f"--- /dev/null\n+++ {names[1]}\n@@ -0,0 +1 @@\n+owned\n"
    )


HOSTILE_PATHS = [
    "../out", "x/../../out", "x/./y", "..", "/etc/passwd", "x//y", "x/",
    ".git/config", ".GIT/config", "x/.Git/hooks/pre-commit", "git~1/config", "GIT~1/config",
    ".git. /config", ".git ./config", ".git.../config", ".git::$INDEX_ALLOCATION/config",
    ".g\u200cit/config", ".git\u200b/config", "\ufeff.git/config", ".\u202egit/config",
    "GI7EBA~1", ".gitmodules", ".GitModules", ".gitattributes ", "x\\..\\..\\out", "C:/x",
    "a\tb", "bell\x07", "esc\x1b[2J", "del\x7f", "c1\x9b", "...", " /x",
    "x" * 256, "y/" * 600 + "z",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_paths_that_lead_out_or_trick_are_refused(path: str) -> None:
    assert path_problem(path)
    refusal(at_path(path))


@pytest.mark.parametrize(
    "path",
    ["\\056\\056/out", ".\\147it/x", "nul\\000", "line\\nbreak", "bad\\377", "\\342\\200\\213"],
)  # fmt: skip
def test_quotes_hide_no_path(path: str) -> None:
    refusal(at_path(path, quoted=True))


@pytest.mark.parametrize("path", ["open", 'bad\\q"x', "cut\\"])
def test_wrong_quotes_are_refused(path: str) -> None:
    refusal(HEAD + f'diff --git "a/{path} "b/{path}\n' + DIFF.partition("\n")[2])


@pytest.mark.parametrize(
    "path", ["f", "a/b/c.h", "größe", "x.git", ".gitignore", "a b", "git~", "…"]
)
def test_ordinary_paths_are_taken(path: str) -> None:
    assert path_problem(path) == ""
    assert parse(at_path(path)).files[0].new == path


@given(st.text(min_size=1, max_size=20).filter(lambda t: not path_problem(t)))
def test_a_path_that_is_quoted_reads_back(path: str) -> None:
    assert unquote(quote(path)) == (path.encode(), b"")


# --- what is refused: everything else -------------------------------------------------


def diff_with(*headers: str) -> str:
    return HEAD + "diff --git a/f b/f\n" + "".join(f"{header}\n" for header in headers)


REFUSED = {
    "empty": ("", "the file is empty"),
    "blank": ("\n\n", "the file is empty"),
    "nul": (GOOD.replace("TWO", "T\0O"), "a NUL byte"),
    "no newline at the end": (GOOD[:-1], "cut off"),
    "symbolic link": (diff_with("new file mode 120000", "index 0000000..1111111"), "symbolic link"),
    "symbolic link kept": (
        GOOD.replace("1111111111 100644", "1111111111 120000"), "symbolic link",
    ),
    "to symbolic link": (diff_with("old mode 100644", "new mode 120000"), "symbolic link"),
    "submodule": (diff_with("new file mode 160000", "index 0000000..1111111"), "submodule"),
    "set-uid": (diff_with("old mode 100644", "new mode 104755"), "none of 100644 and 100755"),
    "binary": (diff_with("index 0000000..1111111", "GIT binary patch", "literal 3"), "binary"),
    "binary told": (
        diff_with("index 0000000..1111111", "Binary files a/f and b/f differ"), "binary",
    ),
    "rename out": (
        HEAD + "diff --git a/f b/../g\nrename from f\nrename to ../g\n", "stay inside its tree",
    ),
    "rename from out": (
        HEAD + "diff --git a//etc/x b/g\nrename from /etc/x\nrename to g\n", "is absolute",
    ),
    "copy into git": (
        HEAD + "diff --git a/f b/.git/g\ncopy from f\ncopy to .git/g\n", "git's own",
    ),
    "half a rename": (HEAD + "diff --git a/f b/g\nrename from f\n", "only one of its two"),
    "renamed and copied": (
        HEAD + "diff --git a/f b/g\nrename from f\nrename to g\ncopy from f\ncopy to g\n",
        "both renamed and copied",
    ),
    "renamed to itself": (
        HEAD + "diff --git a/f b/f\nrename from f\nrename to f\n", "cannot become itself",
    ),
    "names disagree": (GOOD.replace("a/f b/f", "a/f b/g"), "must be twice the same"),
    "old name disagrees": (GOOD.replace("--- a/f", "--- a/g"), "where '--- a/f' belongs"),
    "new name disagrees": (GOOD.replace("+++ b/f", "+++ b/.git/f"), "git's own"),
    "removal that is none": (GOOD.replace("+++ b/f", "+++ /dev/null"), "where '+++ b/f' belongs"),
    "no prefix": (GOOD.replace("a/f b/f", "f f"), "default prefixes"),
    "two modes": (diff_with("new file mode 100644", "new file mode 100644"), "a second"),
    "new and removed": (diff_with("new file mode 100644", "deleted file mode 100644"), "contra"),
    "one mode": (diff_with("old mode 100644"), "contradict"),
    "same mode": (diff_with("old mode 100644", "new mode 100644"), "are the same"),
    "no hunks": (diff_with("index 0000000..1111111 100644"), "no hunks"),
    "no hunks but names": (GOOD.partition("@@")[0], "without hunks"),
    "no diff": (HEAD, "holds no diff"),
    "hunk cut off": (GOOD.replace(" three\n", ""), "ends early"),
    "hunk too short": (GOOD.replace("-1,3 +1,3", "-1,4 +1,4"), "ends early"),
    "hunk too long": (GOOD.replace("-1,3 +1,3", "-1,2 +1,2"), "counts do not add up"),
    "one count wrong": (GOOD.replace("-1,3 +1,3", "-1,2 +1,3"), "more lines than its header"),
    "line of no kind": (GOOD.replace(" one", "!one"), "counts do not add up"),
    "bad hunk header": (GOOD.replace("@@ -1,3", "@@ -1,x"), "no hunk header"),
    "combined diff": (GOOD.replace("@@ -1,3 +1,3 @@", "@@@ -1,3 -1,3 +1,3 @@@"), "no"),
    "hunk at line 0": (GOOD.replace("-1,3 +1,3", "-0,3 +0,3"), "cannot start at line 0"),
    "new start": (GOOD.replace("+1,3", "+2,3"), "says +2"),
    "hunk of context": (
        GOOD.replace("-two\n+TWO\n", " two\n"), "changes nothing",
    ),
    "overlap": (GOOD + "@@ -2,2 +2,2 @@\n-two\n+2\n three\n", "overlap"),
    "no newline, not last": (
        GOOD.replace(" one\n", " one\n\\ No newline at end of file\n"), "must be the last",
    ),
    "no newline twice": (
        GOOD + "\\ No newline at end of file\n" * 2, "stands after",
    ),
    "twice the same file": (GOOD + DIFF, "changed twice"),
    "text after the diff": (GOOD + "and so on\n", "stands after"),
    "diff after the signature": (GOOD + "-- \n2.39\n" + DIFF, "stands after"),
    "old diff hidden in the notes": (
        HEAD + "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n" + DIFF, "does not start with",
    ),
    "old diff hidden in the message": (
        GOOD.replace("Why it", "--- a/x\n+++ b/x\nWhy it"), "would end the message",
    ),
    "header in the message": (GOOD.replace("Why it", "From: x <y@z>\n\nWhy it"), "for a header"),
    "no subject": (GOOD.replace("Subject", "Object"), "no header 'Subject:'"),
    "empty subject": (GOOD.replace(" a title", ""), "no title"),
    "two subjects": (GOOD.replace("Subject: ", "Subject: x\nSubject: "), "second header"),
    "control in subject": (GOOD.replace("a title", "a =?utf-8?q?=1B[2J?="), "control character"),
    "no date": (GOOD.replace("Date: ", "X-Date: "), "no header 'Date:'"),
    "word date": (GOOD.replace("Wed, 6 Nov 2013 12:01:00 +0100", "yesterday"), "no date"),
    "32 November": (GOOD.replace("6 Nov", "32 Nov"), "no date"),
    "zone of 99 hours": (GOOD.replace("+0100", "+9900"), "no date"),
    "before 1970": (GOOD.replace("2013", "1913"), "no date"),
    "no address": (GOOD.replace(" <author@example.invalid>", ""), "no author"),
    "no name": (GOOD.replace("A U Thor <", "<"), "no name"),
    "encoded rubbish": (GOOD.replace("a title", "=?nope?q?x?="), "cannot be decoded"),
    "encoded base64": (GOOD.replace("a title", "=?utf-8?b?x?="), "cannot be decoded"),
    "headers of latin 1": (GOOD.encode().replace(b"A U Thor", b"J\xfcrgen"), "not UTF-8"),
    "message of latin 1": (GOOD.encode().replace(b"Why", b"W\xfcy"), "not UTF-8"),
    "charset": (
        GOOD.replace("Subject:", "Content-Type: text/plain; charset=utf-16\nSubject:"), "charset",
    ),
    "parts": (GOOD.replace("Subject:", "Content-Type: multipart/mixed\nSubject:"), "one part"),
    "transfer": (
        GOOD.replace("Subject:", "Content-Transfer-Encoding: base64\nSubject:"), "no base64",
    ),
    "unknown transfer": (
        GOOD.replace("Subject:", "Content-Transfer-Encoding: x-uue\nSubject:"), "save it as 8bit",
    ),
    "junk header": (GOOD.replace("Subject:", "what is this\nSubject:"), "no header"),
    "another number": (GOOD.replace("[PATCH 1/1]", "[PATCH 2/2]"), "says patch 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_patch_may_hold_is_refused_with_its_reason(name: str) -> None:
    text, reason = REFUSED[name]
    assert reason in refusal(text)


def test_a_refusal_names_the_line() -> None:
    line = GOOD.splitlines().index(" one") + 1
    assert refusal(GOOD.replace(" one", "!one")).startswith(f"0001-a-title.patch:{line}: ")


def test_terminal_commands_in_a_patch_do_not_reach_the_message() -> None:
    assert "\\x1b" in refusal(GOOD + "\x1b]0;owned\x07\n")


# --- the series file ------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    (folder / "patches").mkdir(parents=True)
    for number in (1, 2):
        text = GOOD.replace("[PATCH 1/1]", f"[PATCH {number}/2]")
        (folder / "patches" / f"000{number}-a-title.patch").write_text(text)
    names(folder, "0001-a-title.patch", "0002-a-title.patch")
    return folder


def names(folder: Path, *lines: str) -> None:
    (folder / "patches" / "series").write_text("".join(f"{line}\n" for line in lines))


def test_comments_and_blank_lines_of_the_series_file_are_passed_over(copied: Path) -> None:
    names(copied, "# from quilt", "", "0001-a-title.patch", "  0002-a-title.patch  ")
    assert [patch.number for patch in read_patches(copied)] == [1, 2]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "names no patch"),
        (["0001-a-title.patch -p0"], "options"),
        (["0001-a-title.patch", "0003-a-title.patch"], "where patch 0002 belongs"),
        (["0002-a-title.patch", "0001-a-title.patch"], "where patch 0001 belongs"),
        (["0001-a-title.patch", "0001-other.patch"], "a second patch 0001"),
        (["0001-a-title.patch", "0002-gone.patch"], "no such file"),
        (["../0001-a-title.patch"], "no name of a patch"),
        (["/0001-a-title.patch"], "no name of a patch"),
        (["0001-x/../../y.patch"], "no name of a patch"),
        (["0001-\u202etitle.patch"], "no name of a patch"),
        (["a-title.patch"], "no name of a patch"),
    ],
)
def test_a_wrong_series_file_is_refused(copied: Path, lines: list[str], reason: str) -> None:
    names(copied, *lines)
    with pytest.raises(SeriesError) as caught:
        read_patches(copied)
    assert reason in str(caught.value)
    assert str(copied / "patches") in str(caught.value)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda f: (f / "patches" / "series").unlink(), "it lists the patches"),
        (lambda f: (f / "patches" / "series").write_bytes(b"\xff"), "not UTF-8"),
        (shutil.rmtree, "no such folder"),
        (lambda f: os.mkfifo(_emptied(f)), "no ordinary file"),
        (lambda f: _emptied(f).mkdir(), "no ordinary file"),
        (lambda f: _emptied(f).write_bytes(b"x" * (9 << 20)), "larger than"),
    ],
)
def test_what_is_missing_or_no_file_is_named(
    copied: Path, harm: Callable[[Path], object], reason: str
) -> None:
    harm(copied)
    with pytest.raises(SeriesError, match=reason):
        read_patches(copied)


def _emptied(folder: Path) -> Path:
    path = folder / "patches" / "0002-a-title.patch"
    path.unlink()
    return path


# --- mailboxes ------------------------------------------------------------------------


def mail(number: int, total: int) -> str:
    return GOOD.replace("[PATCH 1/1] a title", f"[PATCH {number}/{total}] title {number}")


def test_a_mailbox_is_put_in_order_and_its_cover_letter_passed_over() -> None:
    cover = HEAD.replace("[PATCH 1/1]", "[PATCH 0/2]")
    found = read_mbox((mail(2, 2) + "-- \n2.39\n\n" + cover + mail(1, 2)).encode(), "x.mbox")
    assert [patch.title for patch in found] == ["title 1", "title 2"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (mail(1, 2) + mail(1, 2), "twice"),
        (mail(1, 3) + mail(3, 3), "out of place"),
        (HEAD, "no diff"),
        (HEAD.replace("1/1", "0/1"), "holds no patch"),
        ("", "empty"),
    ],
)
def test_a_mailbox_that_is_no_series_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PatchError, match=reason):
        read_mbox(text.encode(), "x.mbox")


def test_an_error_in_a_mailbox_names_the_line_of_the_mailbox() -> None:
    first = mail(1, 2)
    with pytest.raises(PatchError) as caught:
        read_mbox((first + mail(2, 2).replace(" one", "!one")).encode(), "x.mbox")
    line = len(first.splitlines()) + GOOD.splitlines().index(" one") + 1
    assert str(caught.value).startswith(f"x.mbox:{line}: ")


# --- applying -------------------------------------------------------------------------

BEFORE = {"f": File(b"one\ntwo\nthree\n"), "d/g": File(b"")}


def applied(text: str, tree: dict[str, File] | None = None) -> dict[str, File]:
    return apply_changes(parse(text).files, tree or BEFORE, PatchPlace("p", 1))


def test_a_patch_applies_and_leaves_the_tree_before_it_alone() -> None:
    assert applied(GOOD) == {**BEFORE, "f": File(b"one\nTWO\nthree\n")}
    assert BEFORE["f"].data == b"one\ntwo\nthree\n"


def test_a_rename_moves_and_a_copy_keeps() -> None:
    renamed = applied(HEAD + "diff --git a/f b/n/f\nrename from f\nrename to n/f\n")
    assert renamed.keys() == {"d/g", "n/f"}
    copied = applied(HEAD + "diff --git a/f b/n\ncopy from f\ncopy to n\n")
    assert copied["n"] == copied["f"]


def test_a_mode_changes_and_is_kept() -> None:
    after = applied(diff_with("old mode 100644", "new mode 100755"))
    assert after["f"].mode == 0o100755
    kept = applied(GOOD.replace("1111111111 100644", "1111111111"), after)
    assert kept["f"].mode == 0o100755


NO_END = "\\ No newline at end of file\n"


def test_a_missing_newline_at_the_end_is_part_of_the_content() -> None:
    tree = {"f": File(b"a\nb")}
    text = diff_with("--- a/f", "+++ b/f", "@@ -1,2 +1,2 @@", " a", "-b") + NO_END + "+c\n"
    assert applied(text, tree) == {"f": File(b"a\nc\n")}
    with pytest.raises(PatchError, match="without a newline"):
        applied(text, {"f": File(b"a\nb\n")})


@pytest.mark.parametrize(
    ("text", "tree", "reason"),
    [
        (GOOD, {"f": File(b"zero\none\ntwo\nthree\n")}, "hunk 1 of 'f' does not apply: line 1"),
        (GOOD, {"f": File(b"one\ntwo\n")}, "the end of the file"),
        (GOOD, {"f": File(b"one\ntwo \nthree\n")}, "'two', but the tree before has 'two '"),
        (GOOD, {"g": File(b"")}, "has no file 'f'"),
        (GOOD, {"f": File(b"one\ntwo\nthree\n", 0o100755)}, "mode 100755"),
        (at_path("f"), {"f": File(b"")}, "has it already"),
        (at_path("f/g"), {"f": File(b"")}, "both a file and a folder"),
        (at_path("d"), {"d/g": File(b"")}, "both a file and a folder"),
        (
            diff_with("deleted file mode 100644", "--- a/f", "+++ /dev/null", "@@ -1 +0,0 @@")
            + "-a\n",
            {"f": File(b"a\nb\n")}, "must end the file",
        ),
        (diff_with("deleted file mode 100644"), {"f": File(b"a\n")}, "lines of it remain"),
        (
            diff_with("--- a/f", "+++ b/f", "@@ -1,0 +2 @@", "+x"),
            {"f": File(b"a\nb\n")}, "must end the file",
        ),
        (
            diff_with("--- a/f", "+++ b/f", "@@ -1,0 +2 @@", "+x"),
            {"f": File(b"a\n")}, "needs lines of context",
        ),
        (
            diff_with("--- a/f", "+++ b/f", "@@ -9,0 +10 @@", "+x"),
            {"f": File(b"a\nb\n")}, "must end the file",
        ),
    ],
)  # fmt: skip
def test_a_patch_that_does_not_fit_exactly_is_refused(
    text: str, tree: dict[str, File], reason: str
) -> None:
    with pytest.raises(PatchError) as caught:
        applied(text, tree)
    assert reason in str(caught.value)
    assert caught.value.step == 1


# --- writing --------------------------------------------------------------------------


@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name[:4])
def test_a_patch_of_the_series_is_written_back_byte_for_byte(path: Path) -> None:
    patch = parse_patch(path.read_bytes(), path, int(path.name[:4]))
    written = write_mail(
        (patch.number, len(REAL_FILES), patch.title), patch.message,
        (patch.author, patch.email), patch.date, stat_table(patch.files), patch.diff,
    )  # fmt: skip
    assert written == path.read_bytes()
    assert file_name(patch.number, patch.title) == path.name


LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30
)


@given(
    st.lists(LINES, min_size=1, max_size=9).map(" ".join),
    LINES.filter(lambda t: not set(t) & set("<>")),
    st.integers(1, 2**32 - 1),
    st.integers(-14 * 60, 14 * 60),
)
def test_what_is_written_reads_back(title: str, author: str, time: int, zone: int) -> None:
    offset = datetime.timezone(datetime.timedelta(minutes=zone))
    date = datetime.datetime.fromtimestamp(time, offset)
    data = write_mail((1, 10, title), "body", (author, "a@b"), date, "", DIFF.encode())
    found = parse_mail(data, PatchPlace("p"))
    assert (found.author, found.email, found.date) == (author, "a@b", date)
    assert (found.title, found.message) == (title, "body")
    assert (found.number, found.total) == (1, 10)
    assert all(len(line) <= 120 for line in data.split(b"\n\n")[0].split(b"\n"))


# --- the reader and rubbish -----------------------------------------------------------


def _value_or_refusal(data: bytes) -> None:
    try:
        patch = parse_patch(data, "p")
    except PatchError as error:
        assert str(error).isprintable()
        return
    assert patch.title
    assert patch.files
    for change in patch.files:
        assert path_problem(change.path) == ""


@given(st.binary(max_size=300))
@example(b"From: a <b>\nDate: x\nSubject: y\n\n---\n")
@example(b"\ndiff --git ")
@example(b" \n")
def test_any_bytes_give_a_patch_or_a_refusal(data: bytes) -> None:
    _value_or_refusal(data)


TOKENS = [
    b"diff --git ", b"a/f", b"b/f", b' "a/', b"--- ", b"+++ ", b"@@ -1,2 +1,3 @@", b"@@", b"\n",
    b"\r\n", b"-- \n", b"---\n", b"new file mode 100644\n", b"deleted file mode 100644\n",
    b"rename from f\n", b"rename to g\n", b"index 1111111..2222222 100644\n", b"\\ No newline",
    b"+", b"-", b" ", b"\xff", b"\xe2\x80\x8b", b"Subject: ", b"=?utf-8?b?", b"From ", b"\0",
    b"99999999999999999999", b"old mode ",
]  # fmt: skip


@settings(max_examples=400)
@given(st.data())
def test_a_damaged_patch_gives_a_patch_or_a_refusal(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([GOOD.encode(), REAL_FILES[31].read_bytes()[:6000]]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        end = at + data.draw(st.integers(0, 40))
        text = text[:at] + data.draw(st.sampled_from([b"", *TOKENS])) + text[end:]
    _value_or_refusal(text)
    with contextlib.suppress(PatchError):
        read_mbox(text, "x")


@given(st.binary(max_size=60))
def test_lines_join_to_what_was_split(data: bytes) -> None:
    lines = split_lines(data)
    assert b"".join(lines) == data
    assert all(line.endswith(b"\n") for line in lines[:-1])
