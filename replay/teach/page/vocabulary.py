"""What the translated part of the models may use, and what each thing is.

The reference models are written in a small part of Python. These tables name it: the
attributes of a machine, the methods of its parts, the functions that may be called. The
translator knows nothing else, so that what is not here is a build error and no guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

Type: TypeAlias = Literal[
    "int", "bool", "number", "str", "none", "words", "stores", "ints", "block", "blocks",
    "tlb", "pages", "range",
]  # fmt: skip
"""What an expression is.

``int`` is an integer for sure and ``bool`` a truth value for sure; ``number`` is what a
call gives that is declared as one of them, since a bool may stand for an int in Python.
"""

NUMERIC: Final = frozenset({"int", "bool", "number"})

ANNOTATIONS: Final[Mapping[str, Type]] = {
    "int": "int",
    "bool": "bool",
    "str": "str",
    "None": "none",
    "Words": "words",
    "Sequence[int]": "ints",
    "RAMBlock": "block",
}
"""Annotations of parameters and results, as the modules write them."""

MACHINE: Final[Mapping[str, Type]] = {
    "BITS_PER_LONG": "int",
    "LONG_MASK": "int",
    "LONG_MAX": "int",
    "LONG_SHIFT": "int",
    "TARGET_PAGE_BITS": "int",
    "TARGET_PAGE_MASK": "int",
    "TARGET_PAGE_SIZE": "int",
    "blocks": "blocks",
    "clients": "ints",
    "has_code": "pages",
    "hpratio": "int",
    "in_migration": "bool",
    "migration_bitmap": "words",
    "migration_dirty_pages": "int",
    "page_descs": "pages",
    "ram_list_version": "int",
    "stray": "int",
    "tcg": "bool",
    "tlb": "tlb",
}
"""Attributes of ``refmodels.machine.Machine`` that the page's machine has too."""

FIELDS: Final[Mapping[str, Type]] = {"phys_dirty": "words", "dirty_memory": "stores"}
"""What the fields of ``ram_list`` are made of."""

BLOCK: Final[Mapping[str, Type]] = {"offset": "int", "length": "int"}

ELEMENTS: Final[Mapping[Type, Type]] = {
    "words": "int",
    "ints": "int",
    "stores": "words",
    "blocks": "block",
    "tlb": "bool",
    "range": "int",
}
"""What an index, or a loop, takes out of a container. A loop over a TLB gives pages."""


class Method(NamedTuple):
    """A method of the models' data: its name in the page, the kinds of arguments, the result."""

    name: str
    arguments: tuple[Type, ...]
    result: Type


METHODS: Final[Mapping[tuple[Type, str], Method]] = {
    ("blocks", "insert"): Method("insert", ("int", "block"), "none"),
    ("blocks", "append"): Method("append", ("block",), "none"),
    ("blocks", "remove"): Method("remove", ("block",), "none"),
    ("tlb", "get"): Method("get", ("int",), "bool"),
    ("tlb", "clear"): Method("clear", (), "none"),
    ("tlb", "pop"): Method("pop", ("int", "none"), "bool"),
    ("pages", "add"): Method("add", ("int",), "none"),
    ("pages", "discard"): Method("discard", ("int",), "none"),
    ("pages", "difference_update"): Method("difference_update", ("range",), "none"),
    ("int", "bit_length"): Method("bitLength", (), "int"),
    ("int", "bit_count"): Method("bitCount", (), "int"),
}

RUNTIME: Final[Mapping[str, Method]] = {
    "abort": Method("abort", ("bool",), "none"),
    "tell": Method("tell", ("str", "int", "int"), "none"),
    "new_bytes": Method("new_bytes", ("int",), "words"),
    "new_words": Method("new_words", ("int",), "words"),
    "renew": Method("renew", ("words", "int"), "none"),
    "memset": Method("memset", ("words", "int", "int"), "none"),
}
"""Methods of Machine, written by hand in ``static/machine.js``; arguments may be left out."""

OBSERVERS: Final = frozenset(
    {"store_content", "store_span", "store_bytes", "store_pages", "dirty_pages"}
)
"""Entries that only look at the store, in ways made for speed in Python (``tobytes``,
``translate``). ``static/machine.js`` looks by hand; the comparison with Python covers it."""

ERRORS: Final[Mapping[str, str]] = {
    "OutOfDomain": "OutOfDomain",
    "AssertionError": "Crash",
    "IndexError": "IndexFault",
}
"""Exceptions that a function may raise or catch, and their classes in the page."""

_RESERVED: Final = """
    arguments await break case catch class const continue debugger default delete do else enum
    eval export extends false finally for function if implements import in instanceof interface
    let new null package private protected public return static super switch this throw true
    try typeof var void while with yield undefined NaN Infinity
"""

RESERVED: Final = frozenset(_RESERVED.split())
"""Names that JavaScript keeps for itself; a variable called so gets a dollar sign."""
