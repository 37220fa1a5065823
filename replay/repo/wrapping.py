"""``--wrapper``: C files that are built into the library of each commit.

They stand in a folder of a fixed name in the tree that is built. A build command that names
REPLAY_WRAPPER is given their paths in it, and links them itself. Any other build finds
compilers on its PATH that do what they always do, but for one thing: where they link the
library, they compile the wrapper and add it. So the library is one file, whose debug
information and code are all that is called.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from replay.repo.errors import RepoError

FOLDER: Final = ".replay-wrapper"
VARIABLE: Final = "REPLAY_WRAPPER"
COMPILERS: Final = ("cc", "gcc", "c99", "c11", "clang", "c++", "g++", "clang++")
SOURCES: Final = (".c", ".cc", ".cpp", ".cxx")

SHIM: Final = """\
#!/bin/sh
# {name}, which adds the wrapper to the library {library}.
shared= output= next=
: > {place}/flags
for word do
    if [ "$next" ]; then output=$word; next=; continue; fi
    case $word in
        -shared) shared=1 ;;
        -o) next=1 ;;
        -o?*) output=${{word#-o}} ;;
        -I?*|-D?*|-m?*|-fsanitize*) printf '"%s"\\n' "$word" >> {place}/flags ;;
    esac
done
case ${{output##*/}} in
    {library}|{library}.[0-9]*) ;;
    *) shared= ;;
esac
[ "$shared" ] || exec {real} "$@"
{compile}
: > {place}/linked
exec {real} {objects} "$@"
"""
COMPILE: Final = (
    "{real} -g -O1 -fPIC -I{top} -I{top}/include -I{top}/src -I. @{place}/flags "
    "-c {source} -o {object} || exit $?"
)


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Files to be built into each library.

    Attributes:
        files: their contents by their names; headers among them are only put beside.
        asked: whether the build command links them itself.

    """

    files: dict[str, bytes]
    asked: bool

    @classmethod
    def read(cls, paths: Sequence[Path], command: str) -> Wrapper:
        """Read them.

        Raises:
            RepoError: one cannot be read, or two have one name, or none is a source.

        """
        files: dict[str, bytes] = {}
        for path in paths:
            if path.name in files:
                raise RepoError(f"--wrapper {path}: a second file of that name; rename one")
            try:
                files[path.name] = path.read_bytes()
            except OSError as error:
                raise RepoError(
                    f"--wrapper {path}: cannot be read ({error.strerror}); name a C file"
                ) from None
        if paths and not _sources(files):
            raise RepoError(f"--wrapper {paths[0]}: no source; its name must end with .c")
        return cls(files, VARIABLE in command)

    def place(self, top: Path, library: str, path: str) -> dict[str, str]:
        """Put the files into a tree; gives the variables that the build gets to see.

        Args:
            top: the folder of the tree.
            library: what the build makes.
            path: where programs are looked for.

        Raises:
            RepoError: the tree has something of that name already.

        """
        if not self.files:
            return {}
        folder = top / FOLDER
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise RepoError(f"the tree has a {FOLDER} of its own; --wrapper needs that name")
        folder.mkdir(exist_ok=True)
        (folder / "linked").unlink(missing_ok=True)
        for name, content in self.files.items():
            file = folder / name
            # One that is kept has not changed, for a build that looks at its time.
            if not file.is_file() or file.is_symlink() or file.read_bytes() != content:
                file.unlink(missing_ok=True)
                file.write_bytes(content)
        sources = [str(folder / name) for name in _sources(self.files)]
        found = {VARIABLE: " ".join(sources)}
        if self.asked:
            return found
        self._shims(top, PurePosixPath(library).name, path)
        return {**found, "PATH": f"{folder / 'bin'}{os.pathsep}{path}"}

    def _shims(self, top: Path, library: str, path: str) -> None:
        folder = top / FOLDER
        (folder / "bin").mkdir(exist_ok=True)
        own = os.environ.get("CC", "").split()[:1]
        for name in dict.fromkeys((*COMPILERS, *(one for one in own if "/" not in one))):
            real = shutil.which(name, path=path)
            if real is None:
                continue
            words = {"real": real, "top": str(top), "place": str(folder)}
            quoted = {key: shlex.quote(value) for key, value in words.items()}
            compiled, objects = [], []
            for source in _sources(self.files):
                made = shlex.quote(str(folder / f"{source}.o"))
                kind = "-x c " if source.endswith(".c") else ""
                named = kind + shlex.quote(str(folder / source))
                compiled.append(COMPILE.format(source=named, object=made, **quoted))
                objects.append(made)
            shim = folder / "bin" / name
            text = SHIM.format(
                name=name, library=shlex.quote(library), compile="\n".join(compiled),
                objects=" ".join(objects), **quoted,
            )  # fmt: skip
            if not shim.is_file() or shim.read_text() != text:
                shim.write_text(text)
                shim.chmod(0o755)

    def missing(self, top: Path) -> str:
        """Why a build that succeeded left the wrapper out; empty if it did not."""
        if not self.files or self.asked or (top / FOLDER / "linked").exists():
            return ""
        names = ", ".join(_sources(self.files))
        return (
            f"the wrapper {names} was not linked into the library: the build does not link it "
            f"with a compiler that is found on the PATH; name ${VARIABLE}, the paths of the "
            "wrapper's files, in the build command where it links"
        )

    def key(self) -> list[bytes]:
        """What of it a library depends on."""
        return [part for name in sorted(self.files) for part in (name.encode(), self.files[name])]


def _sources(files: dict[str, bytes]) -> list[str]:
    return [name for name in files if name.endswith(SOURCES)]
