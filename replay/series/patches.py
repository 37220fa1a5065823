"""The patches of a series as typed values; nothing is applied, nothing is written here.

Patches are data that somebody else may have made. All that is wrong or not allowed in any
of them is found here, before a single file or repository is made of them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.errors import SeriesError
from replay.git.diff import FileChange, Hunk, PatchPlace, looks_like_diff, parse_diff
from replay.git.mail import Mail, parse_mail, split_mbox
from replay.git.paths import PatchError, shown
from replay.series.declared import EPILOGUE_FOLDER, data_path

SERIES_FILE: Final = "series"
PATCHES_FOLDER: Final = "patches"
MAX_BYTES: Final = 8 << 20
MAX_PATCHES: Final = 9999

_NAME: Final = re.compile(r"([0-9]{4})-[^/]+\.patch", re.ASCII)


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch.

    ``number`` is its place in the series, from 1. ``title`` is the subject in one line,
    without ``[PATCH n/m]``; ``message`` is the rest of the commit message, and may be
    empty. ``diff`` is the diff as it stands in the file, ``files`` the same as values.
    """

    number: int
    name: str
    title: str
    message: str
    author: str
    email: str
    date: datetime.datetime
    diff: bytes
    files: tuple[FileChange, ...]

    @property
    def added(self) -> int:
        """The number of added lines."""
        return sum(change.added for change in self.files)

    @property
    def removed(self) -> int:
        """The number of removed lines."""
        return sum(change.removed for change in self.files)

    @property
    def text(self) -> str:
        """The whole commit message."""
        return f"{self.title}\n\n{self.message}\n" if self.message else f"{self.title}\n"


def series_folder(folder: Path | str | None = None) -> Path:
    """The folder of a series (tree/, patches/, series.toml); by default the built-in one.

    Raises:
        SeriesError: there is no such folder.
    """
    found = data_path() if folder is None else Path(folder)
    if not found.is_dir():
        raise SeriesError(
            f"{found}: no such folder; a series is a folder with tree/, patches/ and series.toml"
        )
    return found


def read_patches(folder: Path | str | None = None) -> tuple[Patch, ...]:
    """All patches of a series, in order.

    Args:
        folder: the folder of the series, which holds ``patches/``; by default the
            built-in one.

    Raises:
        SeriesError: the ``series`` file is wrong, or names a file that is not there.
        PatchError: the first patch that is wrong.
    """
    patches = series_folder(folder) / PATCHES_FOLDER
    return tuple(
        parse_patch(read_bytes(patches / name), patches / name, number)
        for number, name in enumerate(read_names(patches), 1)
    )


def read_fixes(folder: Path | str | None = None) -> tuple[Patch, ...]:
    """The patch of each fix and variant that came after a series, in order; () for none.

    Each is made on the last step.

    Raises:
        SeriesError, PatchError: as :func:`read_patches`.
    """
    patches = series_folder(folder) / EPILOGUE_FOLDER
    if not (patches / SERIES_FILE).is_file():
        return ()
    return tuple(
        parse_patch(read_bytes(patches / name), patches / name, number)
        for number, name in enumerate(read_names(patches), 1)
    )


def read_names(patches: Path, *, numbered: bool = True) -> list[str]:
    """The names in the quilt file ``series``: NNNN-….patch, counted from 0001 without a gap.

    Where ``numbered`` is false their order alone counts, as while a series is edited.

    Raises:
        SeriesError: the file is missing, or the first line that is wrong.
    """
    file = patches / SERIES_FILE
    try:
        text = read_bytes(file).decode()
    except UnicodeDecodeError as error:
        raise SeriesError(f"{file}: not UTF-8 at byte {error.start}") from None
    names: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip()
        if name and not name.startswith("#"):
            problem = _name_problem(name, names if numbered else None)
            if problem:
                raise SeriesError(f"{file}:{number}: {problem}")
            names.append(name)
    if not names:
        raise SeriesError(f"{file}: names no patch; list the patches, one a line")
    return names


def _name_problem(name: str, before: Sequence[str] | None) -> str:
    match = _NAME.fullmatch(name) if before is not None else re.fullmatch("[^/]+", name)
    if re.search(r"\s", name):
        return (
            f"{shown(name)} has options or a space; patches are applied with -p1 and no options, "
            "so give the name alone"
        )
    if match is None or not name.isprintable() or ".." in name or "\\" in name:
        return f"{shown(name)} is no name of a patch here; name it like 0001-title.patch"
    if before is None:
        return ""
    expected = len(before) + 1
    number = int(match[1])
    if any(other.startswith(match[1]) for other in before):
        return f"a second patch {match[1]}; number the patches from 0001 on"
    if number != expected:
        return f"{shown(name)} stands where patch {expected:04} belongs; put them in order"
    return ""


def read_bytes(file: Path) -> bytes:
    """The bytes of a file of the series.

    Raises:
        SeriesError: it is missing, no ordinary file, or far too large.
    """
    try:
        # A pipe would be waited for, and a device never end.
        if file.exists() and not file.is_file():
            raise SeriesError(f"{file}: no ordinary file")
        if file.stat().st_size > MAX_BYTES:
            raise SeriesError(f"{file}: larger than {MAX_BYTES >> 20} MiB; no patch is")
        return file.read_bytes()
    except FileNotFoundError:
        raise SeriesError(
            f"{file}: no such file; restore it, or take its name out of the file "
            f"'{SERIES_FILE}'" if file.name != SERIES_FILE else
            f"{file}: no such file; it lists the patches, one a line"
        ) from None  # fmt: skip
    except OSError as error:
        raise SeriesError(f"{file}: cannot be read: {error.strerror}") from None


def parse_patch(data: bytes, path: Path | str, number: int | None = None) -> Patch:
    """The patch in a file's bytes.

    Args:
        data: the file.
        path: the file's name, for the value and for errors.
        number: its place in the series; by default what the subject says, or 1.

    Raises:
        PatchError: the first thing that is wrong, with the line and the cure.
    """
    place = PatchPlace(str(path), number)
    mail = parse_mail(data, place)
    if number is not None and mail.number not in (None, number):
        place.fail(
            None, f"the subject says patch {mail.number}, but it stands in place {number}; "
            "put the series in order, or mend the subject",
        )  # fmt: skip
    if mail.diff == len(mail.lines):
        place.fail(None, "the patch holds no diff; a line 'diff --git a/FILE b/FILE' starts one")
    return _patch(mail, place, number or mail.number or 1)


def _patch(mail: Mail, place: PatchPlace, number: int) -> Patch:
    files, end = parse_diff(mail.lines, mail.diff, place)
    _check_rest(mail.lines, end, place)
    return Patch(
        number, Path(place.path).name, mail.title, mail.message, mail.author, mail.email,
        mail.date, b"".join(line + b"\n" for line in mail.lines[mail.diff : end]), files,
    )  # fmt: skip


def _check_rest(lines: Sequence[bytes], at: int, place: PatchPlace) -> None:
    """After the diff there may be a signature, in which nobody may find another diff."""
    signed = False
    for number, line in enumerate(lines[at:], at + 1):
        if line.rstrip() == b"--":
            signed = True
        elif looks_like_diff(line) or (line.strip() and not signed):
            place.fail(
                number, f"{shown(line)} stands after the last line that the diff counts; its "
                "counts do not add up, or the line does not belong here",
            )  # fmt: skip


def read_mbox(data: bytes, path: Path | str) -> tuple[Patch, ...]:
    """The patches of a mailbox, in the order of ``[PATCH n/m]``, else as they stand.

    A cover letter ([PATCH 0/m], without a diff) is passed over.

    Raises:
        PatchError: a mail that is no patch, a number twice, or one that is missing.
    """
    found: list[tuple[int | None, Patch]] = []
    for text, lines_before in split_mbox(data):
        try:
            mail = parse_mail(text, PatchPlace(str(path)))
            if mail.number == 0 and mail.diff == len(mail.lines):
                continue
            patch = parse_patch(text, path)
        except PatchError as error:
            line = lines_before + (error.line or 1)
            raise PatchError(error.problem, path, line) from None
        found.append((mail.number, patch))
    if not found:
        raise PatchError("the mailbox holds no patch", path)
    numbers = [number for number, _ in found]
    if None not in numbers:
        found.sort(key=lambda pair: pair[0] or 0)
        for expected, (number, _) in enumerate(found, 1):
            if number != expected:
                what = "twice" if number == expected - 1 else "out of place"
                raise PatchError(
                    f"patch {number} is there {what}; the numbers must run from 1 to "
                    f"{len(found)}", path,
                )  # fmt: skip
    return tuple(patch for _, patch in found)


__all__: Final = [
    "FileChange", "Hunk", "Patch", "PatchError", "parse_patch", "read_fixes", "read_mbox",
    "read_names", "read_patches", "series_folder",
]  # fmt: skip
