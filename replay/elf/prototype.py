"""Text of C prototypes to their one spelling.

The grammar is that of a declaration of one function: specifiers, a declarator, and for
each parameter the same. Whether a name is a type or what is declared follows from its
place, as in C: the first word that can be a type is the type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from replay.elf import ctype
from replay.elf.ctype import Array, CType, Function, Named, Parameter, Pointer
from replay.errors import UsageError

LONGEST: Final = 1 << 13
"""Characters of a prototype."""

_TOKEN: Final = re.compile(r"\s*(?:([A-Za-z_$][\w$]*)|(\.\.\.)|(\d\w*)|(\S))", re.ASCII)
_SPACE: Final = re.compile(r"/\*.*?\*/|//[^\n]*|\s+", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)

_IGNORED: Final = frozenset(
    [
        "static",
        "extern",
        "inline",
        "__inline",
        "__inline__",
        "_Noreturn",
        "noreturn",
        "register",
        "__extension__",
    ]
)
_QUALIFIERS: Final = {
    **{word: word for word in ctype.QUALIFIERS},
    **{f"__{word}": word for word in ("const", "volatile", "restrict")},
    **{f"__{word}__": word for word in ("const", "volatile", "restrict")},
}
_SIGNED: Final = {"__signed__": "signed", "__signed": "signed"}
_ATTRIBUTES: Final = frozenset(("__attribute__", "__attribute", "asm", "__asm__", "__asm"))

_Wrap: TypeAlias = Callable[[CType], CType]


@dataclass(frozen=True, slots=True)
class Prototype:
    """A function's name and type.

    Two prototypes are equal when their texts are.
    """

    name: str
    type: Function

    @property
    def text(self) -> str:
        """With parameter names: ``bool f(ram_addr_t addr, unsigned client)``."""
        return ctype.spell(ctype.canonical(self.type), self.name)

    @property
    def types(self) -> str:
        """What callers see, without parameter names: ``bool f(ram_addr_t, unsigned)``."""
        return ctype.spell(ctype.canonical(self.type, types_only=True), self.name)


def normalise_prototype(text: str, types_only: bool = False) -> str:
    """The one spelling of a prototype; the same text from series.toml and from DWARF.

    Spaces, the order and redundancy of the words of base types, storage classes,
    attributes and a final semicolon make no difference; array and function parameters
    are the pointers that they stand for; names inside the types of functions that are
    pointed to are dropped. ``f(void)`` and ``f()`` stay different.

    Args:
        text: such as ``static inline long unsigned int *f(int a[4]);``.
        types_only: without parameter names, and without the parameters' own qualifiers.

    Raises:
        UsageError: the text is no prototype of a function; the message says where.
    """
    prototype = parse_prototype(text)
    return prototype.types if types_only else prototype.text


def parse_prototype(text: str) -> Prototype:
    """A prototype's name and type.

    Raises:
        UsageError: the text is no prototype of a function; the message says where.
    """
    return _Parser(text).prototype()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise UsageError(f"a prototype of {len(text)} characters; {LONGEST} are the most")
        clean = _SPACE.sub(" ", text).strip()
        self.tokens = [match.group().strip() for match in _TOKEN.finditer(clean)]
        self.at = 0
        self.depth = 0

    def prototype(self) -> Prototype:
        base = self._specifiers()
        name, wrap = self._declarator()
        self._attributes()
        self._accept(";")
        if self._peek():
            raise self._wrong("the end")
        whole = wrap(base)
        if not name or not isinstance(whole, Function):
            raise UsageError(
                f"{self.text.strip()!r} is not the prototype of a function; "
                f"write it as `TYPE NAME(TYPE name, ...)`"
            )
        return Prototype(name, whole)

    def _peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

    def _accept(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self.at += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise self._wrong(f"{token!r}")

    def _wrong(self, wanted: str) -> UsageError:
        found = repr(self._peek()) if self._peek() else "the end"
        before = " ".join(self.tokens[max(0, self.at - 4) : self.at])
        return UsageError(
            f"{self.text.strip()[:200]!r} is not a C prototype: {found} where {wanted} should be"
            + (f", after {before!r}" if before else "")
        )

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > ctype.DEEPEST:
            raise UsageError(
                f"{self.text.strip()[:60]!r}... has more than {ctype.DEEPEST} pointers, arrays "
                f"and functions; split it with a typedef"
            )

    def _attributes(self) -> None:
        while self._peek() in _ATTRIBUTES:
            self.at += 1
            self._expect("(")
            open_ = 1
            while open_:
                token = self._peek()
                if not token:
                    raise self._wrong("')'")
                open_ += (token == "(") - (token == ")")
                self.at += 1

    def _qualifiers(self) -> frozenset[str]:
        found = set()
        while self._peek() in _QUALIFIERS:
            found.add(_QUALIFIERS[self._peek()])
            self.at += 1
        return frozenset(found)

    def _specifiers(self) -> Named:
        words: list[str] = []
        name = ""
        qualifiers: frozenset[str] = frozenset()
        while token := self._peek():
            word = _SIGNED.get(token, token)
            if token in _QUALIFIERS:
                qualifiers |= self._qualifiers()
                continue
            if token in _ATTRIBUTES:
                self._attributes()
                continue
            if token not in _IGNORED:
                if word in ctype.BASE_WORDS and not name:
                    words.append(word)
                elif not _WORD.fullmatch(token) or words or name:
                    break
                else:
                    name = self._tagged()
                    continue
            self.at += 1
        base = name or (ctype.base_name(words) if words else None)
        if base is None:
            raise self._wrong("a type")
        return Named(base, qualifiers)

    def _tagged(self) -> str:
        """A typedef's name, or a struct, union or enum with its tag."""
        name = self._peek()
        self.at += 1
        if name in ("struct", "union", "enum"):
            if not _WORD.fullmatch(self._peek()):
                raise self._wrong("a tag")
            name = f"{name} {self._peek()}"
            self.at += 1
        return name

    def _declarator(self) -> tuple[str, _Wrap]:
        """A name, possibly empty, and what makes the declared type of the specifiers'."""
        pointers = []
        while self._accept("*"):
            self._deeper()
            pointers.append(self._qualifiers())
        self._attributes()
        name = ""
        nested: _Wrap | None = None
        if self._peek() == "(" and self._is_nested():
            self._deeper()
            self.at += 1
            name, nested = self._declarator()
            self._expect(")")
        elif _WORD.fullmatch(self._peek()) and self._peek() not in _ATTRIBUTES:
            name = self._peek()
            self.at += 1
        suffixes: list[_Wrap] = []
        while self._peek() in ("(", "["):
            self._deeper()
            suffixes.append(self._function() if self._peek() == "(" else self._array())

        def wrap(type_: CType) -> CType:
            for own in pointers:
                type_ = Pointer(type_, own)
            for suffix in reversed(suffixes):
                type_ = suffix(type_)
            return nested(type_) if nested else type_

        return name, wrap

    def _is_nested(self) -> bool:
        """Whether a parenthesis groups a declarator; otherwise it opens parameters."""
        if self._peek(1) in ("*", "("):
            return True
        return bool(_WORD.fullmatch(self._peek(1))) and (
            self._peek(2) == ")" and self._peek(3) in ("(", "[")
        )

    def _array(self) -> _Wrap:
        self._expect("[")
        start = self.at
        while self._peek() != "]":
            if not self._peek() or self._peek() == "[":
                raise self._wrong("']'")
            self.at += 1
        length = "".join(
            t for t in self.tokens[start : self.at] if t != "static" and t not in _QUALIFIERS
        )
        self.at += 1
        return lambda type_: Array(type_, length)

    def _function(self) -> _Wrap:
        self._expect("(")
        parameters: list[Parameter] = []
        variadic = False
        prototyped = True
        if self._accept(")"):
            prototyped = False
        elif self._peek() == "void" and self._peek(1) == ")":
            self.at += 2
        else:
            while not variadic:
                if parameters and self._accept("..."):
                    variadic = True
                else:
                    parameters.append(self._parameter())
                if not self._accept(","):
                    break
            self._expect(")")
        self._attributes()
        given = tuple(parameters)
        return lambda type_: Function(type_, given, variadic, prototyped)

    def _parameter(self) -> Parameter:
        outside = self.depth
        self._deeper()
        base = self._specifiers()
        name, wrap = self._declarator()
        self._attributes()
        self.depth = outside
        type_ = wrap(base)
        if isinstance(type_, Named) and type_.name == "void":
            raise self._wrong("a parameter that is not void")
        return Parameter(type_, name)
