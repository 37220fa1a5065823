"""The helper that has allocations fail, compiled once; see ``driver/allocations.c``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands
from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.build.output import Kept, telling_line
from replay.repo.bound import Bound, Unbound

FORMAT: Final = "replay-failing/1"
HELPER: Final = "failing.so"
SOURCE: Final = Path(__file__).with_name("driver") / "allocations.c"
FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-w")
LIMIT: Final = 60.0
"""Seconds that the compiler may take."""


def failing_request(bound: Bound) -> dict[str, Any]:
    """What the first message to a worker says of it: nothing where no operation needs it.

    Raises:
        Unbound: it cannot be compiled.

    """
    if not any(op.get("own") for op in bound.ops):
        return {}
    try:
        return {"failing": str(helper())}
    except BuildError as error:
        raise Unbound(f"library.fail_malloc needs a C compiler: {error}") from None


def helper() -> Path:
    """The compiled helper, from the cache or made now.

    Raises:
        BuildError: there is no compiler, or the cache cannot be written.
        Unbound: it does not compile.

    """
    compiler = find_compiler()
    parts = (FORMAT, compiler.path, compiler.identity, *FLAGS, SOURCE.read_text())
    entry = Entry(cache_folder() / "failing" / key(p.encode() for p in parts), HELPER, FORMAT)
    with entry.locked():
        if entry.note() is None:
            with tempfile.TemporaryDirectory(dir=entry.folder, prefix="making-") as place:
                made = Path(place) / HELPER
                words = [compiler.path, *FLAGS, *compiler.terse, "-o", str(made), str(SOURCE)]
                ended = Commands().run(words, Path(place), environment(), LIMIT, Kept(4096))
                if ended.status or not made.is_file():
                    raise Unbound(f"library.fail_malloc: {telling_line(ended.output)}")
                entry.enter(made)
    return entry.path
