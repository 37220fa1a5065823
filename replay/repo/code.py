"""Whether a commit left the code of a library as it was, and which functions it changed.

Equal code is a proof: with it, no trace has to be run. It is said of two libraries that load
the same bytes to the same places (any machine), or whose functions lie in another order and
nothing else (x86-64). The build id, debug information, the names of local symbols and the
folder that the library was built in do not count. Whatever is in doubt is not identical.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.elf.alike import BUILD_ID, alike, loaded
from replay.elf.comparison import Change, compare
from replay.elf.errors import ElfError
from replay.elf.image import Image
from replay.elf.moved import only_moved
from replay.elf.names import shared_names
from replay.elf.referring import Linked
from replay.errors import UsageError

EXPORTED: Final = ("GLOBAL", "WEAK", "LOOS")
ARRAYS: Final = (".preinit_array", ".init_array", ".fini_array")


@dataclass(frozen=True, slots=True)
class CodeComparison:
    """What became of the code of a library from one commit to the next.

    Attributes:
        identical: both libraries do the same, whatever is called: proven.
        changed: functions, local ones too, by their names in the source, that have other
            instructions, refer to something else or to data that holds something else, are
            in one of the two only, or are exported by one only. Empty where ``identical``,
            and where ``unknown`` says why.
        unknown: why nothing can be told of the functions, or that something differs which
            no function is known to use; empty otherwise.
    """

    identical: bool
    changed: frozenset[str] = frozenset()
    unknown: str = ""


def compare_code(old: Path, new: Path) -> CodeComparison:
    """Compare the libraries of two commits.

    A file that cannot be read, or is no library, is not an error: it is not identical, and
    ``unknown`` says why.
    """
    try:
        with Image(old) as a, Image(new) as b:
            if alike(a, b):
                return CodeComparison(identical=True)
            why = _unknown(a) or _unknown(b)
            if why:
                return CodeComparison(identical=False, unknown=why)
            names = [{s.name for s in image.symbols if s.is_function} for image in (a, b)]
            return _compared(a, b, _renamed(old, new) if names[0] != names[1] else {})
    except (ElfError, UsageError) as error:
        return CodeComparison(identical=False, unknown=str(error))


def _unknown(image: Image) -> str:
    """Why the functions of a library cannot be told apart; empty if they can."""
    if image.machine != "EM_X86_64":
        machine = image.machine.removeprefix("EM_").lower()
        return f"functions of a library for {machine} are not compared, only those for x86-64"
    if image.type != "ET_DYN":
        return f"it is no shared library but an {image.kind}"
    if image.symbol_table != "SHT_SYMTAB":
        return "the library is stripped, so its functions cannot be told apart; do not strip it"
    return ""


def _renamed(old: Path, new: Path) -> dict[str, str]:
    """The functions that have another name, by their old one."""
    found = compare(old, new).functions
    return {
        one.before.name: one.after.name
        for one in found
        if one.change is Change.RENAMED and one.before and one.after
    }


def _compared(a: Image, b: Image, renamed: dict[str, str]) -> CodeComparison:
    names = shared_names((a, b))
    before, after = Linked(a, names[0], renamed), Linked(b, names[1], {})
    if only_moved(before, after):
        return CodeComparison(identical=True)
    changed = _changed(before, after)
    old_names = {new: old for old, new in renamed.items()}
    # What is exported under another name is no longer there for who calls it.
    changed |= {new for new in old_names if _is_exported(after, new)}
    changed |= {old_names[name] for name in changed if name in old_names}
    return CodeComparison(False, frozenset(map(plain, changed)), "" if changed else _where(a, b))


def _where(a: Image, b: Image) -> str:
    """What differs in two libraries of which no function is known to differ."""
    old, new = ({s.name: image.bytes_of(s) for s in loaded(image)} for image in (a, b))
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    differing = [name for name in differing if name != BUILD_ID] or ["how they are loaded"]
    return f"the libraries differ in {', '.join(differing)}, but no function is known to"


def plain(name: str) -> str:
    """The name in the source: without the file, number, and what a compiler appends."""
    return name.rpartition(":")[2].partition("#")[0].partition("@")[0].split(".", 1)[0]


def _changed(before: Linked, after: Linked) -> set[str]:
    """The functions that are not the same in both."""
    both = before.functions.keys() & after.functions.keys()
    found = set(before.functions.keys() ^ after.functions.keys())
    data = _changed_data(before, after)
    found |= {
        name
        for name in both
        if before.told(name) != after.told(name) or data & (before.used(name) | after.used(name))
    }
    found |= {name for name in both if _is_exported(before, name) != _is_exported(after, name)}
    return found | _started(before, after)


def _is_exported(linked: Linked, name: str) -> bool:
    return linked.functions[name].bind in EXPORTED


def _changed_data(before: Linked, after: Linked) -> set[str]:
    """The variables and constants that hold something else, or point to one that does."""
    both = before.objects.keys() & after.objects.keys()
    found = {name for name in both if before.content(name) != after.content(name)}
    found |= before.objects.keys() ^ after.objects.keys()
    pointers = {name: before.pointed(name) | after.pointed(name) for name in both}
    while True:
        more = {name for name, to in pointers.items() if name not in found and to & found}
        if not more:
            return found
        found |= more


def _started(before: Linked, after: Linked) -> set[str]:
    """The functions that run when the library is loaded or unloaded, where that changed."""
    found: set[str] = set()
    for array in ARRAYS:
        old, new = _array(before, array), _array(after, array)
        if old != new:
            found |= set(_names(old)) | set(_names(new))
    return found


def _array(linked: Linked, name: str) -> list[object]:
    section = linked.image.find(name)
    if section is None:
        return []
    places = sorted(
        (at, entry)
        for at, entry in linked.image.dynamic_relocations.items()
        if section.address <= at < section.address + section.size
    )
    return [
        entry.symbol.name if entry.symbol else linked.function_at(entry.addend or 0)
        for _, entry in places
    ]


def _names(found: Iterable[object]) -> Iterable[str]:
    return (name for name in found if isinstance(name, str))
