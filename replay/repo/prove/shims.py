"""Compilers that stand in for those of a user's build: another one, another level, or a record.

A build is run as the user gave it, but finds these first on its PATH, and as CC where that is
set. So it need not take CC or CFLAGS itself, and what it sets comes before what is added.
What a build calls by a path of its own is not replaced.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.build.cache import cache_folder, key
from replay.build.errors import BuildError

C_NAMES: Final = ("cc", "gcc", "clang", "c99", "c11", "tcc", "icx")
CXX_NAMES: Final = ("c++", "g++", "clang++")
LOOSE: Final = (
    "-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-fassociative-math",
    "-freciprocal-math", "-ffinite-math-only", "-fno-signed-zeros",
)  # fmt: skip
"""Options by which the same source may be calculated otherwise at each level."""

DEFINED: Final = ("-fwrapv", "-fno-strict-aliasing", "-fno-delete-null-pointer-checks")
"""Options by which a compiler reads as defined what it might else read as it likes."""

_HEAD: Final = """\
#!/bin/sh
# {name}: {what}
here={folder}
rest=
IFS=:
for one in $PATH; do [ "$one" = "$here" ] || rest=$rest${{rest:+:}}$one; done
unset IFS
PATH=$rest
export PATH
"""
_SWITCH: Final = """\
for word do
    case $word in
        {loose}) echo "replay: $word lets each level calculate otherwise" >&2; exit 1 ;;
    esac
done
exec {compiler} "$@" {options}
"""
_RECORD: Final = """\
{compiler} "$@" || exit $?
call=$(mktemp {record}/call-XXXXXX) || exit 1
for word do printf '%s\\n' "$word" >> "$call"; done
: > "$call.sources"
skip=
for word do
    shift
    if [ "$skip" ]; then skip=; continue; fi
    case $word in
        -o|-MF|-MT|-MQ) skip=1 ;;
        -o?*|-c|-S|-M*|-shared|-Wl,*|-l*|-L*|*.o|*.a|*.so|*.lo) ;;
        *.c) printf '%s\\n' "$word" >> "$call.sources" ;;
        *) set -- "$@" "$word" ;;
    esac
done
number=0
while IFS= read -r source; do
    number=$((number + 1))
    {compiler} -E "$@" "$source" -o "$call.$number.i" || exit 0
done < "$call.sources"
exit 0
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A compiler and a level."""

    compiler: str
    level: str

    @property
    def text(self) -> str:
        """As a user writes it: ``gcc -O2``."""
        return f"{self.compiler} {self.level}"


def switched(command: str, recipe: Recipe) -> str:
    """A build's command, by another compiler and level.

    A build with options that let each level calculate otherwise fails.

    Raises:
        BuildError: the cache cannot be written.

    """
    quiet = f"-Wno-error -fno-lto {' '.join(DEFINED)}"
    if recipe.compiler == "clang":
        quiet += " -Wno-unknown-warning-option -Wno-ignored-optimization-argument"
    body = _SWITCH.replace("{loose}", "|".join(LOOSE))
    texts = {}
    for name in (*C_NAMES, *CXX_NAMES, _own()):
        real = recipe.compiler
        if name in CXX_NAMES:
            real = {"gcc": "g++", "clang": "clang++"}.get(real, real)
        options = f"{recipe.level} {quiet}"
        texts[name] = body.format(compiler=real, options=options)
    parts = [word.encode() for name in sorted(texts) for word in (name, texts[name])]
    folder = cache_folder() / "prove" / key([_HEAD.encode(), *parts])
    try:
        _fill(folder, texts, recipe.text)
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written ({error.strerror})") from None
    return _before(command, folder)


def recording(command: str, record: Path) -> str:
    """A build's command, which leaves its arguments and preprocessed sources in a folder.

    There are, for each call of a compiler, ``call-X`` with an argument a line,
    ``call-X.sources`` with a C file a line, and ``call-X.N.i`` for each of them.
    """
    place = shlex.quote(str(record))
    texts = {
        name: _RECORD.format(compiler=_real(name), record=place)
        for name in (*C_NAMES, *CXX_NAMES, _own())
    }
    _fill(record / "bin", texts, "it leaves a record")
    return _before(command, record / "bin")


def _own() -> str:
    """The compiler that the user's CC names, by its name alone."""
    words = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return Path(words[-1] if words[0].endswith("ccache") else words[0]).name


def _real(name: str) -> str:
    """What to call where a name is called: CC as it is, where that has a path."""
    words = shlex.split(os.environ.get("CC", ""))
    if name == _own() and words and "/" in words[0]:
        return shlex.quote(words[0])
    return shlex.quote(name)


def _fill(folder: Path, texts: dict[str, str], what: str) -> None:
    """Put programs of these names into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        if path.is_file():
            continue
        head = _HEAD.format(name=name, what=what, folder=shlex.quote(str(folder)))
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            file.write(head + text)
        made = Path(file.name)
        made.chmod(0o755)
        made.replace(path)


def _before(command: str, folder: Path) -> str:
    place = shlex.quote(str(folder))
    own = shlex.quote(str(folder / _own()))
    return (
        f'PATH={place}:"$PATH"; export PATH; if [ "$CC" ]; then CC={own}; export CC; fi\n{command}'
    )
