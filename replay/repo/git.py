"""The user's repository, read without a trace in it.

The user's own git directory is only ever asked to name commits. Everything else goes
through a store of our own in a temporary folder, a bare repository that borrows the user's
objects: it has no hooks, no filters, no configuration but the sealed one, and its index
and work trees lie in the temporary folder too. Nothing of the user's configuration is
obeyed, and nothing can be written to their repository, whatever a command of git does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.git.paths import shown
from replay.repo.errors import RepoError
from replay.repo.trees import Trees, borrow, run_git
from replay.repo.worktree import Worktree

MOST_COMMITS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its id, its tree's, its parents', and the first line of its message."""

    id: str
    tree: str
    parents: tuple[str, ...]
    subject: str

    @property
    def short(self) -> str:
        """The id as people write it."""
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class Range:
    """The commits of ``A..B`` in order, and the one before the first.

    The range follows first parents: a merge is one commit, which brings in all of its
    branch. ``merged`` tells how many commits each merge brings in.
    """

    base: Commit
    commits: tuple[Commit, ...]
    merged: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GitDir:
    """Where a repository keeps what: ``common`` differs from ``own`` in a linked worktree."""

    own: Path
    common: Path
    work_tree: Path | None


def find(path: Path) -> GitDir:
    """The git directory of the repository that a folder is in.

    Git itself is not asked, since it would obey the user's configuration to answer.

    Raises:
        RepoError: there is none.

    """
    if not path.is_dir():
        raise RepoError(f"{path}: no such folder; --repo names a git repository")
    whole = path.resolve()
    for folder in (whole, *whole.parents):
        dot = folder / ".git"
        if dot.is_file():
            text = dot.read_text(errors="replace").strip()
            if not text.startswith("gitdir: "):
                raise RepoError(f"{dot}: this is no .git file; it should say 'gitdir: PATH'")
            own = (folder / text.removeprefix("gitdir: ")).resolve()
        elif dot.is_dir():
            own = dot
        elif (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return GitDir(folder, folder, None)
        else:
            continue
        common = own / "commondir"
        shared = (own / common.read_text().strip()).resolve() if common.is_file() else own
        if not (shared / "objects").is_dir():
            raise RepoError(f"{own}: no git directory: it has no objects; was it moved?")
        return GitDir(own, shared, folder)
    raise RepoError(f"{path}: not in a git repository; name one in --repo")


class Repository:
    """A user's repository, to read from.

    Args:
        path: a folder in it.
        place: an empty folder for the store, made by the caller.

    Raises:
        RepoError: it is none, or git cannot read it.

    """

    def __init__(self, path: Path, place: Path) -> None:
        self.path = path
        self.dirs = find(path)
        self.place = place
        self.store = place / "store"
        self._borrow()

    def _borrow(self) -> None:
        kind = run_git("rev-parse", "--show-object-format", git_dir=self.dirs.own)
        borrow(self.store, self.dirs.common, kind.decode().strip())
        shallow = self.dirs.common / "shallow"
        if shallow.is_file():
            shutil.copyfile(shallow, self.store / "shallow")

    def commit_id(self, revision: str) -> str:
        """The commit that a revision names.

        Raises:
            RepoError: there is none of that name.

        """
        try:
            out = run_git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
                git_dir=self.dirs.own,
            )  # fmt: skip
        except RepoError:
            raise RepoError(
                f"{shown(revision)} names no commit in {self.path}; give a branch, a tag or an id"
            ) from None
        return out.decode().strip()

    def commit(self, revision: str) -> Commit:
        """The commit that a revision names, with its tree.

        Raises:
            RepoError: there is none of that name.

        """
        return self._log("--no-walk", self.commit_id(revision))[0]

    def range(self, text: str) -> Range:
        """The commits of ``A..B``, following first parents from B.

        Raises:
            RepoError: it is no range, or an empty one.

        """
        first, last = self.ends(text)
        commits = self._log("--first-parent", "--reverse", f"{first}..{last}")
        if not commits:
            raise RepoError(f"{shown(text)} holds no commit: is the second before the first?")
        if len(commits) > MOST_COMMITS:
            raise RepoError(f"{shown(text)} holds {len(commits)} commits; give a shorter range")
        if not commits[0].parents:
            raise RepoError(
                f"{shown(text)} goes down to the root commit {commits[0].short}, which has none "
                f"before it: start it after that commit, {commits[0].short}..{text.split('..')[1]}"
            )
        try:
            base = self._log("--no-walk", commits[0].parents[0])[0]
        except RepoError:
            raise RepoError(
                f"the parent of {commits[0].short} is missing; the clone is perhaps shallow: "
                "git fetch --unshallow"
            ) from None
        return Range(base, commits, self._merged(commits), self._notes(text, first, base))

    def _notes(self, text: str, first: str, base: Commit) -> tuple[str, ...]:
        if base.id == first:
            return ()
        start = shown(text.partition("..")[0])
        return (
            f"{start} is not on the line of first parents; the first commit is compared with "
            f"its own first parent, {base.short}",
        )

    def _merged(self, commits: Iterable[Commit]) -> dict[str, int]:
        merged = {}
        for commit in commits:
            if len(commit.parents) > 1:
                span = [*commit.parents[1:], f"^{commit.parents[0]}"]
                out = run_git("rev-list", "--count", *span, "--", git_dir=self.store)
                merged[commit.id] = int(out)
        return merged

    def ends(self, text: str) -> tuple[str, str]:
        """The two commits of ``A..B``; ``A..`` ends at HEAD.

        Raises:
            RepoError: it is not of that form, or one of them does not exist.

        """
        first, dots, last = text.partition("..")
        if not dots or not first or last.startswith("."):
            raise RepoError(f"{shown(text)} is no range; write A..B: after A, up to B")
        return self.commit_id(first), self.commit_id(last or "HEAD")

    def ids_in(self, text: str) -> frozenset[str]:
        """The commits that a range, or a single revision, names."""
        if ".." not in text:
            return frozenset((self.commit_id(text),))
        first, _, last = text.partition("..")
        words = [self.commit_id(last or "HEAD")]
        if first:
            words.append("^" + self.commit_id(first))
        out = run_git("rev-list", *words, "--", git_dir=self.store)
        return frozenset(out.decode().split())

    def _log(self, *words: str) -> tuple[Commit, ...]:
        out = run_git(
            "-c", "i18n.logOutputEncoding=UTF-8", "log", "-z", "--no-color",
            "--format=%H%x00%T%x00%P%x00%s", *words, "--", git_dir=self.store,
        )  # fmt: skip
        fields = out.decode("utf-8", "replace").removesuffix("\0").split("\0")
        rows = [fields[at : at + 4] for at in range(0, len(fields) - 3, 4)]
        return tuple(Commit(r[0], r[1], tuple(r[2].split()), r[3]) for r in rows)

    # --- a tree on disk ---------------------------------------------------------------

    def worktree(self, folder: Path) -> Worktree:
        """A folder that does not exist yet, to hold one tree after the other."""
        modules = self.place / f"modules-{folder.name}"
        return Worktree(Trees(self.store, self.dirs.common, modules), folder)
