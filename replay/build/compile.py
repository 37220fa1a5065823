"""A step's tree → a shared library, by our own call of the compiler; kept in a cache.

Nothing of the tree is executed here: no make, no script, only the compiler on the listed
sources. (Whoever loads the library runs the step's code: see ``replay.dirty.native``.) A build
that fails is a value, since it is a verdict on the step; that there is no compiler, or no
room for the cache, is an error.

The cache is keyed by all that the library depends on: the bytes of the tree, the
compiler's path and what it says of its version, and the flags. An entry is used only if
the library has the checksum that was noted when it was made; else it is made again. Two
processes that want the same entry at once build it once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Final, TypeAlias

from replay.base.pool import result_of
from replay.errors import ReplayError

LIBRARY: Final = "libdirty.so"
FORMAT: Final = "replay-build/1"
"""Part of every key: change it when the meaning of an entry changes."""

STRICT: Final = ("-std=gnu11", "-fPIC", "-g", "-Wall", "-Wextra", "-Werror", "-Iinclude")
PLAIN: Final = ("-O2",)
SANITIZE: Final = (
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)
# Symbols of the library are its own, whatever else the process has loaded.
LINK: Final = ("-shared", "-Wl,-Bsymbolic")

LIMIT: Final = 120.0
"""Seconds that one build may take."""

MAX_OUTPUT: Final = 64 * 1024
"""Bytes of the compiler's output that are kept."""

MAX_TREE: Final = 64 << 20
MAX_MEMORY: Final = 4 << 30
KEPT_ENVIRONMENT: Final = ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME")

Tree: TypeAlias = Mapping[str, bytes] | Path
"""A step's files: path to content, or the folder that holds them."""


class BuildError(ReplayError):
    """No compiler, an unusable cache folder, or a tree that is none."""


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


@dataclass(frozen=True, slots=True)
class Built:
    """A library that was made, or was there.

    Attributes:
        step: the number of the step.
        path: the library.
        seconds: what making it took, or looking for it.
        cached: whether it was there.
        preload: the sanitizer's runtime, to be loaded before anything else; "" for none.

    """

    step: int
    path: Path
    seconds: float
    cached: bool
    preload: str = ""


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """A step that does not compile without a warning, or not in time: a verdict on it.

    ``output`` is what the compiler said, cut to MAX_OUTPUT and as it came: it may hold
    anything. Show ``text`` instead.
    """

    step: int
    output: str
    seconds: float
    timed_out: bool = False

    @property
    def text(self) -> str:
        """The output, fit for a terminal."""
        return neutral(self.output)


Outcome: TypeAlias = Built | BuildFailed

_CONTROL: Final = re.compile(
    r"[^\t\n\x20-\x7e\u00a1-\ud7ff\ue000-\ufdcf]|[\u200b-\u202e\u2060-\u206f]"
)


def neutral(text: str) -> str:
    """A text with everything that could steer a terminal written as an escape."""
    return _CONTROL.sub(lambda match: ascii(match.group())[1:-1], text)


# --- the compiler -------------------------------------------------------------------


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
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, check=True, timeout=20, env=_environment()
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{path} --version fails ({error}); is it a C compiler?") from None
    return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
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
    done = subprocess.run(
        [compiler.path, f"-print-file-name={name}"],
        capture_output=True, check=False, timeout=20, env=_environment(),
    )  # fmt: skip
    path = Path(done.stdout.decode(errors="replace").strip())
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


# --- the tree -----------------------------------------------------------------------


def read_tree(tree: Tree) -> dict[str, bytes]:
    """The files of a tree by path; those that have nothing to do with building left out.

    Raises:
        BuildError: a path that leaves the tree, no source, or far too much.

    """
    if isinstance(tree, Path):
        tree = _read_folder(tree)
    files = {}
    for name, content in tree.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise BuildError(f"{neutral(name)!r} is no path inside a tree")
        if path.suffix in (".c", ".h"):
            files[name] = content
    if not sources(files):
        raise BuildError("the tree has no C source beside its Makefile or in util/")
    if sum(map(len, files.values())) > MAX_TREE:
        raise BuildError(f"the tree has more than {MAX_TREE >> 20} MiB of sources")
    return files


def _read_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise BuildError(f"{folder}: no such folder")
    files = {}
    for path in sorted(folder.rglob("*.[ch]")):
        # What a link points to is not part of the tree.
        if path.is_file() and not path.is_symlink():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def sources(files: Mapping[str, bytes]) -> list[str]:
    """What is compiled: all C files at the top of the tree and in util/."""
    return sorted(
        name
        for name in files
        if name.endswith(".c") and PurePosixPath(name).parent.as_posix() in (".", "util")
    )


# --- the cache ----------------------------------------------------------------------


def cache_folder() -> Path:
    """REPLAY_CACHE, or replay in XDG_CACHE_HOME, or ~/.cache/replay."""
    if own := os.environ.get("REPLAY_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "replay"


def _key(files: Mapping[str, bytes], compiler: Compiler, flags: Sequence[str]) -> str:
    digest = hashlib.sha256()
    parts: list[bytes] = [FORMAT.encode(), compiler.path.encode(), compiler.identity.encode()]
    parts += [os.fsencode(flag) for flag in flags]
    for name in sorted(files):
        parts += [os.fsencode(name), files[name]]
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_sound(entry: Path) -> bool:
    """Whether an entry holds the library that was put there."""
    try:
        note = json.loads((entry / "entry.json").read_bytes())
        return bool(note["sha256"] == _checksum(entry / LIBRARY))
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def _locked(entry: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that has it."""
    try:
        entry.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (entry / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise BuildError(
            f"{entry}: cannot be used as a cache: {error.strerror}; name another folder in "
            "REPLAY_CACHE"
        ) from None


def _enter(made: Path, entry: Path) -> None:
    """Put a library into its entry: the note last, so that it never stands for less."""
    (entry / "entry.json").unlink(missing_ok=True)
    note = json.dumps({"format": FORMAT, "sha256": _checksum(made)})
    (made.parent / "entry.json").write_text(note)
    made.replace(entry / LIBRARY)
    (made.parent / "entry.json").replace(entry / "entry.json")


# --- building -----------------------------------------------------------------------


def build(
    step: int,
    tree: Tree,
    *,
    compiler: str | None = None,
    sanitize: bool = False,
    flags: Sequence[str] = (),
    cache: Path | None = None,
    limit: float = LIMIT,
) -> Outcome:
    """Compile a step's tree into a shared library, or find it in the cache.

    Args:
        step: the number that the result carries.
        tree: the step's files; only C sources and headers matter.
        compiler: its name or path; cc by default.
        sanitize: build with the address and the undefined behaviour sanitizer.
        flags: more flags for the compiler, after ours.
        cache: the folder of the cache, if not the user's.
        limit: seconds.

    Raises:
        BuildError: no compiler, an unusable cache, or a tree that is none.

    """
    began = time.monotonic()
    found = find_compiler(compiler)
    preload = sanitizer_runtime(found) if sanitize else ""
    chosen = (*STRICT, *(SANITIZE if sanitize else PLAIN), *flags)
    if sanitize and found.is_clang:
        chosen += ("-shared-libasan",)
    files = read_tree(tree)
    entry = (cache or cache_folder()) / "build" / _key(files, found, chosen)
    with _locked(entry):
        cached = _is_sound(entry)
        if not cached:
            with tempfile.TemporaryDirectory(dir=entry, prefix="making-") as place:
                failed = _compile(step, files, found, chosen, Path(place), limit)
                if failed:
                    return failed
                _enter(Path(place) / LIBRARY, entry)
    return Built(step, entry / LIBRARY, time.monotonic() - began, cached, preload)


def _compile(
    step: int,
    files: Mapping[str, bytes],
    compiler: Compiler,
    flags: Sequence[str],
    place: Path,
    limit: float,
) -> BuildFailed | None:
    """Write the tree to ``place`` and compile it there; None when all went well."""
    for name, content in files.items():
        path = place / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # The library does not tell where it was made, and so is the same wherever that is.
    command = [
        compiler.path, *flags, *compiler.terse, f"-ffile-prefix-map={place / 'tree'}=.",
        *LINK, "-o", str(place / LIBRARY), *sources(files),
    ]  # fmt: skip
    began = time.monotonic()
    status, output, in_time = _run(command, place / "tree", limit)
    seconds = time.monotonic() - began
    if not in_time:
        said = f"the compiler did not end within {limit:g} s\n{output}"
        return BuildFailed(step, said, seconds, timed_out=True)
    if status or not (place / LIBRARY).is_file():
        said = output or f"the compiler ended with status {status} and said nothing"
        return BuildFailed(step, said.replace(str(place), "."), seconds)
    return None


def _run(command: Sequence[str], folder: Path, limit: float) -> tuple[int, str, bool]:
    """(exit status, the first of its output, whether it ended in time)."""
    process = subprocess.Popen(
        command, cwd=folder, env=_environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    assert process.stdout is not None
    kept = bytearray()
    reader = threading.Thread(target=_drain, args=(process.stdout, kept), daemon=True)
    reader.start()
    in_time = True
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        in_time, status = False, -1
    finally:
        # The compiler's own children must not outlive it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(5)
        process.stdout.close()
    return status, kept.decode(errors="replace"), in_time


def _drain(stream: IO[bytes], kept: bytearray) -> None:
    """Read to the end, keeping the first MAX_OUTPUT bytes."""
    while chunk := stream.read(8192):
        kept += chunk[: max(MAX_OUTPUT - len(kept), 0)]


def build_series(
    trees: Mapping[int, Tree],
    *,
    compiler: str | None = None,
    sanitize: bool = False,
    flags: Sequence[str] = (),
    cache: Path | None = None,
    limit: float = LIMIT,
    jobs: int = 2,
    progress: Callable[[Outcome], None] | None = None,
) -> dict[int, Outcome]:
    """Build the trees of many steps, ``jobs`` at a time; outcomes in the order of steps.

    ``progress`` is called with each outcome as it comes, in this thread.

    Raises:
        BuildError: as :func:`build`.

    """
    find_compiler(compiler)
    outcomes = {}
    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        futures = {
            step: pool.submit(
                build, step, trees[step], compiler=compiler, sanitize=sanitize, flags=flags,
                cache=cache, limit=limit,
            )
            for step in sorted(trees)
        }  # fmt: skip
        try:
            for step, future in futures.items():
                outcomes[step] = result_of(future)
                if progress:
                    progress(outcomes[step])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes
