"""Commits and trees read from somebody's repository, judged as patches are.

Only objects are read: not the work tree, not the index, and no setting of the repository
can run a program or change what is seen.
"""

from __future__ import annotations

import datetime
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from replay.errors import UsageError
from replay.git.apply import File, Tree
from replay.git.folders import MAX_FILE
from replay.git.mail import is_line, message_problem, tidy
from replay.git.objects import Commit
from replay.git.paths import PatchError, mode_problem, path_problem, shown
from replay.git.runner import GitError

if TYPE_CHECKING:
    import git

    from replay.git.sealed import SealedRepo

DEFAULT_RANGE: Final = "step-00..HEAD"
_SHA1: Final = re.compile(rb"[0-9a-f]{40}")
_REBASING: Final = ("rebase-merge", "rebase-apply")


def find_commit(repo: SealedRepo, name: str) -> git.Commit:
    """The commit that a name, tag, id or expression of git stands for.

    Raises:
        GitError: there is none.
    """
    import git  # a third of a second: only who reads a repository waits for it

    if not name or name.startswith("-") or not name.isprintable():
        raise GitError(f"{shown(name)} is no name of a commit")
    try:
        found = repo.sealed.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except GitError as error:
        raise GitError(
            f"{repo.git_dir}: no commit {shown(name)}; git log --oneline --decorate shows which "
            f"there are ({error})"
        ) from None
    if not _SHA1.fullmatch(found):
        raise GitError(f"{repo.git_dir}: ids of {len(found)} digits; only SHA-1 is read")
    return git.Commit(repo, bytes.fromhex(found.decode()))


def read_range(repo: SealedRepo, text: str | None = None) -> list[Commit]:
    """The commit before a range and the commits of it, the oldest first.

    Args:
        repo: where to read.
        text: ``A..B`` or ``A..`` (to HEAD); by default ``step-00..HEAD``.

    Raises:
        UsageError: the range is written wrongly, or holds no commit.
        GitError: the commits are no line that starts at A.
        PatchError: a commit cannot be a patch; names it.
    """
    if text is None:
        _check_finished(repo)
    wanted = DEFAULT_RANGE if text is None else text
    first, dots, last = wanted.partition("..")
    if not dots or not first or last.startswith("."):
        raise UsageError(f"{shown(wanted)} is no range; write A..B, as {DEFAULT_RANGE}")
    base, end = find_commit(repo, first), find_commit(repo, last or "HEAD")
    blobs: dict[bytes, bytes] = {}
    commits = [_commit(base, read_files(repo, base, blobs))]
    for commit in _line(repo, base, end):
        made = _commit(commit, read_files(repo, commit, blobs))
        if made.tree == commits[-1].tree:
            raise PatchError(f"{_name(commit)} changes nothing; drop it")
        commits.append(made)
    if len(commits) == 1:
        raise UsageError(f"{shown(wanted)} holds no commit; name a range that does")
    return commits


def _check_finished(repo: SealedRepo) -> None:
    if any((Path(repo.git_dir) / name).exists() for name in _REBASING):
        raise GitError(
            f"{repo.git_dir}: a rebase is not finished; end it with git rebase --continue or "
            "--abort, or name a range"
        )


def _line(repo: SealedRepo, base: git.Commit, end: git.Commit) -> list[git.Commit]:
    import git

    listed = repo.sealed.run(
        "rev-list", "--reverse", "--topo-order", "--parents", f"{base.hexsha}..{end.hexsha}"
    )
    parents: dict[str, list[str]] = {}
    for entry in listed.decode().splitlines():
        sha, *parents[sha] = entry.split()
    commits = [git.Commit(repo, bytes.fromhex(sha)) for sha in parents]
    for commit in commits:
        if len(parents[commit.hexsha]) > 1:
            raise GitError(f"{_name(commit)} is a merge; make the commits a line with git rebase")
    for before, commit in pairwise([base, *commits]):
        if parents[commit.hexsha] != [before.hexsha]:
            raise GitError(
                f"{_name(commit)} does not follow {before.hexsha[:10]}: the commits are no line "
                "that starts at the first of the range; git rebase makes it one"
            )
    return commits


def _name(commit: git.Commit) -> str:
    return f"commit {commit.hexsha[:10]} {shown(_string(commit.summary))}"


def _string(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def _values(commit: git.Commit) -> tuple[str, str, str]:
    """The message, the author's name and the address, in the encoding that the commit names.

    GitPython looks for that header and never finds it, and takes all for UTF-8.
    """
    head, _, message = commit.repo.odb.stream(commit.binsha).read().partition(b"\n\n")
    named = re.search(rb"^encoding (\S+)$", head, re.MULTILINE)
    author = re.search(rb"^author (.*?) ?<([^>\n]*)>", head, re.MULTILINE)
    parts = (message, *(author.groups() if author else (b"", b"")))
    try:
        charset = named[1].decode("ascii") if named else "utf-8"
        text, name, email = (part.decode(charset) for part in parts)
    except (ValueError, LookupError):
        raise PatchError(f"{_name(commit)} has text that is not in the encoding it names") from None
    return text, name.strip(), email.strip()


def _commit(commit: git.Commit, tree: Tree) -> Commit:
    """The values of a commit, with its message as mail would bring it back."""
    text, name, email = _values(commit)
    head, _, body = text.strip("\n").partition("\n\n")
    title, message = " ".join(head.split()), tidy(body.split("\n"))
    if not title or not is_line(title):
        raise PatchError(f"{_name(commit)} has no title, or one with control characters; reword it")
    if not name or not email or not is_line(name + email) or set(name + email) & set("<>"):
        raise PatchError(f"{_name(commit)} has no author of the form 'Name <address>'")
    problem = message_problem(message)
    if problem:
        raise PatchError(f"{_name(commit)}: {problem}")
    whole = f"{title}\n\n{message}\n" if message else f"{title}\n"
    return Commit(whole, name, email, _date(commit), tree)


def _date(commit: git.Commit) -> datetime.datetime:
    try:
        # GitPython counts the seconds west of Greenwich, as time.timezone does.
        zone = datetime.timezone(datetime.timedelta(seconds=-commit.author_tz_offset))
        date = datetime.datetime.fromtimestamp(commit.authored_date, zone)
        if not 0 < commit.authored_date < 1 << 32:
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise PatchError(f"{_name(commit)} has a date that no patch can hold; amend it") from None
    return date


def read_files(
    repo: SealedRepo, commit: git.Commit, blobs: dict[bytes, bytes] | None = None
) -> dict[str, File]:
    """The files of a commit. ``blobs`` keeps what was read, for the next commit.

    Raises:
        PatchError: the tree holds what no patch may make: a link, a submodule, a bad path.
    """
    import git

    known = {} if blobs is None else blobs
    tree: dict[str, File] = {}
    for item in commit.tree.traverse():
        assert isinstance(item, (git.Blob, git.Tree, git.Submodule))
        path = str(item.path)
        problem = path_problem(path)
        if not problem and not isinstance(item, git.Tree):
            problem = mode_problem(f"{item.mode:o}".encode())
            problem = problem and f"{shown(path)}: {problem}"
        if problem:
            raise PatchError(f"{_name(commit)}: {problem}")
        if isinstance(item, git.Blob):
            if item.binsha not in known:
                if item.size > MAX_FILE:
                    raise PatchError(f"{_name(commit)}: {shown(path)} is too large for a source")
                known[item.binsha] = item.data_stream.read()
            tree[path] = File(known[item.binsha], item.mode)
    return tree
