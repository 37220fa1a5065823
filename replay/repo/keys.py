"""What the verdict on a pair depends on, as a key: nothing else may make another verdict.

The tool's own code that decides; both libraries, as they are bound and loaded; the interface
with the constants that were mined; which traces are drawn, and how long they may take; the
machine. Of the environment those variables count that the loader, the C library and the
sanitizers obey, and those whose names stand in one of the libraries, which may ask for them.

What a library reads besides (files, the network, the calendar) nobody can know: where that
makes a difference within a run, its behaviour comes and goes, and nothing is remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import elftools
from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from replay.build.cache import key
from replay.repo.binding import Draft, Interface, Operation
from replay.repo.coded import encode
from replay.repo.pairing import Pair
from replay.repo.targets import Target

FORMAT: Final = "replay-judged/1"
DECIDING: Final = ("apart", "base", "elf", "repo", "search")
"""The rooms whose code decides."""
SOURCES: Final = frozenset((".py", ".c", ".h"))
LOADER_CACHE: Final = "/etc/ld.so.cache"
"""It is written anew whenever a library of the system is."""
OBEYED: Final = ("LD_", "LC_", "LANG", "TZ", "MALLOC_", "GLIBC_", "ASAN_", "UBSAN_", "TSAN_")
"""How the names of variables begin that what is below the library obeys."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every pair of a run.

    Attributes:
        interface: with the constants that were mined.
        seed: of the traces.
        effort: how many traces are drawn, in words that say all of it.
        ops: calls of a trace at most.
        budget: candidates tried to shorten an example.
        limit: seconds of processor time that a trace may take.

    """

    interface: Interface
    seed: int
    effort: str
    ops: int
    budget: int
    limit: float

    def digest(self) -> str:
        """Equal for two that ask the same; where something stands in a file says nothing."""
        plain = encode(_unplaced(self.interface), Interface)
        rest = [self.seed, self.effort, self.ops, self.budget, self.limit.hex()]
        return hashlib.sha256(json.dumps([plain, rest]).encode()).hexdigest()


def _unplaced(interface: Interface) -> Interface:
    def drafts(ones: Iterable[Draft]) -> tuple[Draft, ...]:
        return tuple(replace(one, line=None, key="") for one in ones)

    def operation(op: Operation) -> Operation:
        return replace(op, draft=drafts([op.draft])[0])

    whole = interface.binding
    binding = replace(
        whole, path="", ops=drafts(whole.ops), observers=drafts(whole.observers),
        maps=tuple(replace(one, line=None, key="") for one in whole.maps),
    )  # fmt: skip
    ops = {name: operation(op) for name, op in interface.ops.items()}
    return replace(
        interface, binding=binding, ops=ops, observers=tuple(map(operation, interface.observers))
    )


def pair_key(question: str, pair: Pair, trees: Sequence[str]) -> str | None:
    """The key of a pair; None where there is none: with a model or a rule, or without its files.

    Args:
        question: its digest.
        pair: not with a model or a rule, which are programs that may do anything.
        trees: of its two commits, as changed lines are those between them; none if not asked.

    """
    if pair.before.model or pair.after.model:
        return None
    expected = pair.expected.entries if pair.expected is not None else ()
    if any(entry.rule is not None for entry in expected):
        return None
    try:
        sides = [_side(side) for side in (pair.before, pair.after)]
        parts = (
            FORMAT, version(), machine(), question, json.dumps(sorted(pair.names)),
            json.dumps(list(trees)), *sides, json.dumps(_variables(pair)),
            repr([(e.number, e.functions, e.fields, e.results) for e in expected]),
        )  # fmt: skip
    except OSError:
        return None
    return key(part.encode() for part in parts)


def _side(side: Target) -> str:
    """A library as it is called, by its bytes, and what is loaded with it."""
    preloaded = [side.preload, *os.environ.get("LD_PRELOAD", "").replace(":", " ").split()]
    return json.dumps(
        [
            side.key, side.bound.missing, _digest(side.library),
            [_state(one) for one in preloaded if one],
            [_state(one) for one in searched(side.library)],
        ]
    )  # fmt: skip


def _digest(path: Path) -> str:
    return _held(path, _state(path))[0]


@lru_cache(maxsize=4096)
def _held(path: Path, state: object, known: tuple[bytes, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """The digest of a file that is in this state, and which of some names are in it."""
    data = path.read_bytes()
    found = tuple(os.fsdecode(name) for name in known if name + b"\0" in data)
    return hashlib.sha256(data).hexdigest(), found


def _state(path: Path | str) -> tuple[str, int, int] | tuple[str]:
    """What tells when a file is another one."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return (str(path),)
    return str(path), status.st_size, status.st_mtime_ns


def searched(library: Path) -> list[Path]:
    """The libraries that one needs, where they are not looked for in the system's folders alone."""
    needed, own = _needed(library, _state(library))
    given = os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
    places = [Path(one) for one in (*given, *own) if one]
    return [place / name for place in places for name in needed if (place / name).is_file()]


@lru_cache(maxsize=4096)
def _needed(library: Path, state: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a library that is in this state needs, and the folders in which it says to look."""
    try:
        with library.open("rb") as file:
            elf: Any = ELFFile(file)
            section = elf.get_section_by_name(".dynamic")
            tags = list(section.iter_tags()) if isinstance(section, DynamicSection) else []
            needed = tuple(tag.needed for tag in tags if hasattr(tag, "needed"))
            paths = [
                getattr(tag, name)
                for tag in tags for name in ("runpath", "rpath") if hasattr(tag, name)
            ]  # fmt: skip
    except (ELFError, UnicodeDecodeError, ValueError):
        return (), ()
    here = str(library.parent)
    whole = ":".join(paths).replace("$ORIGIN", here).replace("${ORIGIN}", here)
    return needed, tuple(whole.split(":"))


def _variables(pair: Pair) -> list[tuple[str, str]]:
    """The variables of the environment that may make a difference."""
    names = sorted(name for name in os.environ if len(name) > 1)
    known = tuple(os.fsencode(name) for name in names)
    counting = {name for name in names if name.startswith(OBEYED)}
    for side in (pair.before, pair.after):
        counting.update(_held(side.library, _state(side.library), known)[1])
    return [(name, os.environ[name]) for name in sorted(counting)]


@lru_cache(maxsize=1)
def version() -> str:
    """A digest of the code that decides: its sources, and what draws and reads for it."""
    return f"{sources_digest(Path(__file__).parent.parent)} {sys.version} {elftools.__version__}"


def sources_digest(top: Path) -> str:
    """A digest of the sources in those of a package's folders that decide."""
    digest = hashlib.sha256()
    for room in DECIDING:
        for path in sorted((top / room).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                name, data = str(path.relative_to(top)).encode(), path.read_bytes()
                digest.update(b"%d %s %d:" % (len(name), name, len(data)) + data)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def machine() -> str:
    """What is below the libraries: the kernel, the C library, those of the system."""
    names = os.uname()
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        libc = None
    return json.dumps([names.sysname, names.release, names.machine, libc, _state(LOADER_CACHE)])
