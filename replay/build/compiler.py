"""Finding a C compiler, the sanitizers' runtimes, and what compilers get to see."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from replay.build.command import Commands
from replay.build.errors import BuildError
from replay.build.output import Kept

PATIENCE: Final = 20.0
"""Seconds that a compiler may take to say something of itself."""
MUCH: Final = 1 << 16
"""Bytes of that."""
KEPT_ENVIRONMENT: Final = ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME")


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler as found: where, and what it says of its version."""

    path: str
    identity: str

    @property
    def is_clang(self) -> bool:
        """Whether it takes clang's options."""
        return "clang" in self.identity

    @property
    def terse(self) -> tuple[str, ...]:
        """The options that keep its output short and plain."""
        limit = "-ferror-limit=20" if self.is_clang else "-fmax-errors=20"
        return ("-fdiagnostics-color=never", limit)


def find_compiler(name: str | None = None) -> Compiler:
    """A compiler by name or path; ``cc`` by default.

    Raises:
        BuildError: there is none of that name, or it does not run; how to get one.

    """
    wanted = name or "cc"
    path = shutil.which(wanted)
    if path is None:
        raise BuildError(
            f"there is no C compiler {wanted!r} on the PATH; install one (Debian and Ubuntu: "
            "apt-get install gcc, or clang; Fedora: dnf install gcc) or name another one"
        )
    return Compiler(path, _identity(path, Path(path).stat().st_mtime_ns))


@lru_cache(maxsize=16)
def _identity(path: str, changed: int) -> str:
    said, problem = _asked(path, "--version", environment())
    if problem:
        raise BuildError(f"{path} --version fails ({problem}); is it a C compiler?")
    return said


def _asked(compiler: str, option: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """What a compiler prints when it is asked of itself, and what went wrong, "" for nothing.

    Its warnings stand before that, if it has any.
    """
    try:
        ended = Commands().run([compiler, option], Path.cwd(), variables, PATIENCE, Kept(MUCH))
    except OSError as error:
        return "", str(error)
    if not ended.in_time:
        return "", f"no answer within {PATIENCE:.0f} seconds"
    return ended.output, f"exit status {ended.status}" if ended.status else ""


def environment() -> dict[str, str]:
    """What compilers get to see: none of the variables that add paths or options."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return kept | {"LC_ALL": "C"}


def sanitizer_runtime(compiler: Compiler) -> str:
    """The library that has to be loaded before one built with ``sanitize``.

    Raises:
        BuildError: the compiler has none; how to get it.

    """
    machine = os.uname().machine
    name = f"libclang_rt.asan-{machine}.so" if compiler.is_clang else "libasan.so"
    said, _ = _asked(compiler.path, f"-print-file-name={name}", environment())
    path = Path(said.strip().rpartition("\n")[2])
    if path.is_absolute() and path.is_file():
        head = path.read_bytes()[:4096]
        if head.startswith(b"\x7fELF"):
            return str(path)
        # Some systems have a script for the linker here, which names the library.
        for word in re.split(rb"[\s()]+", head):
            if word.startswith(b"/") and Path(os.fsdecode(word)).is_file():
                return os.fsdecode(word)
    raise BuildError(
        f"{compiler.path} has no address sanitizer ({name}); Debian and Ubuntu have it in "
        "libgcc-12-dev or libclang-rt-14-dev (of your compiler's version), Fedora in libasan"
    )


def sanitizer(needed: Sequence[str]) -> str:
    """The runtime to be loaded before a library that needs these; empty for none.

    A library of somebody's own build: by the compiler that the names speak of, run as the
    user would run it, and its bare name where that compiler is not there.
    """
    for name in needed:
        if name.startswith(("libasan", "libclang_rt.asan", "libtsan")):
            compiler = "clang" if "clang" in name else "cc"
            said, problem = _asked(compiler, f"-print-file-name={name}", os.environ)
            found = said.strip().rpartition("\n")[2]
            return found if not problem and Path(found).is_absolute() else name
    return ""
