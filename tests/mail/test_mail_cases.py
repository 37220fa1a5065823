"""Mails as they really came, each with what is expected of it; git is asked where it knows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from replay.cli import main
from replay.git.diff import PatchPlace, parse_diff
from replay.mail import comparing
from replay.mail.diffs import read_diff
from replay.mail.gitform import git_form
from replay.mail.reading import MailPatch, MailSeries, read_series
from replay.series.patches import parse_patch

CASES = Path(__file__).parent / "cases"


def cli(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["mail", *map(str, arguments)])
    return result.exit_code, result.output


def case(name: str) -> MailSeries:
    return read_series(CASES / name)


def only(name: str) -> MailPatch:
    (patch,) = case(name).patches
    return patch


def compared(old: Path, new: Path) -> dict[str, Any]:
    _, out = cli("compare", old, new, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


def sent(tmp_path: Path, body: bytes, headers: bytes = b"Subject: [PATCH] f: shout\n") -> MailPatch:
    """The patch of one mail with this body."""
    file = tmp_path / "sent.mbox"
    file.write_bytes(
        b"From 0123456789 Mon Sep 17 00:00:00 2001\nFrom: Ann <ann@example.org>\n"
        b"Date: Wed, 6 Nov 2013 12:00:00 +0000\n" + headers + b"\n" + body
    )
    (patch,) = read_series(file).patches
    return patch


DIFF = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n"

SINGLE = [path.name for path in sorted(CASES.iterdir()) if path.suffix in (".mbox", ".patch")]


def git(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=False)


# --- git as the judge -----------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in SINGLE if not n.startswith(("09", "16", "17", "25"))])
def test_a_patch_has_the_counts_and_names_that_git_finds_in_its_file(
    name: str, tmp_path: Path
) -> None:
    patch = only(name)
    level = "-p0" if name == "12-p0.patch" else "-p1"
    done = git("-C", str(tmp_path), "apply", "--numstat", "-z", level, str(CASES / name))
    assert bool(done.returncode) is bool(patch.problems), done.stderr
    if done.returncode:
        return
    rows = [row.split(b"\t") for row in done.stdout.split(b"\0") if row]
    assert [row[2].decode() for row in rows] == list(patch.files)
    assert sum(int(row[0]) for row in rows) == patch.counts[0]
    assert sum(int(row[1]) for row in rows) == patch.counts[1]


HEADED = ("04", "05", "06", "07", "10", "11", "12-f", "13", "15", "22", "23")


@pytest.mark.parametrize("name", [n for n in SINGLE if n.startswith(HEADED)])
def test_title_author_date_and_message_are_those_of_git_mailinfo(name: str, tmp_path: Path) -> None:
    message = tmp_path / "message"
    mail = (CASES / name).read_bytes()
    done = git("mailinfo", str(message), str(tmp_path / "patch"), stdin=mail)
    told = dict(line.split(": ", 1) for line in done.stdout.decode().splitlines() if line)
    patch = only(name)
    assert patch.title == told["Subject"]
    assert patch.author == f"{told['Author']} <{told['Email']}>"
    assert patch.date == told["Date"].strip()
    assert patch.message == message.read_text().strip()


# --- broken words, charsets and parts -------------------------------------------------


def test_a_broken_encoded_word_is_shown_as_it_came() -> None:
    assert only("01-bad-base64-word.mbox").author == "=?utf-8?b?abcde?= <ann@example.org>"
    assert cli("show", CASES / "01-bad-base64-word.mbox")[0] == 0


@pytest.mark.parametrize(
    ("word", "title"),
    [
        (b"=?utf-8?b?!!!!?=", "=?utf-8?b?!!!!?="),
        (b"=?utf-8?b?w6?=", "=?utf-8?b?w6?="),
        (b"=?utf-8?q?=C3?=", "=?utf-8?q?=C3?="),
        (b"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"),
        (b"=?utf-8*en?q?caf=C3=A9?=", "café"),
        (b"=?x\0y?q?a?=", "=?x\0y?q?a?="),
        (b"=?hex?q?6161?=", "=?hex?q?6161?="),
        (b"=?undefined?q?a?=", "=?undefined?q?a?="),
        (b"=?utf-8?b??= f", "f"),
        (b"=?utf-7?q?+2AA-?=", "=?utf-7?q?+2AA-?="),
        (b"caf\xe9", "café"),
    ],
)
def test_no_word_of_a_subject_is_an_error(word: bytes, title: str, tmp_path: Path) -> None:
    patch = sent(tmp_path, b"text\n---\n" + DIFF, b"Subject: [PATCH] " + word + b"\n")
    assert patch.title == title
    assert cli("show", tmp_path / "sent.mbox")[0] == 0


@pytest.mark.parametrize(
    "kind",
    [
        b"text/plain; charset*=utf-8''a%00b",
        b'text/plain; charset="a\0b"',
        b"text/plain; charset=undefined",
        b"text/plain; charset=idna",
        b"text/plain; charset=zip",
        b"text/plain; charset",
        b"text/plain; charset=" + b"x" * 500,
        b"text/plain; charset*0*=a; charset*9=b",
        b"multipart/mixed",
        b'multipart/mixed; boundary=""',
        b";;;",
        b"",
    ],
)
def test_no_content_type_is_an_error(kind: bytes, tmp_path: Path) -> None:
    headers = b"Subject: [PATCH] x\nContent-Type: " + kind + b"\n"
    if kind.startswith(b"multipart"):
        code, _ = _sent_alone(tmp_path, headers)
        assert code in (0, 2)
        return
    patch = sent(tmp_path, "naïve\n---\n".encode() + DIFF, headers)
    assert (patch.message, patch.counts) == ("naïve", (1, 1))
    assert cli("show", CASES / "02-nul-charset.mbox")[0] == 0


def _sent_alone(tmp_path: Path, headers: bytes) -> tuple[int, str]:
    file = tmp_path / "sent.mbox"
    file.write_bytes(headers + b"\ntext\n---\n" + DIFF)
    return cli("show", file)


def test_headers_that_are_raw_utf8_are_read() -> None:
    patch = only("15-raw-utf8.mbox")
    assert (patch.title, patch.author) == ("f: naïve", "Zoë Łuk <z@example.org>")


# --- the head of the body -------------------------------------------------------------


def test_headers_at_the_head_of_the_body_go_before_those_of_the_mail() -> None:
    patch = only("05-inbody.mbox")
    assert patch.title == "f: the real title"
    assert patch.author == "Bob Real <bob@example.org>"
    assert patch.date == "Tue, 5 Nov 2013 12:00:00 +0000"
    assert patch.message == "body"


@pytest.mark.parametrize(
    ("body", "title", "message"),
    [
        (b"Subject: [PATCH 3/4] a\n b\n\ntext\n", "a b", "text"),
        (b"\n\nSubject: a\nSubject: b\n", "a", "Subject: b"),
        (b"text\nSubject: a\n", "f: shout", "text\nSubject: a"),
        (b"Subjects: a\n", "f: shout", "Subjects: a"),
    ],
)
def test_only_what_stands_at_the_head_counts(
    body: bytes, title: str, message: str, tmp_path: Path
) -> None:
    patch = sent(tmp_path, body + b"---\n" + DIFF)
    assert (patch.title, patch.message) == (title, message)


def test_quotes_around_a_name_are_no_difference() -> None:
    assert cli("compare", CASES / "13-author.v1.mbox", CASES / "13-author.v2.mbox")[0] == 0
    assert only("13-author.v1.mbox").author == "Ann E. Xample <ann@example.org>"


@pytest.mark.parametrize(
    "sender",
    [b"ann at example.org (Ann Example)", b"ann@example.org (Ann Example)",
     b'"Ann Example" <ann@example.org>', b"=?utf-8?q?Ann_Example?= <ann@example.org>",
     b"  Ann   Example  <ann@example.org> "],
)  # fmt: skip
def test_an_author_is_one_whatever_the_mailer_or_archive_wrote(
    sender: bytes, tmp_path: Path
) -> None:
    patch = sent(tmp_path, b"From: " + sender + b"\n\nx\n---\n" + DIFF)
    assert patch.author == "Ann Example <ann@example.org>"


@pytest.mark.parametrize("subject", ["[Patch 1/1]: f: shout", "[PATCH 1/1] : f: shout",
                                     "[PATCH 1/1]:f: shout", "[PATCH][1/1] f: shout"])  # fmt: skip
def test_a_colon_after_the_brackets_is_no_part_of_the_title(subject: str, tmp_path: Path) -> None:
    patch = sent(tmp_path, b"x\n---\n" + DIFF, f"Subject: {subject}\n".encode())
    assert (patch.title, patch.number, patch.total) == ("f: shout", 1, 1)
    assert only("22-colon.mbox").title == "f: shout"


# --- hunks end by their counts --------------------------------------------------------


def test_header_lines_are_not_counted_and_signatures_and_footers_end_the_diff() -> None:
    assert only("04-counts.patch").counts == (2, 2)
    assert only("07-footer.mbox").counts == (1, 1)
    assert only("07-footer.mbox").diff == DIFF.decode()
    names = (CASES / f"06-two-signatures.v{v}.mbox" for v in (1, 2))
    assert cli("compare", *names)[0] == 0


@pytest.mark.parametrize(
    "after",
    [b"-- \n2.40\n", b"--\n2.40\n", b"-- \n1\n\n-- \n2\n", b"\n--- \nnot a diff\n", b"___\n-list\n",
     b"\n+ more\n"],
)  # fmt: skip
def test_nothing_after_the_last_hunk_is_counted(after: bytes, tmp_path: Path) -> None:
    patch = sent(tmp_path, b"text\n---\n" + DIFF + after)
    assert (patch.diff, patch.counts, patch.problems) == (DIFF.decode(), (1, 1), ())


def test_lines_in_a_hunk_that_look_like_headers_are_counted(tmp_path: Path) -> None:
    diff = (
        b"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-- a\n--- b\n-- \n+++ c\n+diff --git\n+@@ -1 +1 @@\n"
    )
    patch = sent(tmp_path, b"text\n---\n" + diff + b"-- \n2.40\n")
    assert (patch.files, patch.counts, patch.problems) == (("x",), (3, 3), ())
    done = git("apply", "--numstat", stdin=diff)
    assert done.stdout == b"3\t3\tx\n"


@pytest.mark.parametrize(
    ("diff", "said"),
    [
        (DIFF.replace(b"-two\n", b"-t\nWO\n"), "'WO' is no line of a hunk"),
        (DIFF.replace(b"+TWO\n", b""), "it is cut off: 0 old and 1 new lines are missing"),
        (DIFF.replace(b"-1,2 +1,2", b"-1,2 +1,3") + DIFF.replace(b"/f", b"/g"), "missing before"),
        (DIFF.replace(b"-1,2 +1,2", b"-1,3 +1,1"), "other lines than its header counts"),
        (DIFF.replace(b"@@ -1,2", b"@@ -x"), "no hunk header"),
    ],
)
def test_what_git_refuses_is_told_with_its_place(diff: bytes, said: str, tmp_path: Path) -> None:
    patch = sent(tmp_path, b"text\n---\n" + diff)
    assert git("apply", "--numstat", stdin=diff).returncode
    assert said in patch.problems[0]
    line = int(patch.problems[0].split(".mbox:")[1].split(":")[0])
    lines = (tmp_path / "sent.mbox").read_text().splitlines()
    assert lines[line - 1][:2] in ("WO", "@@", "di", "+T", "-t")


def test_a_wrapped_diff_is_told_in_show_and_compare() -> None:
    path = CASES / "10-wrapped.mbox"
    place = f"{path}:15: hunk 1 of 'f': 'in the middle of it' is no line of a hunk"
    assert place in cli("show", path)[1]
    assert place in cli("compare", path, path)[1]
    _, out = cli("show", path, "--json")
    assert place in json.loads(out)["patches"][0]["problems"][0]


def test_a_hunk_whose_numbers_do_not_add_up_is_told(tmp_path: Path) -> None:
    patch = sent(tmp_path, b"x\n---\n" + DIFF + b"@@ -9 +12 @@\n-a\n+b\n")
    assert "hunk 2 of 'f' says +12, but with those before it that is +9" in patch.problems[0]


def test_flowed_text_is_unwrapped(tmp_path: Path) -> None:
    patch = only("09-flowed.mbox")
    assert patch.problems == ()
    assert "\n+this line is long and was wrapped\n three\n" in patch.diff
    # No mailer flowed this one: its trailing spaces are content.
    flowed = b"Subject: [PATCH] x\nContent-Type: text/plain; format=flowed\n"
    kept = sent(tmp_path, b"x\n---\n" + DIFF.replace(b"TWO", b"TWO "), flowed)
    assert kept.diff.encode() == DIFF.replace(b"TWO", b"TWO ")


# --- files ----------------------------------------------------------------------------


def test_every_file_is_named() -> None:
    assert only("12-files.mbox").files == ("run", "new", "ä.c")
    assert only("12-p0.patch").files == ("p.c",)
    assert only("12-p0.patch").title == "12-p0.patch"
    assert only("23-binary.mbox").files == ("b.bin", "f")
    assert only("11-octet.mbox").files == ("f",)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("a/d/f", "b/d/f", "d/f"),
        ("pkg.orig/f", "pkg/f", "f"),
        ("d/f\t2013-11-06 12:00:00", "d/f\t2013-11-06 13:00:00", "d/f"),
        ("f.orig", "f", "f"),
        ("/dev/null", "b/f", "f"),
        ("a/f", "/dev/null", "f"),
        ('"a/\\303\\244"', '"b/\\303\\244"', "ä"),
        ("a/with space\t", "b/with space\t", "with space"),
    ],
)
def test_names_without_git_are_paths(old: str, new: str, path: str, tmp_path: Path) -> None:
    hunk = "@@ -1 +0,0 @@\n-1\n" if new == "/dev/null" else "@@ -0,0 +1 @@\n+1\n"
    patch = sent(tmp_path, f"x\n---\n--- {old}\n+++ {new}\n{hunk}".encode())
    assert patch.files == (path,)


def test_renames_modes_and_binary_patches_are_read(tmp_path: Path) -> None:
    diff = (
        b"diff --git a/old name b/new\nsimilarity index 100%\nrename from old name\nrename to new\n"
        b"diff --git a/b.bin b/b.bin\nnew file mode 100644\nindex 0000000..f76dd23\n"
        b"GIT binary patch\nliteral 3\nKcmZQzWMT#Y01f~L\n\nliteral 0\nHcmV?d00001\n\n"
        b"diff --git a/gone b/gone\ndeleted file mode 100755\nindex 1111111..0000000\n"
    )
    patch = sent(tmp_path, b"x\n---\n" + diff + b"-- \n2.40\n")
    assert patch.files == ("new", "b.bin", "gone")
    assert patch.binaries == ("b.bin",)
    assert [(c.old, c.new, c.new_mode) for c in patch.changes] == [
        ("old name", "new", ""), ("", "b.bin", "100644"), ("gone", "", "")
    ]  # fmt: skip
    assert patch.diff.encode() == diff.removesuffix(b"\n") + b"\n"
    assert patch.problems == ()
    assert "binary: b.bin" in cli("show", tmp_path / "sent.mbox")[1]


def test_a_quilt_patch_is_applied_as_patch_would(tmp_path: Path) -> None:
    (tmp_path / "tree/f").mkdir(parents=True)
    (tmp_path / "tree/f/x.c").write_text("alpha\n")
    (tmp_path / "tree/f/y.c").write_text("u\nv\nw\n")
    (tmp_path / "tree/f/z.c").write_text("p\n")
    code, out = cli(
        "compare", CASES / "03-quilt-v1", CASES / "03-quilt-v2", "--tree", tmp_path / "tree"
    )
    assert code == 1
    assert "another tree after it" in out
    assert "cannot be applied" not in out


@pytest.mark.parametrize(
    "diff",
    [
        "--- p.c\n+++ p.c\n@@ -1 +1 @@\n-1\n+2\n",
        "--- x.orig/p.c\t2013-01-01\n+++ x/p.c\t2013-01-01\n@@ -1 +1 @@\n-1\n+2\n",
        "--- /dev/null\n+++ b/ä b\n@@ -0,0 +1 @@\n+2\n",
        "--- a/p.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n",
        "diff --git p.c p.c\nindex 1111..2222 100644\n--- p.c\n+++ p.c\n@@ -1 +1 @@\n-1\n+2\n",
        DIFF.decode(),
    ],
)
def test_a_diff_of_any_tool_is_applied_in_the_form_of_git(diff: str) -> None:
    lines = git_form(diff).encode().removesuffix(b"\n").split(b"\n")
    changes, end = parse_diff(lines, 0, PatchPlace("x"))
    assert end == len(lines)
    (file,) = read_diff(diff).files
    assert [(c.path, c.added, c.removed) for c in changes] == [
        (file.path, file.added, file.removed)
    ]


# --- series ---------------------------------------------------------------------------


def test_untitled_patches_pair_by_likeness_and_are_called_by_their_files() -> None:
    found = compared(CASES / "03-quilt-v1", CASES / "03-quilt-v2")
    told = [(row["old"], row["new"], row["status"]) for row in found["patches"]]
    assert told == [(1, None, "dropped"), (2, 1, "changed"), (None, 2, "new")]
    assert [patch.title for patch in case("03-quilt-v1").patches] == ["a.patch", "b.patch"]


def test_a_cover_alone_misses_its_patches() -> None:
    assert case("17-cover-alone.mbox").missing == [1, 2, 3]
    assert cli("show", CASES / "17-cover-alone.mbox")[0] == 1


def test_a_cover_of_another_version_and_a_number_past_the_total_are_told() -> None:
    assert "there is a cover letter of v2, but no patch of it" in cli(
        "show", CASES / "17-cover-other-version.mbox"
    )[1].replace("\n", " ")
    assert "a patch is numbered 3/2" in cli("show", CASES / "18-too-many.mbox")[1]


def test_a_quilt_folder_follows_its_series_file(tmp_path: Path) -> None:
    assert [p.title for p in case("20-series-file").patches] == ["z-first.patch", "a-second"]
    (tmp_path / "x").write_bytes(DIFF)
    (tmp_path / "series").write_text("# all\n\nx -p1 # why\n")
    assert [p.title for p in read_series(tmp_path).patches] == ["x"]
    for line, said in (("y", "no such file"), ("../x", "names no file below"), ("#", "no patch")):
        (tmp_path / "series").write_text(f"{line}\n")
        code, out = cli("show", tmp_path)
        assert (code, said in out, out.count("\n")) == (2, True, 1)


def test_a_changed_cover_letter_is_a_difference() -> None:
    old, new = CASES / "25-cover.v1.mbox", CASES / "25-cover.v2.mbox"
    code, out = cli("compare", old, new)
    assert code == 1
    assert "cover letter: changed" in out
    assert "+New words." in out
    assert compared(old, new)["cover"]["status"] == "changed"
    assert compared(old, old)["same"] is True


def test_the_names_of_12_are_read_by_import_as_by_show() -> None:
    data = (CASES / "12-files.mbox").read_bytes()
    assert [change.path for change in parse_patch(data, "x").files] == ["run", "new", "ä.c"]


def test_a_message_in_latin_1_is_imported() -> None:
    head = (
        "From x Mon Sep 17 00:00:00 2001\nFrom: A B <a@b>\nDate: Wed, 6 Nov 2013 12:00:00 +0000\n"
        "Subject: [PATCH] x\nContent-Type: text/plain; charset=ISO-8859-1\n\ncafé\n---\n"
    )
    patch = parse_patch(head.encode("latin-1") + DIFF.replace(b"TWO", b"\xe9"), "x")
    assert patch.message == "café"
    assert patch.files[0].hunks[0].lines[-1] == ("+", b"\xe9\n")


def test_many_patches_with_other_titles_pair_in_time_that_grows_with_their_number(
    tmp_path: Path,
) -> None:
    script = CASES / "many.py"
    subprocess.run([sys.executable, str(script), "1200"], cwd=tmp_path, check=True)
    before, after = (read_series(tmp_path / f"many{k}.mbox") for k in (1, 2))
    looked = [0]

    def counting(a: Counter[str], b: Counter[str]) -> float:
        looked[0] += 1
        return likeness(a, b)

    likeness = comparing._likeness
    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr(comparing, "_likeness", counting)
        rows = comparing.compare_series(before, after)
    assert [(r.old_place, r.new_place) for r in rows] == [(n, n) for n in range(1, 1201)]
    assert looked[0] < 5 * 1200


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of three commits after its first."""
    repo = tmp_path_factory.mktemp("repo")
    author = ("-c", "user.name=Änn E. X", "-c", "user.email=a@example.org")

    def commit(message: str, **files: str) -> None:
        for name, text in files.items():
            (repo / name).write_bytes(text.encode())
        git("-C", str(repo), "add", "-A")
        done = git("-C", str(repo), *author, "commit", "-q", "-m", message)
        assert not done.returncode, done.stderr

    git("init", "-q", str(repo))
    commit("base", f="a\nb\n")
    commit("f: café\n\nFrom here on.", f="a\nc\r\n", bin="\0\1")
    git("-C", str(repo), "mv", "f", "sp ace")
    commit("move")
    commit("no newline", **{"sp ace": "x"})
    return repo


@pytest.mark.parametrize(
    "options",
    ["", "--attach", "--inline", "--thread=deep", "--base=HEAD~3", "--binary", "--zero-commit",
     "--signature=a", "-k", "--rfc", "--no-prefix", "--cover-letter", "--no-signature",
     "--from=Z<z@example.org>", "--src-prefix=x/ --dst-prefix=y/", "-v3 --subject-prefix=X/Y"],
)  # fmt: skip
def test_what_format_patch_writes_in_any_way_is_read_back(
    options: str, commits: Path, tmp_path: Path
) -> None:
    made = git("-C", str(commits), "format-patch", "--stdout", *options.split(), "HEAD~3")
    assert not made.returncode, made.stderr
    (tmp_path / "m").write_bytes(made.stdout)
    series = read_series(tmp_path / "m")
    assert (series.missing, series.places) == ([], 1)
    told = [(p.title, p.author, p.message, p.files, p.counts) for p in series.patches]
    who = "Änn E. X <a@example.org>"
    assert told == [
        ("f: café", who, "From here on.", ("bin", "f"), (1, 1)),
        ("move", who, "", ("sp ace",), (0, 0)),
        ("no newline", who, "", ("sp ace",), (1, 2)),
    ]
    assert [p.problems for p in series.patches] == [(), (), ()]
    assert series.version == (3 if "-v3" in options else 1)
