"""The driver of an interface, compiled once.

It lies in the cache of what was built, by all that it is made of: libraries that are bound
alike share one. What a process has found there once it does not look for again.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands
from replay.build.compiler import Compiler, environment, find_compiler
from replay.build.errors import BuildError
from replay.build.output import Kept
from replay.repo.driver.encode import Encoder
from replay.repo.driver.generate import Plan, generate
from replay.repo.driver.pieces import Refused

FORMAT: Final = "replay-driver/3"
SOURCES: Final = (
    "driver.c", "system.h", "trace.h", "seen.h", "places.h", "allocations.c",
)  # fmt: skip
FLAGS: Final = (
    "-std=gnu11", "-O2", "-w", "-fno-strict-aliasing",
    "-fno-tree-loop-distribute-patterns", "-Wl,-z,now",
)  # fmt: skip
LIMIT: Final = 120.0
"""Seconds that the compiler may take."""

_known: dict[str, tuple[Path, Encoder]] = {}
_lock = threading.Lock()


def compiled(head: Mapping[str, Any]) -> tuple[Path, Encoder]:
    """The driver of an interface, made or found; and how it takes its traces.

    Raises:
        Refused: it cannot be made; why.

    """
    try:
        compiler, folder = _compiler(os.environ.get("PATH", "")), cache_folder()
        about = {name: what for name, what in head.items() if name != "library"}
        name = json.dumps([about, str(folder), compiler.path, compiler.identity])
        with _lock:  # of two threads that want the same one, one makes it
            found = _known.get(name)
            if found is None or not found[0].is_file():
                plan = generate(head)
                found = _found(plan, compiler, folder), Encoder(plan.layouts)
                _known[name] = found
    except BuildError as error:
        raise Refused(str(error)) from None
    return found


def _found(plan: Plan, compiler: Compiler, cache: Path) -> Path:
    texts = {name: _source(name) for name in SOURCES}
    texts |= {"plan.h": plan.plan, "calls.h": plan.calls}
    parts = [FORMAT, compiler.path, compiler.identity, *FLAGS]
    parts += [word for name in sorted(texts) for word in (name, texts[name])]
    folder = cache / "driver" / key(os.fsencode(part) for part in parts)
    entry = Entry(folder, "driver", FORMAT)
    with entry.locked():
        if entry.note() is None:
            with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as place:
                entry.enter(_compile(compiler.path, texts, Path(place)))
            entry.path.chmod(0o700)
    return entry.path


@lru_cache(maxsize=4)
def _compiler(path: str) -> Compiler:
    """The compiler on this PATH."""
    return find_compiler()


@lru_cache(maxsize=len(SOURCES))
def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _compile(compiler: str, texts: Mapping[str, str], place: Path) -> Path:
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    words = [compiler, *FLAGS, "-o", "driver", "driver.c", "-ldl"]
    ended = Commands().run(words, place, environment(), LIMIT, Kept(1 << 12))
    if ended.status:
        raise Refused(f"the driver does not compile: {ended.output.strip()[:400]}")
    return place / "driver"
