"""A mailbox, a Maildir, a folder of patches or a quilt folder → the mails in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from replay.errors import ReplayError
from replay.git.mail import split_mbox
from replay.mail.parts import without_returns

MOST_BYTES: Final = 256 << 20
MOST_MAILS: Final = 20_000
SUFFIXES: Final = (".patch", ".diff", ".eml", ".mbox", ".mbx", ".txt")
SERIES: Final = "series"
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


class MailError(ReplayError):
    """A mailbox or folder that cannot be read, or holds no patch; with the cure."""


class Letter(NamedTuple):
    """A mail as bytes, and where it stands: the file, and the lines before it there.

    ``alone`` says that nothing else is in the file, whose name then can stand for a title.
    """

    file: Path
    before: int
    data: bytes
    alone: bool

    def place(self, line: int) -> str:
        """Where a line of the mail, counted from 1, stands."""
        return f"{self.file}:{self.before + line}"


def letters(path: Path) -> Iterator[Letter]:
    """Each mail, in order.

    Raises:
        MailError: there is none, there are too many, or a file cannot be read.

    """
    total = mails = 0
    for file in _files(path):
        try:
            total += file.stat().st_size
            if total > MOST_BYTES:
                raise MailError(f"{path}: more than {MOST_BYTES >> 20} MiB; give the series alone")
            data = file.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise MailError(
                f"{file}: cannot be read: {reason}; give a mailbox or a folder of patches"
            ) from None
        if not data.strip():
            raise MailError(f"{file}: the file is empty; save the mails again")
        pieces = split_mbox(without_returns(data))
        for text, before in pieces:
            mails += 1
            if mails > MOST_MAILS:
                raise MailError(f"{path}: more than {MOST_MAILS} mails; give the series alone")
            if text.strip():
                # An mbox puts a sign before what would start a mail.
                clean = _QUOTED_FROM.sub(rb"\1", text)
                yield Letter(file, before, clean, len(pieces) == 1)


def _files(path: Path) -> list[Path]:
    """The files with mails in them, in order."""
    try:
        if not path.is_dir():
            return [path]
        if (path / SERIES).is_file():
            return _listed(path)
        # A Maildir keeps its mails one folder down.
        folders = [path, *(path / name for name in ("new", "cur") if (path / name).is_dir())]
        files = sorted(
            file for folder in folders for file in folder.iterdir()
            if file.is_file() and (file.suffix.lower() in SUFFIXES or folder != path)
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise MailError(f"{path}: cannot be read: {error}; give a mailbox or a folder") from None
    if not files:
        kinds = ", ".join(SUFFIXES)
        raise MailError(f"{path}: no file with a patch in it; they end with {kinds}")
    return files


def _listed(folder: Path) -> list[Path]:
    """The patches of a quilt folder: what its file ``series`` names, in that order.

    What follows a name are options of patch; what follows a # is a remark.
    """
    listed = folder / SERIES
    files: list[Path] = []
    for number, line in enumerate(listed.read_bytes().decode("utf-8", "replace").split("\n"), 1):
        name, *_ = re.sub(r"(?:^|\s)#.*", "", line).split() or [""]
        if not name:
            continue
        file = folder / name
        if "\0" in name or ".." in Path(name).parts or Path(name).is_absolute():
            raise MailError(f"{listed}:{number}: names no file below the folder; mend the line")
        if not file.is_file():
            raise MailError(f"{listed}:{number}: no such file beside it: {name!r}; restore it")
        files.append(file)
    if not files:
        raise MailError(f"{listed}: names no patch; list the patches, one a line")
    return files
