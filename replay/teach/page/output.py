"""The folder of the site: written whole beside its place, then put there at once."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from replay.errors import UsageError

MARKER: Final = ".replay-site"
"""A file that says: this folder was made by ``replay site`` and may be made anew."""

FORMAT: Final = "replay-site/1"


def write_site(files: Mapping[str, bytes], folder: Path) -> None:
    """Put a site where ``folder`` says: all of it, or nothing and what was there stays.

    Raises:
        UsageError: something is there that is no earlier site, or it cannot be written.

    """
    target = folder.absolute()
    check_target(target)
    made = target.with_name(f".{target.name}-{secrets.token_hex(6)}.tmp")
    old = made.with_suffix(".old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fill(made, files)
        if target.exists():
            target.rename(old)
        try:
            made.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    listing = {"format": FORMAT, "files": sorted(files)}
    (folder / MARKER).write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")


def check_target(target: Path) -> None:
    """Check that a site may be put there.

    Raises:
        UsageError: it is a file, a link, or a folder that holds anything else than a site.

    """
    if target.is_symlink():
        raise UsageError(f"{target}: is a link; name the folder itself")
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target}: is a file; name a new folder, or the one of an earlier site")
    found = sorted(
        str(path.relative_to(target).as_posix())
        for path in target.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )
    if not found:
        return
    known = _listed(target / MARKER)
    if known is None:
        raise UsageError(
            f"{target}: holds files that are no site of replay ({found[0]}); name an empty or "
            "new folder"
        )
    strange = [name for name in found if name not in known]
    if strange:
        raise UsageError(
            f"{target}: {strange[0]} was not written by replay and would be lost; move it away"
        )


def _listed(marker: Path) -> set[str] | None:
    try:
        listing = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(listing, dict) or listing.get("format") != FORMAT:
        return None
    files = listing.get("files")
    return {*map(str, files), MARKER} if isinstance(files, list) else None
