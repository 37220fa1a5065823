"""What a build made, as one file that can be kept: the program, with what it may need.

A compiled program is kept alone, unless it needs shared libraries that the build made too.
A script is kept with the whole tree as it was built, since it loads what lies beside it.
The archive holds no times and no owners, so the same content gives the same bytes; what an
interpreter or a compiler leaves for itself is left out.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from replay.build.cache import Entry, key
from replay.elf.errors import ElfError, reading
from replay.repo.building import Builder, Folder, NotBuilt, check_library
from replay.repo.errors import RepoError

FORMAT: Final = "replay-repo-program/1"
NAME: Final = "program.tar"
MOST: Final = 512 << 20
"""Bytes of a tree up to which it is kept with a script."""
_PASSED: Final = frozenset(("__pycache__", ".git"))
_ENDS: Final = (".o", ".lo", ".gcno", ".gcda", ".pyc")


@dataclass(frozen=True, slots=True)
class Program:
    """What is run at each commit.

    Attributes:
        path: the file, relative to the top of the tree.
        before: the interpreter, as a path, and its options; empty where the file is executed.

    """

    path: str
    before: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Program:
        """From the command line: ``tool``, or ``python3 tool.py``.

        Raises:
            RepoError: it names no file in the tree, or an interpreter that is not there.

        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise RepoError(f"--program {text!r}: {error}") from None
        if not words:
            raise RepoError("--program: name the file that the build makes, as in build/tool")
        try:
            path = check_library(words[-1])
        except RepoError:
            raise RepoError(
                f"--program {text!r}: name a file relative to the top of the tree, as in "
                "build/tool or 'python3 tool.py'"
            ) from None
        if len(words) == 1:
            return cls(path)
        found = shutil.which(words[0])
        if found is None:
            raise RepoError(
                f"--program {text!r}: no {words[0]} on the PATH; the first word of several is "
                "the interpreter, the last one the file in the tree"
            )
        return cls(path, (str(Path(found).resolve().parent / Path(found).name), *words[1:-1]))


class ProgramBuilder(Builder):
    """Builds trees whose outcome is an archive of the program."""

    def _build(self, folder: Folder, tree: str, keep: bool) -> Any:
        made = super()._build(folder, tree, keep)
        if isinstance(made, NotBuilt):
            return made
        target = self.source.place / f"packed-{folder.path.name}.tar"
        try:
            pack(folder.path, self.library, target)
        except OSError as error:
            raise RepoError(
                f"{error.filename}: cannot be kept ({error.strerror}); is the disk full? TMPDIR "
                "names another place"
            ) from None
        return replace(made, library=target)

    def _entry(self, tree: str) -> Entry:
        entry = super()._entry(tree)
        named = key([FORMAT.encode(), entry.folder.name.encode()])
        return Entry(entry.folder.with_name(named), NAME, FORMAT)


def pack(top: Path, path: str, target: Path) -> None:
    """Write the archive of a program in a tree.

    Raises:
        OSError: it cannot be written.
        RepoError: the tree is too large to be kept.

    """
    whole = _needs_tree(top, path)
    total = 0
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(_names(top)) if whole else [path]:
            info = _info(top, name)
            if info is None:
                continue
            total += info.size
            if total > MOST:
                raise RepoError(
                    f"the tree of {path} has more than {MOST >> 20} MiB as it was built, and a "
                    "script is kept with all of it; remove what it does not need at the end "
                    "of --build"
                )
            data = (top / name).read_bytes() if info.isreg() else b""
            archive.addfile(info, io.BytesIO(data))


def _names(top: Path) -> Iterator[str]:
    """All files and links of a tree that are kept."""
    for folder, folders, files in os.walk(top):
        below = Path(folder)
        folders[:] = [name for name in folders if name not in _PASSED]
        links = [name for name in folders if (below / name).is_symlink()]
        for name in (*files, *links):
            if not name.endswith(_ENDS):
                yield str((below / name).relative_to(top))


def _info(top: Path, name: str) -> tarfile.TarInfo | None:
    """The head of a file or link; None for anything else."""
    found = (top / name).lstat()
    info = tarfile.TarInfo(name)
    if stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str((top / name).readlink())
        if info.linkname.startswith(f"{top}/"):
            info.linkname = os.path.relpath(info.linkname, (top / name).parent)
    elif stat.S_ISREG(found.st_mode):
        info.size = found.st_size
        info.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    else:
        return None
    return info


def _needs_tree(top: Path, path: str) -> bool:
    """Whether a program is a script, or needs a shared library of its tree."""
    needed = needed_by(top / path)
    if needed is None or (top / path).is_symlink():
        return True
    return bool(needed) and any(Path(name).name in needed for name in _names(top))


def needed_by(path: Path) -> frozenset[str] | None:
    """The shared libraries that a program needs, by name; None where it is no ELF file."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                return None
            file.seek(0)
            with reading(path, "the dynamic section"):
                elf: Any = ELFFile(file)
                tables: list[Any] = [
                    one for one in elf.iter_sections() if isinstance(one, DynamicSection)
                ]
                return frozenset(
                    tag.needed for table in tables for tag in table.iter_tags("DT_NEEDED")
                )
    except ElfError:
        return frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A program, ready to be run.

    Attributes:
        key: equal for two that must do the same.
        top: the folder that holds it, and ``words``: what is executed, without arguments.
        libraries: folders of shared libraries that it needs.
        sanitized: whether it has a sanitizer built in, which reserves memory without end.

    """

    key: str
    top: Path
    words: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    sanitized: bool = False


def _put(path: Path, info: tarfile.TarInfo, packed: tarfile.TarFile) -> None:
    """Write one entry. What is below a link was never packed, so none is written through."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if info.issym():
        path.symlink_to(info.linkname)
        return
    stream = packed.extractfile(info)
    assert stream is not None
    with stream, path.open("wb") as file:
        shutil.copyfileobj(stream, file)
    path.chmod(info.mode)


def unpack(archive: Path, checksum: str, program: Program, folder: Path) -> Target | str:
    """Put a program into a folder that does not exist yet; a text says why it cannot be run."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        for info in packed:
            _put(folder / info.name, info, packed)
    file = folder / program.path
    if not file.is_file():
        return f"{program.path} is a link that leads out of the tree"
    needed = needed_by(file)
    if not program.before and not os.access(file, os.X_OK):
        return (
            f"{program.path} is not executable; put its interpreter in front, as in "
            f"--program 'python3 {program.path}'"
        )
    if not program.before and needed is None and file.read_bytes()[:2] != b"#!":
        return f"{program.path} is neither a compiled program nor a script that starts with #!"
    found = sorted({str(p.parent) for p in folder.rglob("*") if needed and p.name in needed})
    sanitized = needed is not None and b"__asan_init" in file.read_bytes()
    words = (*program.before, str(file))
    return Target(checksum, folder, words, tuple(found), sanitized)
