"""What a library says of its functions: which it exports, and how each is called.

The prototypes come from DWARF through ``replay.elf``, with typedefs resolved as far as a
call needs: an integer of how many bytes, a pointer to what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from replay.elf import ctype
from replay.elf.debug import DebugInfo, Die
from replay.elf.dwarftypes import POINTERS, QUALIFIER, TypeReader
from replay.elf.errors import ElfError, reading
from replay.elf.image import Image
from replay.repo.aliases import aliased, same_code
from replay.repo.exported import DataObject, Leaves, exported_data
from replay.repo.layouts import Layout, layout_of, scalar

MOST_ENUMERATORS: Final = 64
_AGGREGATES: Final = frozenset(("structure_type", "union_type", "class_type"))
_OF_C: Final = frozenset(("base_type", "pointer_type", "enumeration_type", "array_type"))


@dataclass(frozen=True, slots=True)
class Shape:
    """A type as a call sees it.

    Attributes:
        kind: void, int, bool, float, pointer, enum, struct; function; other: what is not
            passed by value (a complex number, a vector).
        text: as in C.
        size: bytes; of a struct 0 where it is not complete.
        signed: of an int.
        to: what a pointer points to; None for anything but a pointer.
        const: the pointed-to is const.
        name: of a struct or enum, or of the typedef that names it: what a handle is called;
            of a pointer that of its typedef.
        pointers: of a struct: where pointers are in it, in bytes.
        takes: of a function that is pointed to: its result, then its parameters.
        layout: of a complete struct or union.

    """

    kind: str
    text: str
    size: int = 0
    signed: bool = False
    to: Shape | None = None
    const: bool = False
    name: str = ""
    pointers: tuple[int, ...] = ()
    takes: tuple[Shape, ...] = ()
    layout: Layout | None = None

    @property
    def element(self) -> Layout | None:
        """How it lies in memory, as an element of an array; None where that is not known."""
        plain = self.kind in ("int", "bool", "enum", "float") and self.code
        return scalar(self.code) if plain else self.layout

    @property
    def code(self) -> str:
        """The type in the worker's words: ``i4``, ``u8``, ``p``; ``s``: a struct.

        Empty for what cannot be passed by value.
        """
        if self.kind == "struct":
            return "s" if self.layout is not None and self.layout.abi else ""
        if self.kind == "pointer":
            return "p"
        if self.kind == "void":
            return "v"
        if self.kind == "bool":
            return "b1"
        letter = {"int": "i" if self.signed else "u", "enum": "i" if self.signed else "u"}
        if self.kind in letter and self.size in (1, 2, 4, 8):
            return f"{letter[self.kind]}{self.size}"
        return f"f{self.size}" if self.kind == "float" and self.size in (4, 8) else ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a library: its prototype as C text, and its parameters (name, shape)."""

    name: str
    prototype: str
    params: tuple[tuple[str, Shape], ...]
    returns: Shape
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class LibraryShape:
    """What can be called in a library.

    Attributes:
        exported: the names that it exports as functions.
        functions: those among them of which DWARF tells the prototype.
        enums: the values of each enum, by its name.
        needed: the libraries that it needs.
        problem: why there are no prototypes; empty if there are.
        data: the objects that it exports.

    """

    exported: frozenset[str]
    functions: Mapping[str, Function]
    enums: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    problem: str = ""
    data: tuple[DataObject, ...] = ()


def read_shape(path: Path) -> LibraryShape:
    """What a shared library says of itself.

    Raises:
        ElfError: it is no readable shared library. Without debug information it is one.
    """
    with Image(path) as image:
        if image.kind != "shared library":
            raise ElfError(
                path, f"this is no shared library but {image.kind or 'something else'}",
                "build it with -shared, and name the .so in --library",
            )  # fmt: skip
        exported, needed = _dynamic(path)
        data = exported_data(path, None)
        try:
            debug = DebugInfo(image)
            data = exported_data(path, debug)
            reader, others = _Reader(debug), same_code(path, exported)
            told = reader.functions(exported | others.keys())
            functions = aliased(told, others, exported)
            enums = _enums(path)
            untyped = "the debug information has no types (-g1); build it with -g"
            problem = untyped if reader.untyped and not functions else ""
        except ElfError as error:
            functions, enums, problem = {}, {}, f"{error.problem}; {error.cure}"
    return LibraryShape(exported, functions, enums, needed, problem, data)


def prototypes(path: Path, names: frozenset[str]) -> dict[str, Function]:
    """The prototypes of functions of a library, exported or not, where DWARF tells them.

    Raises:
        ElfError: it cannot be read.

    """
    with Image(path) as image:
        return _Reader(DebugInfo(image)).functions(names)


def _dynamic(path: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """The exported functions, and the libraries needed."""
    names = set()
    needed = []
    with path.open("rb") as file, reading(path, "the dynamic symbols"):
        elf: Any = ELFFile(file)
        for section in elf.iter_sections():
            if isinstance(section, SymbolTableSection) and section.name == ".dynsym":
                for symbol in section.iter_symbols():
                    info = symbol["st_info"]
                    if (
                        symbol["st_shndx"] != "SHN_UNDEF"
                        and info["type"] in ("STT_FUNC", "STT_GNU_IFUNC", "STT_LOOS")
                        and info["bind"] in ("STB_GLOBAL", "STB_WEAK")
                    ):
                        names.add(symbol.name)
            if isinstance(section, DynamicSection):
                tags: list[Any] = list(section.iter_tags())
                needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    return frozenset(names - {"_init", "_fini"}), tuple(needed)


def _enums(path: Path) -> dict[str, tuple[int, ...]]:
    """The values of the enums that have a name, or a typedef that names them."""
    found: dict[str, tuple[int, ...]] = {}
    with path.open("rb") as file, reading(path, "the enums in .debug_info"):
        elf: Any = ELFFile(file)
        if not elf.has_dwarf_info():
            return found
        for unit in elf.get_dwarf_info().iter_CUs():
            unnamed: dict[int, tuple[int, ...]] = {}
            for die in unit.iter_DIEs():
                name = die.attributes.get("DW_AT_name")
                text = name.value.decode("utf-8", "replace") if name else ""
                if die.tag == "DW_TAG_enumeration_type":
                    values = tuple(
                        int(child.attributes["DW_AT_const_value"].value)
                        for child in die.iter_children()
                        if "DW_AT_const_value" in child.attributes
                    )[:MOST_ENUMERATORS]
                    unnamed[die.offset] = values
                    if text:
                        found[text] = values
                elif die.tag == "DW_TAG_typedef" and "DW_AT_type" in die.attributes:
                    at = die.attributes["DW_AT_type"].value + unit.cu_offset
                    if text and at in unnamed:
                        found[text] = unnamed[at]
    return found


class _Reader:
    def __init__(self, debug: DebugInfo) -> None:
        self.debug = debug
        self.types = TypeReader(debug)
        self.known: dict[int, tuple[int, ...]] = {}
        self.untyped = False
        self.layouts: dict[int, Layout | None] = {}

    def functions(self, exported: frozenset[str]) -> dict[str, Function]:
        found: dict[str, Function] = {}
        for unit in self.debug.units():
            self.untyped |= unit.untyped
            for die in unit.top if not unit.untyped else ():
                if die.tag == "subprogram" and not die.values.get("declaration"):
                    function = self.function(die)
                    if function.name in exported:
                        found.setdefault(function.name, function)
        return found

    def function(self, die: Die) -> Function:
        # A function that was cloned or also inlined tells its type where it is declared.
        for reference in ("abstract_origin", "specification"):
            at = die.number(reference)
            if at is not None and (not die.name or "type" not in die.values):
                die = self.debug.die(at)
        prototype = self.types.prototype(die)
        # What C++ calls f, and what C is told to call otherwise, has another symbol.
        name = str(die.values.get("linkage_name", prototype.name))
        params = tuple(
            (child.name, self.shape(child)) for child in die.children
            if child.tag == "formal_parameter"
        )  # fmt: skip
        variadic = prototype.type.variadic
        return Function(name, prototype.text, params, self.shape(die), variadic)

    def shape(self, die: Die, depth: int = 0) -> Shape:  # noqa: PLR0911 - a line a kind
        """The shape of the type that an entry has."""
        text = ctype.spell(self.types.of(die))
        named = _unqualified(self.types, self.types.target(die))
        inner = self.types.resolved(named)
        if inner is None:
            return Shape("void", text)
        size = self.types.size(inner) or 0
        if inner.tag == "base_type":
            return _encoded(inner, size, text) or _base(inner.name, size, text)
        if inner.tag == "enumeration_type":
            return Shape("enum", text, size, self._negative(inner), name=_name(named, inner))
        if inner.unit.cxx and not depth and self._is_of_cxx(inner):
            return Shape("other", f"C++ {text}, which may have a way of its own to be copied", size)
        if inner.tag in _AGGREGATES:
            name, pointers = _name(named, inner), self._pointers(inner, size)
            layout = self._layout(inner)
            return Shape("struct", text, size, name=name, pointers=pointers, layout=layout)
        if "GNU_vector" in inner.values:
            name = named.name if named is not None and named.tag == "typedef" else "type"
            return Shape("other", f"{name} (a vector of {size} bytes)", size)
        if inner.tag in POINTERS or inner.tag == "array_type":
            const = self._is_const(inner)
            to = self.shape(inner, depth + 1) if depth < 3 else Shape("void", "void")
            name = named.name if named is not None and named.tag == "typedef" else ""
            size = self.debug.image.bits // 8
            return Shape("pointer", text, size, to=to, const=const, name=name)
        if inner.tag == "subroutine_type":
            return Shape("function", text, takes=self.taken(inner, depth))
        return Shape("other", text, size)

    def taken(self, function: Die, depth: int) -> tuple[Shape, ...]:
        """The result and the parameters of the type of a function; none of one far inside."""
        if depth > 1 or any(one.tag == "unspecified_parameters" for one in function.children):
            return ()
        params = (one for one in function.children if one.tag == "formal_parameter")
        return tuple(self.shape(one, depth + 1) for one in (function, *params))

    def _pointers(self, struct: Die, size: int) -> tuple[int, ...]:
        if struct.offset not in self.known:
            found = Leaves(self.types, size).pointers(struct) if size else ()
            self.known[struct.offset] = found
        return self.known[struct.offset]

    def _is_of_cxx(self, struct: Die) -> bool:
        """Whether a struct is more than numbers and pointers: then C may not pass it by value."""
        members = [die for die in struct.children if die.tag == "member"]
        types = [self.types.resolved(self.types.target(die)) for die in members]
        plain = len(members) == len(struct.children) or struct.tag not in _AGGREGATES
        return not plain or any(type_ is None or type_.tag not in _OF_C for type_ in types)

    def _layout(self, struct: Die) -> Layout | None:
        if struct.offset not in self.layouts:
            self.layouts[struct.offset] = layout_of(self.types, struct)
        return self.layouts[struct.offset]

    def _is_const(self, pointer: Die) -> bool:
        target = self.types.target(pointer)
        return target is not None and target.tag == "const_type"

    def _negative(self, enum: Die) -> bool:
        under = self.types.resolved(self.types.target(enum))
        return under is not None and _base(under.name, 4, "").signed


def _unqualified(types: TypeReader, die: Die | None) -> Die | None:
    """A type without const and volatile around it: a typedef stays."""
    for _ in range(ctype.DEEPEST):
        if die is None or die.tag not in QUALIFIER:
            return die
        die = types.target(die)
    return die


def _name(named: Die | None, inner: Die) -> str:
    if inner.name:
        return inner.name
    return named.name if named is not None else ""


def _encoded(base: Die, size: int, text: str) -> Shape | None:
    """The shape by how a base type is encoded, where that says more than a name in C.

    Its name may be of another language (``i32``), or none that C always had (``_Float64``).
    """
    kind = {0x02: "bool", 0x04: "float", 0x05: "int", 0x06: "int", 0x07: "int", 0x08: "int",
            0x10: "int"}.get(base.number("encoding") or 0, "other")  # fmt: skip
    if kind == "other":
        return Shape("other", text, size) if "encoding" in base.values else None
    return Shape(kind, text, size, signed=kind == "int" and base.number("encoding") in (5, 6))


def _base(name: str, size: int, text: str) -> Shape:
    words = name.split()
    if "_Complex" in words or "complex" in words:
        return Shape("other", text, size)
    if "_Bool" in words or "bool" in words:
        return Shape("bool", text, size)
    if "float" in words or "double" in words:
        return Shape("float", text, size)
    return Shape("int", text, size, signed="unsigned" not in words)


# --- types as text, where there is no debug information -------------------------------

_SIZES: Final = {
    "char": (1, True), "signed char": (1, True), "unsigned char": (1, False),
    "short": (2, True), "unsigned short": (2, False), "int": (4, True), "unsigned": (4, False),
    "long": (8, True), "unsigned long": (8, False), "long long": (8, True),
    "unsigned long long": (8, False), "size_t": (8, False), "ssize_t": (8, True),
    "ptrdiff_t": (8, True), "intptr_t": (8, True), "uintptr_t": (8, False),
    **{f"int{bits}_t": (bits // 8, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": (bits // 8, False) for bits in (8, 16, 32, 64)},
}  # fmt: skip


def shape_of(text: str) -> Shape | None:
    """The shape of a C type as text: integers, bool, float, double, void, pointers."""
    if text.rstrip().endswith("*"):
        to = shape_of(text.rstrip()[:-1]) or Shape("void", "void")
        return Shape("pointer", text, 8, to=to)
    words = [word for word in text.split() if word not in ("const", "volatile")]
    name = ctype.base_name(words) or " ".join(words)
    if name in ("void", "bool"):
        return Shape(name, text, 1 if name == "bool" else 0)
    if name in ("float", "double"):
        return Shape("float", text, 4 if name == "float" else 8)
    if name not in _SIZES:
        return None
    size, signed = _SIZES[name]
    return Shape("int", text, size, signed)


TYPE_NAMES: Final = (*_SIZES, "bool", "float", "double", "void")
