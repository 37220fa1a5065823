"""A step's sources as one unit, compiled so that each load and store is told of."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from replay.build.compile import BuildFailed, Built, build, sources
from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.build.helper import NotCompiledError, compiled_helper
from replay.build.output import telling_line
from replay.dirty.explore.errors import ToolError
from replay.dirty.native.model import word_flags
from replay.series.declared import data_path

HERE: Final = Path(__file__).parent
FRAME: Final = "unit.c"
FACE: Final = "concolic.h"
ENGINE: Final = "engine.c"
FORMAT: Final = "replay-concolic/1"
DRIVER: Final = "driver.c"
LAST: Final = "util/alloc.c"
"""It takes back what a header makes of abort()."""
MARK: Final = "/* SOURCES */\n"

TOLD: Final = (
    "-O1",
    "-g0",
    "-I.",
    "-fno-builtin",
    "-Wl,-z,relro,-z,now",
    "-fsanitize=kernel-address",
)
OFF: Final = ("asan-instrumentation-with-call-threshold", "asan-stack", "asan-globals")
"""With 0 for all of these each load and store is a call, and nothing else is added."""
GCC: Final = (
    "-fno-tree-vectorize", "-fno-tree-loop-distribute-patterns", "-fno-store-merging",
    *(word for name in OFF for word in ("--param", f"{name}=0")),
)  # fmt: skip
CLANG: Final = (
    "-fno-vectorize", "-fno-slp-vectorize",
    *(word for name in OFF for word in ("-mllvm", f"-{name}=0")),
)  # fmt: skip

COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
UNTOLD: Final = re.compile(
    r"\b(asm|__asm|__asm__|no_sanitize\w*|pragma|_Pragma|volatile|__thread)\b"
)
"""What the compiler would not tell of, or not as it is."""
COUNT: Final = "migration_dirty_pages"
COUNTING: Final = re.compile(
    rf"(?:extern\s+)?uint64_t\s+{COUNT}\s*;"
    rf"|(?<=[;{{}})])\s*{COUNT}\s*(?:\+\+|--|[+-]?=(?![^;]*\b{COUNT}\b)[^;]*);"
)
"""What may be done with the count of dirty pages, which is no part of a state."""


def built(step: int, files: Mapping[str, bytes], word_bits: int, bytewise: bool) -> Path:
    """The library of a step for the engine.

    Raises:
        ToolError: it cannot be made, or would hide something from the engine.

    """
    _checked(files)
    recipe = CLANG if find_compiler().is_clang else GCC
    flags = (*TOLD, *recipe, *word_flags(word_bits), *(("-DBYTEWISE",) if bytewise else ()))
    made = build(step, _unit(files), flags=flags)
    if isinstance(made, BuildFailed):
        why = telling_line(made.text)
        raise ToolError(f"the sources do not compile as one unit that tells its loads: {why}")
    assert isinstance(made, Built)
    return made.path


def _unit(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same tree with one source: the frame, and the others in it."""
    names = sorted(sources(files), key=lambda name: (name == LAST, name))
    unit = {
        f"src/{name}" if name in names else name: data
        for name, data in files.items() if name in names or name.endswith(".h")
    }  # fmt: skip
    frame = (HERE / FRAME).read_text(encoding="utf-8")
    lines = "".join(f'#include "src/{name}"\n' for name in names)
    unit[FRAME] = frame.replace(MARK, lines).encode()
    unit[f"include/{FACE}"] = (HERE / FACE).read_bytes()
    return unit


def _checked(files: Mapping[str, bytes]) -> None:
    own = (data_path() / "tree" / DRIVER).read_bytes()
    if files.get(DRIVER) != own or LAST not in files:
        raise ToolError(f"the tree's {DRIVER} is not this version's: its operations are not known")
    for name, data in files.items():
        if not name.endswith((".c", ".h")) or name == DRIVER:
            continue
        text = COMMENT.sub(" ", data.decode("utf-8", "replace"))
        if untold := UNTOLD.search(text):
            raise ToolError(f"{name} holds {untold[1]!r}: what that does is not told")
        if COUNT in COUNTING.sub("", text):
            raise ToolError(f"{name} may ask for {COUNT}, which is no part of a state")


@cache
def engine() -> Path:
    """The program that executes units.

    Raises:
        ToolError: there is no C compiler, or it fails.

    """
    # What it includes is no part of what an entry of the cache is named by.
    face = zlib.crc32(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.h"))))
    flags = (
        "-std=gnu11", "-O2", "-rdynamic", f"-I{HERE}", f"-DFACE={face}",
        "-Wl,--no-as-needed", "-ldl",
    )  # fmt: skip
    try:
        path = compiled_helper(find_compiler(), HERE / ENGINE, flags, FORMAT)
        path.chmod(0o700)
    except (BuildError, NotCompiledError) as error:
        raise ToolError(f"the engine cannot be compiled: {error}") from None
    return path
