"""Types and prototypes from DWARF entries, and how large types are."""

from __future__ import annotations

from typing import Final

from replay.elf import ctype
from replay.elf.ctype import Array, CType, Function, Named, Parameter, Pointer
from replay.elf.debug import DebugInfo, Die
from replay.elf.errors import REBUILD, ElfError
from replay.elf.prototype import Prototype

MOST_PARTS: Final = 4096
"""Types that one declaration may be made of; damaged files can refer in circles."""

QUALIFIER: Final = {
    "const_type": "const",
    "volatile_type": "volatile",
    "restrict_type": "restrict",
    "atomic_type": "_Atomic",
}
_DERIVED: Final = frozenset((*QUALIFIER, "pointer_type", "array_type"))
TAGGED: Final = {
    "structure_type": "struct",
    "union_type": "union",
    "enumeration_type": "enum",
    "class_type": "class",
}
"""Types that have a tag, and its keyword."""
_REFERENCES: Final = {"reference_type": "&", "rvalue_reference_type": "&&"}
POINTERS: Final = frozenset(("pointer_type", *_REFERENCES))
"""What is an address when it is passed."""


class TypeReader:
    """C types of the entries of one file."""

    def __init__(self, debug: DebugInfo) -> None:
        self.debug = debug
        self._parts = 0

    def prototype(self, die: Die) -> Prototype:
        """The prototype of a subprogram, with what its declaration adds to it.

        Raises:
            ElfError: its types refer in circles, or to nothing.
        """
        self._parts = 0
        source = die
        if "type" not in die.values and "specification" in die.values:
            source = self.debug.die(int(die.values["specification"]))
        named = die if die.name else source
        parameters = die if any(c.tag == "formal_parameter" for c in die.children) else source
        return Prototype(named.name, self._function(source, parameters, 0))

    def of(self, die: Die) -> CType:
        """The type that an entry's ``DW_AT_type`` names; void if it has none.

        Raises:
            ElfError: it refers in circles, or to nothing.
        """
        self._parts = 0
        return self._referred(die, 0)

    def target(self, die: Die) -> Die | None:
        """The entry that ``DW_AT_type`` leads to."""
        reference = die.number("type")
        return None if reference is None else self.debug.die(reference)

    def resolved(self, die: Die | None) -> Die | None:
        """A type without the typedefs and qualifiers around it."""
        for _ in range(ctype.DEEPEST):
            if die is None or not (die.tag == "typedef" or die.tag in QUALIFIER):
                return die
            die = self.target(die)
        raise self._endless()

    def size(self, die: Die | None) -> int | None:
        """Bytes of a type; None where it is unknown: void, incomplete, an open array."""
        factor = 1
        for _ in range(ctype.DEEPEST):
            die = self.resolved(die)
            if die is None:
                return None
            own = die.number("byte_size")
            if own is not None:
                return own * factor
            if die.tag in POINTERS:
                return die.unit.address_size * factor
            if die.tag != "array_type":
                return None
            for length in lengths(die):
                if length is None:
                    return None
                factor *= length
            die = self.target(die)
        raise self._endless()

    def _endless(self) -> ElfError:
        return ElfError(
            self.debug.path,
            "truncated or corrupt: a type that never ends",
            REBUILD,
            "section .debug_info",
        )

    def _referred(self, die: Die, depth: int) -> CType:
        target = self.target(die)
        return ctype.VOID if target is None else self._type(target, depth)

    def _type(self, die: Die, depth: int) -> CType:  # noqa: PLR0911 - a line a tag
        self._parts += 1
        if depth > ctype.DEEPEST or self._parts > MOST_PARTS:
            raise self._endless()
        if die.tag in ("subroutine_type", "subprogram"):
            return self._function(die, die, depth)
        if die.tag not in _DERIVED and die.tag not in _REFERENCES:
            return Named(_plain_name(die))
        inner = self._referred(die, depth + 1)
        if die.tag in _REFERENCES:
            return Named(f"{ctype.spell(inner)} {_REFERENCES[die.tag]}")
        if "GNU_vector" in die.values:
            return Named(f"{ctype.spell(inner)} __attribute__((vector_size({self.size(die)})))")
        if die.tag == "pointer_type":
            return Pointer(inner)
        if die.tag == "array_type":
            for length in reversed(lengths(die)):
                inner = Array(inner, "" if length is None else str(length))
            return inner
        return ctype.qualified(inner, frozenset((QUALIFIER[die.tag],)))

    def _function(self, die: Die, parameters: Die, depth: int) -> Function:
        tags = [child.tag for child in parameters.children]
        found = tuple(
            Parameter(self._referred(self._declared(child), depth + 1), self._name(child))
            for child in parameters.children
            if child.tag == "formal_parameter"
        )
        variadic = "unspecified_parameters" in tags
        # In C++, and in a function's type there, ``f()`` takes nothing.
        prototyped = bool(found) or bool(die.values.get("prototyped")) or die.unit.cxx
        # GCC says ``f()`` with a lone ellipsis; C knows no such function.
        if variadic and not found and not die.unit.cxx:
            variadic = prototyped = False
        return Function(self._referred(die, depth + 1), found, variadic, prototyped)

    def _declared(self, parameter: Die) -> Die:
        """Where a parameter's type is told: at the function it is an instance of."""
        origin = parameter.number("abstract_origin")
        if "type" not in parameter.values and origin is not None:
            return self.debug.die(origin)
        return parameter

    def _name(self, parameter: Die) -> str:
        return parameter.name or self._declared(parameter).name


def lengths(array: Die) -> list[int | None]:
    """The lengths of an array's dimensions, outermost first; None where open."""
    return [_length(child) for child in array.children if child.tag == "subrange_type"]


def _length(dimension: Die) -> int | None:
    count = dimension.number("count")
    if count is not None:
        return count
    upper = dimension.number("upper_bound")
    if upper is None:
        return None
    # A bound of -1, which is how length 0 is told, comes without its sign.
    return 0 if upper < 0 or (upper >= 1 << 31 and upper + 1 & 0xFFFFFFFF == 0) else upper + 1


def _plain_name(die: Die) -> str:
    """What a type that is not made from another is called."""
    if die.tag in TAGGED:
        return f"{TAGGED[die.tag]} {die.name or '{...}'}"
    return _base_type(die) if die.tag == "base_type" else die.name or "void"


def _base_type(die: Die) -> str:
    words = ["_Complex" if word == "complex" else word for word in die.name.split()]
    if words == ["_Complex"]:
        # Clang leaves out which; its size tells.
        words = {8: ["float"], 16: ["double"]}.get(die.number("byte_size") or 0, ["long", "double"])
        words = [*words, "_Complex"]
    return ctype.base_name(words) or die.name
