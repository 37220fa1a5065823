"""Patches back from an edited history: what goes out comes back, byte for byte."""

import datetime
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_history import SMALL, everything, git, hostile_settings, patch_text, write_small

from replay.errors import ReplayError, SeriesError, UsageError
from replay.git import folders as gitfolders
from replay.git.apply import File, apply_changes
from replay.git.diff import PatchPlace
from replay.git.objects import Commit
from replay.git.paths import MODES
from replay.git.stat import stat_table
from replay.series import declared as series
from replay.series import importing as gitimport
from replay.series.history import GitError, import_range, materialize, trees
from replay.series.importing import make_patches
from replay.series.patches import PatchError, parse_patch, read_patches

DATA = series.data_path()
AUTHOR = {"GIT_AUTHOR_NAME": "Ed Itor", "GIT_AUTHOR_EMAIL": "ed@example.invalid"}


def files(folder: Path) -> dict[str, bytes | None]:
    return everything(folder / "patches")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small(tmp_path / "small")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with hostile_settings(tmp_path, monkeypatch) as canary:
        yield canary


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the series, to be changed."""
    folder = tmp_path / "copied"
    for name in ("tree", "patches"):
        shutil.copytree(DATA / name, folder / name)
    shutil.copy(DATA / "series.toml", folder)
    return folder


@pytest.fixture
def edited(small: Path, tmp_path: Path) -> Path:
    """The small series as a repository."""
    return materialize(tmp_path / "edited", small).path


def commit(repo: Path, message: str = "an edit", **paths: str | None) -> None:
    for name, text in paths.items():
        path = repo / name
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", message, **AUTHOR)


@pytest.mark.parametrize("charset", ["ISO-8859-1", "latin1", "UTF-8", "windows-1252"])
def test_a_message_in_the_encoding_that_its_commit_names_is_read(
    charset: str, edited: Path, small: Path
) -> None:
    (edited / "d.c").write_text("int d;\n")
    git(edited, "add", "d.c")
    message = edited.parent / "message"
    message.write_bytes("caf\u00e9\n\nna\u00efve".encode(charset))
    settings = ("-c", f"i18n.commitEncoding={charset}")
    git(edited, *settings, "commit", "-q", "-F", str(message), **AUTHOR)
    import_range(edited, small)
    last = read_patches(small)[-1]
    assert last.title == "caf\u00e9"
    assert "na\u00efve" in last.message


# --- round trips ----------------------------------------------------------------------


def test_what_is_materialized_and_imported_is_the_series_byte_for_byte(
    copied: Path, tmp_path: Path
) -> None:
    made = materialize(tmp_path / "repo")
    shutil.rmtree(copied / "patches")
    done = import_range(made.path, copied)
    assert files(copied) == files(DATA)
    assert (done.patches, done.warnings) == (copied / "patches", ())
    assert list(done.names) == [patch.name for patch in read_patches()]


def test_hostile_settings_do_not_change_what_is_imported(hostile: Path, tmp_path: Path) -> None:
    made = materialize(tmp_path / "repo")
    import_range(made.path, tmp_path / "new")
    assert files(tmp_path / "new") == files(DATA)


def test_settings_and_attributes_of_the_repository_do_not_either(
    hostile: Path,
    tmp_path: Path,
) -> None:
    made = materialize(tmp_path / "repo")
    with (made.path / ".git" / "config").open("a") as config:
        config.write((tmp_path / "home" / ".gitconfig").read_text())
        config.write(f'[diff "c"]\n\tcommand = touch {hostile}/c\n\ttextconv = touch {hostile}/t\n')
    (made.path / ".git" / "info").mkdir()
    (made.path / ".git" / "info" / "attributes").write_text("*.c diff=c\n*.h -diff\n")
    import_range(made.path, tmp_path / "new")
    assert files(tmp_path / "new") == files(DATA)


def test_a_series_a_folder_and_a_mailbox_give_the_same(copied: Path, tmp_path: Path) -> None:
    names = [patch.name for patch in read_patches()]
    mailbox = tmp_path / "series.mbox"
    mailbox.write_bytes(b"".join((DATA / "patches" / name).read_bytes() + b"\n" for name in names))
    loose = tmp_path / "loose"
    loose.mkdir()
    for name in names:
        shutil.copy(DATA / "patches" / name, loose)
    for source in (DATA, DATA / "patches", loose, mailbox):
        shutil.rmtree(copied / "patches")
        import_range(source, copied)
        assert files(copied) == files(DATA)


def test_the_order_of_an_edited_series_file_counts_and_not_the_numbers(
    small: Path, tmp_path: Path
) -> None:
    loose = tmp_path / "loose"
    shutil.copytree(small / "patches", loose)
    (loose / "0001-x.patch").rename(loose / "new-one.patch")
    (loose / "series").write_text("new-one.patch\n0002-x.patch\n")
    import_range(loose, small)
    assert [patch.name for patch in read_patches(small)] == [
        "0001-change-1.patch", "0002-change-2.patch",
    ]  # fmt: skip
    (loose / "series").write_text("../loose/new-one.patch\n")
    with pytest.raises(SeriesError, match="no name of a patch"):
        import_range(loose, small)


def test_what_git_format_patch_writes_is_brought_to_the_same_form(
    copied: Path, tmp_path: Path
) -> None:
    made = materialize(tmp_path / "repo")
    git(made.path, "format-patch", "-q", "-M", "--cover-letter", "-o", "../mails", "step-00..main")
    git(made.path, "checkout", "-q", "step-00")
    mailbox = tmp_path / "all.mbox"
    mailbox.write_bytes(
        b"".join(path.read_bytes() for path in sorted((tmp_path / "mails").iterdir()))
    )
    import_range(mailbox, copied)
    assert files(copied) == files(DATA)


def test_the_table_of_files_is_the_one_git_prints(tmp_path: Path) -> None:
    made = materialize(tmp_path / "repo")
    for patch in read_patches():
        step = f"step-{patch.number:02}"
        shown = git(made.path, "diff", "--no-renames", "--stat=76", f"{step}~", step)
        assert stat_table(patch.files) == shown


def test_an_edit_in_the_middle_survives_rebase_import_and_materialize(
    copied: Path, tmp_path: Path
) -> None:
    repo = materialize(tmp_path / "repo").path
    git(repo, "checkout", "-q", "step-20")
    kvm = (repo / "kvm-all.c").read_text()
    (repo / "kvm-all.c").write_text(f"/* Größe */\n{kvm}")
    git(repo, "commit", "-qa", "--amend", "--no-edit")
    git(repo, "rebase", "-q", "--onto", "HEAD", "step-20", "main")
    import_range(repo, copied, "step-00..main")
    again = materialize(tmp_path / "again", copied)
    assert again.trees == tuple(git(repo, "log", "--reverse", "--format=%T").split())
    old, new = trees(), trees(copied)
    assert [a.id == b.id for a, b in zip(old, new, strict=True)] == [True] * 20 + [False] * 20
    before, after = files(DATA), files(copied)
    assert before.keys() == after.keys(), "no title was changed"
    assert min(name for name in before if before[name] != after[name]).startswith("0020")
    import_range(again.path, tmp_path / "third")
    assert files(tmp_path / "third") == after


def test_unusual_commits_round_trip(edited: Path, small: Path, tmp_path: Path) -> None:
    commit(edited, "größer: a title that is so long that it has to be folded, with ünïcödé in it",
           **{"new name": "no newline at the end"})  # fmt: skip
    commit(edited, "two\nlines\n\n\nbody  \n\n\nmore", **{"new name": "cr\r\nno newline"})
    commit(edited, "quoted", **{"q\"'größe": "x\n", "run": None})
    (edited / "script").write_text("")
    (edited / "script").chmod(0o755)
    commit(edited, "empty and executable")
    (edited / "script").chmod(0o644)
    git(edited, "-c", "user.name=\"A. B\", C", "-c", "user.email=x@y", "commit", "-qam", "mode",
        "--date=2001-02-03T04:05:06-0930")  # fmt: skip
    import_range(edited, small)
    again = materialize(tmp_path / "again", small)
    assert again.trees == tuple(git(edited, "log", "--reverse", "--format=%T").split())
    form = "--format=%an|%ae|%ad|%s"
    dates = [git(folder, "log", "--date=raw", form) for folder in (again.path, edited)]
    assert dates[0] == dates[1]
    import_range(again.path, small)
    assert materialize(tmp_path / "third", small).commits == again.commits


def test_git_am_takes_unusual_patches_as_they_are_meant(
    edited: Path,
    small: Path,
    tmp_path: Path,
) -> None:
    commit(edited, "größer: a title so long that it has to be folded, ünïcödé\n\nKörper",
           **{"new name": "no newline at the end", 'q"größe': "x\n"})  # fmt: skip
    import_range(edited, small)
    again = materialize(tmp_path / "again", small)
    git(again.path, "reset", "-q", "--hard", "step-00")
    names = (small / "patches" / "series").read_text().split()
    git(again.path, "am", "-q", "--committer-date-is-author-date",
        *(str(small / "patches" / name) for name in names))  # fmt: skip
    assert git(again.path, "rev-parse", "HEAD").strip() == again.commits[-1]


def test_a_bare_repository_and_a_linked_work_tree_are_read(
    edited: Path,
    small: Path,
    tmp_path: Path,
) -> None:
    wanted = materialize(tmp_path / "wanted", small).trees
    git(tmp_path, "clone", "-q", "--bare", str(edited), "bare")
    git(edited, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "main")
    for source in ("bare", "linked"):
        import_range(tmp_path / source, small)
        assert tuple(tree.id for tree in trees(small)) == wanted


def test_a_new_folder_becomes_a_whole_series(tmp_path: Path) -> None:
    repo = materialize(tmp_path / "repo").path
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        import_range(repo, tmp_path / name)
        assert everything(tmp_path / name / "tree") == everything(DATA / "tree")
        assert files(tmp_path / name) == files(DATA)
        assert (tmp_path / name / "series.toml").read_bytes() == (DATA / "series.toml").read_bytes()


def test_another_number_of_patches_is_a_warning(copied: Path, tmp_path: Path) -> None:
    repo = materialize(tmp_path / "repo").path
    (warning,) = import_range(repo, copied, "step-00..step-38").warnings
    assert "38 patches" in warning
    assert "39 steps" in warning
    assert len(read_patches(copied)) == 38


# --- refusals -------------------------------------------------------------------------


def merge(repo: Path) -> None:
    git(repo, "checkout", "-q", "-b", "side", "step-01")
    commit(repo, **{"side": "x\n"})
    git(repo, "checkout", "-q", "main")
    git(repo, "merge", "-q", "-m", "merged", "side", **AUTHOR)


def unrelated(repo: Path) -> None:
    git(repo, "checkout", "-q", "--orphan", "alone")
    commit(repo, **{"other": "x\n"})


def rebasing(repo: Path) -> None:
    (repo / ".git" / "rebase-merge").mkdir()


def link(repo: Path) -> None:
    (repo / "link").symlink_to("/etc/passwd")
    commit(repo)


def submodule(repo: Path) -> None:
    head = git(repo, "rev-parse", "HEAD").strip()
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(repo, "commit", "-q", "-m", "sub", **AUTHOR)


def evil_tree(repo: Path) -> None:
    """A tree that git itself would not check out."""
    blob = git(repo, "rev-parse", "HEAD:run").strip()
    (repo / "raw").write_bytes(b"100644 ..\0" + bytes.fromhex(blob))
    tree = git(repo, "hash-object", "-t", "tree", "-w", "--literally", "raw").strip()
    made = git(repo, "commit-tree", "-m", "evil", "-p", "HEAD", tree, **AUTHOR).strip()
    git(repo, "update-ref", "refs/heads/main", made)


def raw_commit(repo: Path, change: Callable[[bytes], bytes]) -> None:
    commit(repo, "raw", raw="x\n")
    data = change(git(repo, "cat-file", "commit", "HEAD").encode())
    (repo / "object").write_bytes(data)
    made = git(repo, "hash-object", "-t", "commit", "-w", "--literally", "object").strip()
    git(repo, "update-ref", "refs/heads/main", made)


def later_base(repo: Path) -> None:
    git(repo, "tag", "-f", "step-00", "step-01")


REFUSED: dict[str, tuple[Callable[[Path], object], type[ReplayError], str]] = {
    "merge": (merge, GitError, "'merged' is a merge"),
    "unrelated": (unrelated, GitError, "does not follow"),
    "rebasing": (rebasing, GitError, "a rebase is not finished"),
    "empty": (
        lambda repo: git(repo, "commit", "-q", "--allow-empty", "-m", "nothing", **AUTHOR),
        PatchError, "'nothing' changes nothing",
    ),
    "no commit": (
        lambda repo: git(repo, "reset", "-q", "--hard", "step-00"), UsageError, "holds no commit",
    ),
    "no tag": (lambda repo: git(repo, "tag", "-d", "step-00"), GitError, "no commit 'step-00'"),
    "link": (link, PatchError, "symbolic link"),
    "submodule": (submodule, PatchError, "submodule"),
    "binary": (lambda repo: commit(repo, bin="\0\1"), PatchError, "binary"),
    "attributes": (lambda repo: commit(repo, **{".gitattributes": "x"}), PatchError, "steers git"),
    "evil": (evil_tree, ReplayError, ".."),
    "separator": (lambda repo: commit(repo, "t\n\na\n---\nb", x="x\n"), PatchError, "would end it"),
    "diff": (lambda repo: commit(repo, "t\n\ndiff --git a/x b/x", x="x\n"), PatchError, "end it"),
    "mbox": (
        lambda repo: commit(repo, "t\n\nFrom x Mon Sep 17 00:00:00 2001", x="x\n"),
        PatchError, "another mail",
    ),
    "header": (lambda repo: commit(repo, "t\n\nFrom: x <y>", x="x\n"), PatchError, "a header"),
    "control": (lambda repo: commit(repo, "t\x1b[2J", x="x\n"), PatchError, "control characters"),
    "latin 1": (
        lambda repo: raw_commit(repo, lambda data: data + b"\xfc\n"),
        PatchError, "not in the encoding",
    ),
    "date": (
        lambda repo: raw_commit(repo, lambda c: c.replace(b"author Ed Itor <ed@example.invalid> 1",
                                                          b"author E <e@x> 99991")),
        PatchError, "a date that no patch",
    ),
    "no name": (
        lambda repo: raw_commit(repo, lambda c: c.replace(b"author Ed Itor <", b"author <")),
        PatchError, "no author",
    ),
    "other base": (later_base, SeriesError, "starts from another tree"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_patches_is_refused_and_the_old_patches_stay(
    edited: Path,
    small: Path,
    name: str,
) -> None:
    harm, error, reason = REFUSED[name]
    harm(edited)
    before = everything(small)
    with pytest.raises(error) as caught:
        import_range(edited, small)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert everything(small) == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("step-00", UsageError), ("..main", UsageError), ("step-00...main", UsageError),
        ("", UsageError), ("gone..main", GitError), ("--output=x..main", GitError),
        ("step-00..-x", GitError), ("step-00..a\nb", GitError), ("step-02..step-01", UsageError),
        ("HEAD:f..main", GitError),
    ],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(
    edited: Path,
    small: Path,
    text: str,
    error: type[ReplayError],
) -> None:
    before = everything(small)
    with pytest.raises(error):
        import_range(edited, small, text)
    assert everything(small) == before
    assert not (edited / "x").exists()


def test_a_source_that_is_none_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "text").write_text("no patch\n")
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    before = everything(small)
    for source, error in (
        ("gone", UsageError), ("nothing", UsageError), ("text", PatchError), ("broken", GitError),
    ):  # fmt: skip
        with pytest.raises(error):
            import_range(tmp_path / source, small)
    with pytest.raises(UsageError, match="a range is for a git repository"):
        import_range(small, small, "a..b")
    assert everything(small) == before


def test_a_broken_repository_is_refused(edited: Path, small: Path) -> None:
    blob = git(edited, "rev-parse", "main:run").strip()
    path = edited / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"rubbish")
    with pytest.raises(GitError, match="cannot be read"):
        import_range(edited, small)


def test_a_mailbox_that_does_not_apply_is_refused(small: Path, tmp_path: Path) -> None:
    mailbox = tmp_path / "x.mbox"
    mailbox.write_text(
        "From x Mon Sep 17 00:00:00 2001\n" + patch_text(1, SMALL[1]).replace(" one", " 1")
    )
    before = everything(small)
    with pytest.raises(PatchError, match="does not apply"):
        import_range(mailbox, small)
    assert everything(small) == before


def test_files_that_are_no_patches_are_not_removed(edited: Path, small: Path) -> None:
    (small / "patches" / "README").write_text("mine")
    with pytest.raises(SeriesError, match="README: no patch; move it away"):
        import_range(edited, small)
    assert (small / "patches" / "README").read_text() == "mine"


# --- all or nothing -------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("moment", ["write", "first rename", "second rename"])
def test_on_a_failure_the_old_patches_are_there_as_they_were(
    edited: Path,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Any,
    moment: str,
) -> None:
    commit(edited, x="x\n")
    before = everything(small)
    rename, calls = Path.rename, 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == {"write": 0, "first rename": 1, "second rename": 2}[moment]:
            raise error
        return rename(self, target)

    def writing(values: dict[str, bytes], folder: Path) -> None:
        (folder / "half").write_text("half")
        raise error

    if moment == "write":
        monkeypatch.setattr(gitimport, "_write_files", writing)
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        import_range(edited, small)
    assert everything(small) == before


def test_no_temporary_file_is_left(
    edited: Path,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    import_range(edited, small)
    assert everything(temporary) == {}
    assert sorted(path.name for path in small.iterdir()) == ["patches", "tree"]


def test_no_child_of_git_is_left(edited: Path, small: Path) -> None:
    code = (
        "import os, sys\n"
        "from replay.series.history import GitError, import_range\n"
        "import_range(sys.argv[1], sys.argv[2])\n"
        "try:\n    import_range(sys.argv[1], sys.argv[2], 'step-01..main')\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
        "try:\n    print(os.waitpid(-1, os.WNOHANG))\n"
        "except ChildProcessError:\n    print('none')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(edited), str(small)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("SeriesError\nnone\n", "")


CONTENT = st.lists(
    st.sampled_from([
        "a", "b", "c", "", " ", "-- ", "--- a/f", "+++ b/f", "@@ -1 +1 @@", "diff --git a/f b/f",
        "From x Mon Sep 17 00:00:00 2001", "\\ No newline at end of file", "\r", "\x0c", "größe",
    ]), max_size=12,
).map("\n".join).flatmap(lambda text: st.sampled_from([text, text + "\n"]))  # fmt: skip
TREE = st.dictionaries(
    st.sampled_from(["f", "g h", "d/größe", "d/e/x", 'q"', "z.c"]),
    st.builds(lambda text, mode: File(text.encode(), mode), CONTENT, st.sampled_from(MODES)),
)


@settings(max_examples=20)
@given(st.lists(TREE, min_size=2, max_size=6))
def test_any_history_of_texts_becomes_patches_that_give_it_back(history: list[Any]) -> None:
    date = datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)
    line = [Commit(f"step {n}\n", "A", "a@b", date, tree) for n, tree in enumerate(history)]
    changed = [line[0], *(b for a, b in pairwise(line) if a.tree != b.tree)]
    made = make_patches(changed)
    tree = changed[0].tree
    for number, (name, data) in enumerate(made.items(), 1):
        patch = parse_patch(data, name, number)
        tree = apply_changes(patch.files, tree, PatchPlace(name))
        assert tree == changed[number].tree
    assert len(made) == len(changed) - 1


def test_removing_waits_for_a_folder_that_is_still_written_to(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    gitfolders.remove(tmp_path / "x")
    gitfolders.remove(tmp_path / "x")
    assert not (tmp_path / "x").exists()
