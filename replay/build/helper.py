"""A small library of our own, compiled once and kept in the cache."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands
from replay.build.compiler import Compiler, environment
from replay.build.output import Kept, telling_line

LIMIT: Final = 60.0
"""Seconds that the compiler may take."""


class NotCompiledError(Exception):
    """The compiler fails; the text is what says the most of it."""


def compiled_helper(compiler: Compiler, source: Path, flags: Sequence[str], form: str) -> Path:
    """The shared library that a C file gives, from the cache or made now.

    Args:
        compiler: which, see ``find_compiler``.
        source: the file.
        flags: with ``-shared`` among them.
        form: the name of the format of what it does, such as ``replay-reach/1``; its first
            part names the folder in the cache.

    Raises:
        BuildError: the cache cannot be written.
        NotCompiledError: it does not compile.

    """
    name = form.partition("/")[0].removeprefix("replay-")
    parts = (form, compiler.path, compiler.identity, *flags, source.read_text())
    entry = Entry(cache_folder() / name / key(p.encode() for p in parts), f"{name}.so", form)
    with entry.locked():
        if entry.note() is None:
            with tempfile.TemporaryDirectory(dir=entry.folder, prefix="making-") as place:
                made = Path(place) / f"{name}.so"
                words = [compiler.path, *flags, *compiler.terse, "-o", str(made), str(source)]
                ended = Commands().run(words, Path(place), environment(), LIMIT, Kept(4096))
                if ended.status or not made.is_file():
                    raise NotCompiledError(telling_line(ended.output))
                entry.enter(made)
    return entry.path
