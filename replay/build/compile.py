"""A step's tree → a shared library, by our own call of the compiler; kept in a cache.

Nothing of the tree is executed here: no make, no script, only the compiler on the listed
sources. (Whoever loads the library runs the step's code: see ``replay.dirty.native``.) A build
that fails is a value, since it is a verdict on the step; that there is no compiler, or no
room for the cache, is an error.

The cache is keyed by all that the library depends on: the bytes of the tree, the
compiler's path and what it says of its version, and the flags. Two processes that want
the same entry at once build it once. So are the objects that it is linked from, see
:mod:`replay.build.pieces`: a library with one source changed compiles that one.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from replay.base.pool import result_of
from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands
from replay.build.compiler import Compiler, environment, find_compiler, sanitizer_runtime
from replay.build.errors import BuildError
from replay.build.output import Kept, neutral
from replay.build.pieces import batches, object_of, piece

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

Tree: TypeAlias = Mapping[str, bytes] | Path
"""A step's files: path to content, or the folder that holds them."""


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


# --- building -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recipe:
    """How libraries are made: the compiler, its flags, the sanitizer's runtime or ""."""

    compiler: Compiler
    flags: tuple[str, ...]
    preload: str

    @classmethod
    def of(cls, compiler: str | None, sanitize: bool, flags: Sequence[str]) -> Recipe:
        """See :func:`build`.

        Raises:
            BuildError: there is no such compiler, or it has no sanitizer.

        """
        found = find_compiler(compiler)
        preload = sanitizer_runtime(found) if sanitize else ""
        chosen = (*STRICT, *(SANITIZE if sanitize else PLAIN), *flags)
        if sanitize and found.is_clang:
            chosen += ("-shared-libasan",)
        return cls(found, chosen, preload)

    def key(self, files: Mapping[str, bytes]) -> str:
        """The name of what is made of these files."""
        parts = [FORMAT.encode(), *self.how]
        for name in sorted(files):
            parts += [os.fsencode(name), files[name]]
        return key(parts)

    @property
    def how(self) -> list[bytes]:
        """All that a build depends on beside the files."""
        compiler = [self.compiler.path.encode(), self.compiler.identity.encode()]
        return compiler + [os.fsencode(flag) for flag in self.flags]

    def compile(
        self, step: int, files: Mapping[str, bytes], place: Path, limit: float, pieces: Path
    ) -> BuildFailed | None:
        """Write the tree to ``place`` and compile it there; None when all went well.

        Objects of its sources are taken from the folder ``pieces``, or left there.
        """
        for name, content in files.items():
            path = place / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        work = _Work(self, step, place, time.monotonic() + limit, limit)
        entries = {name: piece(pieces, self.how, files, name) for name in sources(files)}
        missing = [name for name, entry in entries.items() if entry.note() is None]
        for batch in batches(missing):
            if failed := work.call(["-c", *batch], [object_of(name) for name in batch]):
                return failed
            for name in batch:
                with entries[name].locked():
                    entries[name].enter(place / "tree" / object_of(name))
        objects = [str(entry.path) for entry in entries.values()]
        return work.call([*LINK, "-o", str(place / LIBRARY), *objects], [f"../{LIBRARY}"])


@dataclass(frozen=True, slots=True)
class _Work:
    """A tree that stands in ``place / "tree"`` and is compiled until ``end``."""

    recipe: Recipe
    step: int
    place: Path
    end: float
    limit: float

    def call(self, words: Sequence[str], made: Sequence[str]) -> BuildFailed | None:
        """Call the compiler, which is to make these files; None when all went well."""
        compiler, tree = self.recipe.compiler, self.place / "tree"
        # What is made does not tell where, and so is the same wherever that is.
        # Some flags are for sources and some for the linker; clang would warn of the others.
        quiet = ("-Wno-unused-command-line-argument",) if compiler.is_clang else ()
        command = [
            compiler.path, *self.recipe.flags, *compiler.terse, *quiet,
            f"-ffile-prefix-map={tree}=.", *words,
        ]  # fmt: skip
        left = max(self.end - time.monotonic(), 0.0)
        ended = Commands().run(
            command, tree, environment(), left, Kept(MAX_OUTPUT), MAX_MEMORY
        )  # fmt: skip
        if not ended.in_time:
            said = f"the compiler did not end within {self.limit:g} s\n{ended.output}"
            return BuildFailed(self.step, said, ended.seconds, timed_out=True)
        if ended.status or not all((tree / name).is_file() for name in made):
            said = f"the compiler ended with status {ended.status} and said nothing"
            said = ended.output or said
            return BuildFailed(self.step, said.replace(str(self.place), "."), ended.seconds)
        return None


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
    recipe = Recipe.of(compiler, sanitize, flags)
    files = read_tree(tree)
    root = cache or cache_folder()
    folder = root / "build" / recipe.key(files)
    entry = Entry(folder, LIBRARY, FORMAT)
    with entry.locked():
        cached = entry.note() is not None
        if not cached:
            with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as place:
                failed = recipe.compile(step, files, Path(place), limit, root / "pieces")
                if failed:
                    return failed
                entry.enter(Path(place) / LIBRARY)
    return Built(step, entry.path, time.monotonic() - began, cached, recipe.preload)


def apart(steps: Sequence[int], jobs: int) -> list[int]:
    """Steps in such an order that neighbours, which share sources, are not built at once."""
    size = max(1, -(-len(steps) // max(jobs, 1)))
    parts = [steps[at : at + size] for at in range(0, len(steps), size)]
    return [step for row in zip_longest(*parts) for step in row if step is not None]


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
            for step in apart(sorted(trees), jobs)
        }  # fmt: skip
        try:
            for step in sorted(trees):
                outcomes[step] = result_of(futures[step])
                if progress:
                    progress(outcomes[step])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes
