"""What differs between the tree that a folder holds and the next one, submodules included.

Only git's objects are read. What is to be written is judged here, before anything is.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, Protocol

from replay.git.paths import quote, shown
from replay.git.runner import GitError, GitMissing, GitRefused, SealedGit
from replay.repo.errors import RepoError

DEEPEST: Final = 4
"""Submodules in submodules that are followed."""
GITLINK: Final = 0o160000

# What HFS+ leaves out of a name when it looks for it, and what NTFS takes for .git.
_INVISIBLE: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SHORT: Final = re.compile(r"git~[0-9]+")


class File(NamedTuple):
    """A file or a symbolic link of a tree: its mode, its object, and whose that is."""

    mode: int
    id: str
    store: Path


class Held(NamedTuple):
    """A tree in a store, and the git directory of the user's that the store borrows from."""

    store: Path
    common: Path
    tree: str


class Holder(Protocol):
    """What holds a tree.

    Attributes:
        held: which; None for none.
        marks: its files by their paths.
        modules: its submodules by their paths; None for one that is left empty.
        notes: why those are.

    """

    held: Held | None
    modules: dict[bytes, Held | None]
    notes: dict[bytes, str]

    @property
    def marks(self) -> Mapping[bytes, object]:
        """Its files by their paths."""
        ...

    @property
    def folders(self) -> Mapping[bytes, int]:
        """The folders above its files and submodules, those of submodules included."""
        ...


@dataclass(slots=True)
class Changes:
    """What is to be done to come from one tree to the next.

    Attributes:
        held: the next one, and its ``modules`` and ``notes``, see :class:`Holder`.
        gone: files that go; those that change go and come.
        came: files that come.
        unlinked: submodules that go, and ``links``: those that come; their files are told
            apart from them.

    """

    held: Held
    modules: dict[bytes, Held | None]
    notes: dict[bytes, str]
    gone: dict[bytes, None] = field(default_factory=dict)
    came: dict[bytes, File] = field(default_factory=dict)
    unlinked: list[bytes] = field(default_factory=list)
    links: list[bytes] = field(default_factory=list)


def run_git(*words: str, git_dir: Path | None, extra: dict[str, str] | None = None) -> bytes:
    """Run git, sealed.

    Raises:
        RepoError: git fails, or is not there.

    """
    try:
        return SealedGit(git_dir, extra=extra).run(*words)
    except GitMissing:
        raise RepoError("there is no git; install it") from None
    except GitRefused as error:
        said = shown(error.said.removeprefix("fatal: "), 300)
        raise RepoError(f"git {words[0]}: {said}") from None
    except GitError as error:
        raise RepoError(str(error)) from None


def borrow(store: Path, common: Path, form: str = "") -> None:
    """Make a bare repository that has no objects but those of another, and no settings."""
    extra = {"GIT_DEFAULT_HASH": form} if form else None
    run_git("init", "--quiet", "--bare", "--template=", str(store), git_dir=None, extra=extra)
    objects = str(common / "objects")
    line = quote(objects) if "\n" in objects else objects.encode()
    (store / "objects" / "info").mkdir(exist_ok=True)
    (store / "objects" / "info" / "alternates").write_bytes(line + b"\n")


class Trees:
    """The trees of a repository, and of the submodules that the user has.

    Args:
        store: holds the objects of the repository.
        common: the user's git directory.
        place: a folder for the stores of submodules; made when there is one.

    """

    def __init__(self, store: Path, common: Path, place: Path) -> None:
        self.store = store
        self.common = common
        self.place = place
        self._stores: dict[Path, Path] = {}
        self._empty: dict[Path, str] = {}

    def held(self, tree: str) -> Held:
        """A tree of the repository itself."""
        return Held(self.store, self.common, tree)

    def empty(self, store: Path) -> str:
        """The id of the tree that holds nothing."""
        if store not in self._empty:
            out = run_git("hash-object", "-t", "tree", "--stdin", git_dir=store)
            self._empty[store] = out.decode().strip()
        return self._empty[store]

    def module(self, above: Held, path: str, commit: str, deep: bool) -> Held | str:
        """The tree of a submodule's commit; a text says why there is none."""
        left = f"the submodule {shown(path)} at {commit[:12]} is left empty: "
        common = None if deep else _module(above, path)
        if common is None:
            return left + "it was never fetched here"
        try:
            if common not in self._stores:
                store = self.place / f"module-{len(self._stores)}"
                self.place.mkdir(exist_ok=True)
                borrow(store, common)
                self._stores[common] = store
            store = self._stores[common]
            out = run_git("rev-parse", "--verify", f"{commit}^{{tree}}", git_dir=store)
        except RepoError:
            return left + "that commit is not fetched"
        return Held(store, common, out.decode().strip())


def _module(above: Held, path: str) -> Path | None:
    """The git directory of a submodule within the user's, if it is there."""
    try:
        out = run_git(
            "config", "--null", "--blob", f"{above.tree}:.gitmodules", "--get-regexp",
            r"^submodule\..*\.path$", git_dir=above.store,
        )  # fmt: skip
    except RepoError:
        return None
    for entry in out.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        name = re.sub(r"^submodule\.|\.path$", "", key)
        inside = name and not PurePosixPath(name).is_absolute() and ".." not in name.split("/")
        common = above.common / "modules" / name
        if value == path and inside and (common / "objects").is_dir():
            return common
    return None


def changes(trees: Trees, holder: Holder, tree: str) -> Changes:
    """What differs between what is held and a tree of the repository.

    Raises:
        RepoError: an object is missing, or the tree is not fit to be written.

    """
    found = Changes(trees.held(tree), dict(holder.modules), dict(holder.notes))
    _Comparing(trees, holder, found).compare(holder.held, found.held, b"", 0)
    path = _crossed(holder, found)
    if path is not None:
        raise RepoError(
            f"the tree {tree} cannot be written: {shown(path)} stands in the way of another entry"
        )
    return found


def ancestors(path: bytes) -> Iterator[bytes]:
    """The folders above an entry, without the top."""
    at = path.rfind(b"/")
    while at > 0:
        yield path[:at]
        at = path.rfind(b"/", 0, at)


def _crossed(holder: Holder, found: Changes) -> bytes | None:
    """An entry that is a file, a link or another's submodule to one, and a folder to another."""
    less = Counter(above for path in found.gone for above in ancestors(path))
    less.update(above for path in found.unlinked for above in ancestors(path))
    less.update(found.unlinked)
    same = set(found.unlinked)
    for path in [*found.came, *found.links]:
        if path not in same and holder.folders.get(path, 0) > less[path]:
            return path
        inside = False
        for above in ancestors(path):
            if above in found.came or (above in holder.marks and above not in found.gone):
                return above
            if above in found.modules and not inside and path in found.came:
                # The innermost submodule is the one that the file must be of.
                module, inside = found.modules[above], True
                if module is None or module.store != found.came[path].store:
                    return above
    return None


class _Row(NamedTuple):
    """An entry that differs: its modes and ids before and after; a mode of 0 for no entry."""

    before: int
    after: int
    old: str
    new: str
    path: bytes


class _Comparing:
    """Two trees being compared, and the submodules in them."""

    def __init__(self, trees: Trees, holder: Holder, found: Changes) -> None:
        self.trees = trees
        self.holder = holder
        self.found = found

    def compare(self, old: Held | None, new: Held | None, prefix: bytes, depth: int) -> None:
        """Find what differs between two trees that stand in the same folder."""
        found = self.found
        rows = list(self._rows(old, new))
        for row in rows:
            path = prefix + row.path
            if row.before and row.before != GITLINK:
                found.gone[path] = None
            elif row.before:
                found.unlinked.append(path)
        # What goes has gone before what comes is looked at: a submodule becomes a folder.
        for row in rows:
            if row.before == GITLINK != row.after:
                self._submodule(row, prefix, new, depth)
        for row in rows:
            if row.after:
                self._enter(row, prefix, new)
        for row in rows:
            if row.after == GITLINK:
                self._submodule(row, prefix, new, depth)
        changed = {row.path for row in rows}
        if b".gitmodules" in changed and new is not None:
            for path in [p for p in self._submodules(prefix) if p not in changed]:
                entry = self._gitlink(new, path)
                if entry:
                    row = _Row(GITLINK, GITLINK, entry, entry, path)
                    self._submodule(row, prefix, new, depth)

    def _rows(self, old: Held | None, new: Held | None) -> Iterator[_Row]:
        if old is not None and new is not None and old.store == new.store:
            yield from _differing(old.store, old.tree, new.tree)
            return
        if old is not None:
            yield from _differing(old.store, old.tree, self.trees.empty(old.store))
        if new is not None:
            yield from _differing(new.store, self.trees.empty(new.store), new.tree)

    def _enter(self, row: _Row, prefix: bytes, new: Held | None) -> None:
        assert new is not None
        path = prefix + row.path
        found, holder = self.found, self.holder
        problem = path_problem(row.path)
        taken = path in found.came or (path in holder.marks and path not in found.gone)
        taken = taken or path in found.links
        if problem or taken:
            problem = problem or "stands there twice"
            raise RepoError(f"the tree {new.tree} cannot be written: {shown(path)} {problem}")
        if row.after == GITLINK:
            found.links.append(path)
        elif stat.S_ISREG(row.after) or stat.S_ISLNK(row.after):
            found.came[path] = File(row.after, row.new, new.store)
        else:
            raise RepoError(
                f"the tree {new.tree} cannot be written: {shown(path)} has the mode {row.after:o}"
            )

    def _submodule(self, row: _Row, prefix: bytes, new: Held | None, depth: int) -> None:
        """The files of a submodule, before and after."""
        found, path = self.found, prefix + row.path
        before = found.modules.pop(path, None) if row.before == GITLINK else None
        found.notes.pop(path, None)
        after: Held | None = None
        if row.after == GITLINK:
            assert new is not None
            text = row.path.decode("utf-8", "surrogateescape")
            made = self.trees.module(new, text, row.new, depth >= DEEPEST)
            if isinstance(made, str):
                found.notes[path] = made
            else:
                after = made
            found.modules[path] = after
        if before != after:
            self.compare(before, after, path + b"/", depth + 1)

    def _submodules(self, prefix: bytes) -> list[bytes]:
        """Those of one level, by their paths in it."""
        inner = [path for path in self.found.modules if path.startswith(prefix) and path != prefix]
        nested = {
            path for path in inner for other in inner if path.startswith(other + b"/")
        }  # fmt: skip
        return [path.removeprefix(prefix) for path in inner if path not in nested]

    def _gitlink(self, above: Held, path: bytes) -> str:
        """The commit of a submodule in a tree; empty where it has none of that path."""
        name = path.decode("utf-8", "surrogateescape")
        out = run_git("ls-tree", "-z", "--full-tree", above.tree, "--", name, git_dir=above.store)
        head = out.partition(b"\t")[0].split()
        return head[2].decode() if len(head) == 3 and head[0] == b"160000" else ""


def _differing(store: Path, old: str, new: str) -> Iterator[_Row]:
    """The entries that differ between two trees of a store."""
    out = run_git(
        "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames",
        "--ignore-submodules=none", "--end-of-options", old, new, git_dir=store,
    )  # fmt: skip
    fields = out.split(b"\0")
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        before, after, one, other, _ = head.removeprefix(b":").split()
        yield _Row(int(before, 8), int(after, 8), one.decode(), other.decode(), path)


def path_problem(path: bytes) -> str:
    """Why an entry of this path may not be written; empty if it may."""
    for component in path.split(b"/"):
        if component in (b"", b".", b".."):
            return "leaves its folder, or names none"
        for part in component.decode("utf-8", "surrogateescape").split("\\"):
            bare = _INVISIBLE.sub("", part).casefold().partition(":")[0].rstrip(" .")
            if bare == ".git" or _SHORT.fullmatch(bare):
                return "is or may be git's own"
    return ""
