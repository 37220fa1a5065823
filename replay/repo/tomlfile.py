"""A TOML file of the user's, read: what cannot be is one error with its place and the cure."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from replay.repo.errors import BindingError

MOST_FILE: Final = 1 << 20


def read_text(path: Path, cure: str, none: str, error: type[BindingError] = BindingError) -> str:
    """The text of a file.

    Args:
        path: of the file.
        cure: who writes such a file, where it cannot be read.
        none: what a file that is too large does, as in ``are no binding``.
        error: what is raised.

    Raises:
        BindingError: it cannot be read, is too large, or no UTF-8.

    """
    try:
        data = path.read_bytes()
    except OSError as failed:
        raise error(f"cannot be read ({failed.strerror}); {cure}", path) from None
    if len(data) > MOST_FILE:
        raise error(f"{len(data)} bytes {none}; name another file", path)
    try:
        return data.decode()
    except UnicodeDecodeError as failed:
        line = data[: failed.start].count(b"\n") + 1
        raise error("not UTF-8; save the file as UTF-8", path, line) from None


def parse_tables(
    text: str, path: Path | str, error: type[BindingError] = BindingError
) -> dict[str, Any]:
    """What a text in TOML holds.

    Raises:
        BindingError: it is no TOML.

    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as failed:
        found = re.search(r"at line (\d+)", str(failed))
        line = int(found[1]) if found else text.count("\n") + 1
        said = re.sub(r" \(at .*\)", "", str(failed))
        raise error(f"not TOML: {said}", path, line) from None
    except RecursionError:
        raise error("brackets are nested too deep", path) from None
