"""The sources of a library as its build preprocessed them, fit to stand beside another version.

The build is run once more, and leaves what the preprocessor made of each C file. Of these the
files count that the library's debug information names, all of them, or it is no version that
an engine could be told. The names that the library defines, and the tags of its structs, get
a prefix by macros, all that are called so with them: then both versions fit into one program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from replay.elf.debug import DebugInfo
from replay.elf.dwarftypes import TypeReader
from replay.elf.errors import ElfError
from replay.elf.image import Image
from replay.repo.building import Builder, NotBuilt
from replay.repo.code import plain
from replay.repo.errors import RepoError
from replay.repo.exported import Leaf, Leaves
from replay.repo.prove.shims import LOOSE, recording

FLOATS: Final = """\
#define _Float32 float
#define _Float64 double
#define _Float32x double
#define _Float64x long double
#define _Float128 long double
"""
"""What some compilers' headers name, and no engine knows."""
REFUSED: Final = re.compile(
    r"\b(asm|__asm__|__asm|volatile|__volatile__|_Atomic|_Thread_local|__thread|_Float\w+|"
    r"__float128|long\s+double|_Decimal\d+|_Complex|__int128|__int128_t|__uint128_t|setjmp|"
    r"longjmp|alloca|"
    r"__builtin_alloca|__builtin_ia32_\w+|vector_size|__vector_size__|__attribute_alias__|"
    r"constructor|destructor|__constructor__|cleanup|__cleanup__|packed|__packed__|"
    r"__builtin_return_address|__builtin_frame_address|__builtin_constant_p)\b"
)
"""Words of a source that an engine reads otherwise than a compiler, or not at all."""
CHANGING: Final = (
    *LOOSE, "-funsigned-char", "-fpack-struct", "-fshort-enums", "-m32", "-mx32", "-march",
    "-mfma", "-mfpmath", "-ffp-contract", "-frounding-math", "-fsingle-precision-constant",
)  # fmt: skip
"""Options by which C means something else than an engine takes it for."""
MOST: Final = 4 << 20
"""Characters of the sources of a library."""
_MARKER: Final = re.compile(r'^# \d+ "((?:[^"\\]|\\.)*)"((?: \d)*)$')
_TAG: Final = re.compile(r"\b(?:struct|union|enum)\s+([A-Za-z_]\w*)")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that lives as long as the program.

    Attributes:
        unit: the number of the source that defines it.
        leaves: the numbers in it, as in ``replay.repo.exported``; None where not known.

    """

    unit: int
    leaves: tuple[Leaf, ...] | None


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a library.

    Attributes:
        texts: of each C file, without the preprocessor's marks.
        own: the names that the library defines, and the tags of its structs.
        functions: the source of each function by its number.
        variables: by name.
        wraps: whether signed overflow is defined, by an option.

    """

    texts: tuple[str, ...]
    own: frozenset[str]
    functions: dict[str, int]
    variables: dict[str, Variable]
    wraps: bool

    def prefixed(self, unit: int, prefix: str) -> str:
        """A source under other names."""
        names = "".join(f"#define {name} {prefix}{name}\n" for name in sorted(self.own))
        return f"{FLOATS}{names}{self.texts[unit]}"


def recorded(builder: Builder, tree: str, library: Path, record: Path) -> Sources | str:
    """Build a tree once more, and read its sources; a text says why there are none.

    ``library`` is what the user's build made of it, ``record`` a folder to be filled.
    """
    record.mkdir(parents=True)
    try:
        again = builder.by(recording(builder.command, record), rebuild=True)
        outcome = again.build_all([tree], 1)[tree]
    except RepoError as error:
        return str(error)
    except OSError as error:
        return f"its sources cannot be kept ({error.strerror})"
    if isinstance(outcome, NotBuilt):
        return f"building it once more fails: {outcome.reason}"
    try:
        return _read(library, record)
    except ElfError as error:
        return error.problem


@dataclass(frozen=True, slots=True)
class _File:
    """A source as it was preprocessed: its name, its text, and what of it is the user's."""

    name: str
    text: str
    own: str
    options: tuple[str, ...]


def _read(library: Path, record: Path) -> Sources | str:
    with Image(library) as image:
        debug = DebugInfo(image)
        units = list(debug.units())
        names = frozenset(plain(s.name) for s in image.symbols if s.section is not None and s.name)
        if any(unit.cxx or unit.assembler or unit.split for unit in units) or not units:
            return "not all of its sources are C with debug information"
        chosen: list[_File] = []
        files = list(_files(record))
        if not files:
            return "its build calls no compiler from the PATH or CC"
        if problem := _problem_of_options(files):
            return problem
        for unit in units:
            found = _chosen(PurePosixPath(unit.name).name, files)
            if isinstance(found, str):
                return found
            chosen.append(found)
        functions: dict[str, int] = {}
        for number, unit in enumerate(units):
            for die in unit.top:
                if die.tag == "subprogram" and not die.values.get("declaration") and die.name:
                    functions[die.name] = -1 if die.name in functions else number
        variables = _variables(debug)
    problem = _problem(chosen)
    if problem:
        return problem
    tags = {tag for file in chosen for tag in _TAG.findall(file.own)}
    own = frozenset(n for n in names | tags | functions.keys() if _WORD.fullmatch(n))
    return Sources(
        tuple(file.text for file in chosen),
        own - _COMMON,
        functions, variables,
        all("-fwrapv" in file.options for file in chosen),
    )  # fmt: skip


_COMMON: Final = frozenset(("main", "_init", "_fini", "memcpy", "memset"))
"""Names that stay as they are."""


def _chosen(name: str, files: Iterable[_File]) -> _File | str:
    """The one text of a source of this name."""
    found = [file for file in files if PurePosixPath(file.name).name == name]
    if not found:
        return f"its build did not preprocess {name} where it could be seen"
    shared = [file for file in found if {"-fPIC", "-fpic"} & {*file.options}] or found
    if any(file.text != shared[0].text for file in shared):
        return f"there are two sources {name}"
    return shared[0]


def _problem_of_options(files: Iterable[_File]) -> str:
    every = (option for file in files for option in file.options)
    return next((f"it is compiled with {one}" for one in every if one.startswith(CHANGING)), "")


def _problem(files: Iterable[_File]) -> str:
    """Why an engine would not read some sources as a compiler does; empty if it does."""
    for file in files:
        if found := REFUSED.search(file.own):
            return f"{file.name} has {found.group()}"
        if len(file.text) > MOST:
            return f"{file.name} is too long"
    return ""


def _files(record: Path) -> Iterator[_File]:
    """The sources that a build left."""
    for listed in sorted(record.glob("call-*.sources")):
        call = listed.with_suffix("")
        options = tuple(call.read_text(errors="replace").splitlines())
        for number, name in enumerate(listed.read_text(errors="replace").splitlines(), 1):
            path = record / f"{call.name}.{number}.i"
            if path.is_file():
                yield _parsed(name, path.read_text(errors="replace"), options)


def _parsed(name: str, text: str, options: tuple[str, ...]) -> _File:
    """A preprocessed text; what comes from a system's header is not the user's."""
    whole, own = [], []
    system = False
    for line in text.splitlines():
        if marker := _MARKER.match(line):
            told = "3" in marker[2].split() and marker[1].startswith(("/usr/", "/opt/"))
            system = told or marker[1].startswith("<")
        elif not line.startswith("#"):
            whole.append(line)
            own += [] if system else [line]
        elif line.startswith("#pragma") and not system:
            own.append("__attribute_alias__")
    return _File(name, "\n".join(whole) + "\n", "\n".join(own), options)


def _variables(debug: DebugInfo) -> dict[str, Variable]:
    """The variables of a library by name; of two of one name nothing is known."""
    types = TypeReader(debug)
    found: dict[str, Variable] = {}
    for number, unit in enumerate(debug.units()):
        for die in unit.top:
            if die.tag != "variable" or die.values.get("declaration"):
                continue
            declared = die.number("specification")
            source = debug.die(declared) if declared is not None else die
            name = die.name or source.name
            target = types.target(die if "type" in die.values else source)
            size = types.size(target) if target is not None else 0
            leaves = Leaves(types, size).of(target) if target is not None and size else None
            if name in found and found[name].unit != number:
                leaves = None
            found[name] = Variable(number, leaves)
    return found
