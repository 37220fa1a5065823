"""Sections that are packed with zstd, which the standard library knows from Python 3.14 on."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

from replay.elf.errors import AbsentError, reading

ZSTD: Final = 2
"""ELFCOMPRESS_ZSTD."""


def unpack_zstd(path: Path, place: str, data: bytes, size: int) -> bytes:
    """The contents of a section.

    Args:
        path: the file, for the message.
        place: the section, for the message.
        data: as it is in the file, behind its header.
        size: bytes that it says to have.

    Raises:
        AbsentError: there is no module that unpacks it.
        ElfError: it is damaged.
    """
    for name in ("compression.zstd", "zstandard"):
        try:
            module: Any = importlib.import_module(name)
        except ImportError:
            continue
        with reading(path, place):
            if name == "zstandard":
                unpacked: bytes = module.ZstdDecompressor().decompress(data, max_output_size=size)
            else:
                unpacked = module.ZstdDecompressor().decompress(data, size)
            if len(unpacked) != size:
                raise ValueError(f"{len(unpacked)} bytes, where it says {size}")
            return unpacked
    raise AbsentError(
        path,
        "its debug information is compressed with zstd",
        "run `objcopy --decompress-debug-sections` on it, or install the Python package zstandard",
        place,
    )
