"""Why a file has no debug information to read, and what to do about it."""

from __future__ import annotations

from typing import Final

from replay.elf.errors import AbsentError
from replay.elf.image import Image

_BESIDE: Final = frozenset((".debug_types", ".gnu_debugaltlink"))
"""What makes .debug_info unreadable on its own."""

_ELSEWHERE: Final = (
    (
        ".debug_types",
        "it keeps types in .debug_types",
        "build it without -fdebug-types-section, or with -gdwarf-5",
    ),
    (
        ".gnu_debugaltlink",
        "it shares debug information with other files",
        "give the file as it was before dwz",
    ),
    (
        ".zdebug_info",
        "its debug information is packed in an old way",
        "run `objcopy --decompress-debug-sections` on it",
    ),
    (
        ".gnu.lto_",
        "it holds code for link-time optimisation and no debug information",
        "build it with -fno-lto and -g",
    ),
    (
        ".gnu_debuglink",
        "stripped: its debug information is in another file",
        "give that file, or build it with -g and do not strip it",
    ),
)
"""Sections by the start of their names, what they mean, and the cure."""


def refuse_absent(image: Image) -> None:
    """Say why there is no debug information to read, if there is none.

    Raises:
        AbsentError: there is none in this file.
    """
    names = {s.name for s in image.sections}
    for start, problem, cure in _ELSEWHERE:
        if any(name.startswith(start) for name in names) and (
            start in _BESIDE or ".debug_info" not in names
        ):
            raise AbsentError(image.path, problem, cure)
    section = image.find(".debug_info")
    if section is None:
        cure = "build it with -g, and do not strip it"
        raise AbsentError(image.path, "stripped, or built without debug information", cure)
    if not section.has_bytes or not section.size:
        raise AbsentError(image.path, "its .debug_info is empty", "build it with -g")
