"""What to call: operations, the roles of their arguments, and what is observed.

The vocabulary of the package, read it first. A :class:`Binding` is what ``binding.toml``
says. :func:`replay.repo.resolving.resolve` fills in what it leaves out, which makes an
:class:`Interface`; an interface is bound to the library of each commit by
:func:`replay.repo.bound.bind`.

Roles of a parameter, and what a trace holds of each:

========= ======================================================= ====================
role      what is passed                                          in a trace
========= ======================================================= ====================
int       an integer from ``low`` to ``high``                     the integer
float     a floating number from ``least`` to ``most``            its text, see ``floats``
choice    one of ``choices``                                      the number
bytes     a pointer to ``low`` to ``high`` bytes, only read       hexadecimal digits
inout     the same, and observed after the call                   hexadecimal digits
string    a pointer to a string of ``low`` to ``high`` characters the string
out       a pointer to room for ``high`` bytes, observed          nothing
length    the length of the parameter ``of``                      nothing
handle    an object of ``kind`` that a constructor made           its number
makes     a pointer to a pointer, where a new object is put       nothing
storage   a pointer to ``high`` bytes that become a new object    nothing
value     the constant ``value``                                  nothing
null      NULL                                                    nothing
callback  a function that notes its calls; how it returns         a seed, when it stops
compare   a function that orders two elements                     nothing
function  the address of an exported function                     nothing
user      the user data of the callback ``of``                    nothing
gives     a pointer to a number, which names a new object         nothing
pointer   a pointer to a pointer, where the call puts one         nothing
each      of observers: every integer from ``low`` to ``high``    nothing
========= ======================================================= ====================

What else a binding says of a parameter becomes one of these, with ``passed`` for how:

======== ======== ========================================================================
passed   role     what is passed
======== ======== ========================================================================
struct   bytes    a struct by value: its bytes, drawn field by field
start    int      a pointer to a number that starts as the integer; observed after the call
strings  string   an array of strings, each of which ends in a line feed in the trace
======== ======== ========================================================================

``elements`` of a pointer are bytes or inout with a ``layout``: whole elements, whose fields
are drawn like parameters; ``low`` and ``high`` are bytes, too. ``flags`` are a choice of all
their combinations. An integer may also be carried in a ``void *``.
"""

from __future__ import annotations

import math
import string
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from replay.repo.behaviour import PLAIN, Behaviour, Callback
from replay.repo.layouts import Layout
from replay.repo.mining import NOTHING, Mined
from replay.repo.shapes import Shape
from replay.repo.texts import Grammar

ROLES: Final = (
    "int", "float", "choice", "bytes", "inout", "string", "out", "length", "handle", "makes",
    "storage", "value", "null", "each", "callback", "compare", "function", "user", "gives",
    "pointer",
)  # fmt: skip
GIVEN: Final = frozenset((
    "int", "float", "choice", "bytes", "inout", "string", "handle", "each", "callback",
))  # fmt: skip
"""The roles of which a trace holds a value."""
POINTERS: Final = frozenset(
    ("bytes", "inout", "string", "out", "handle", "makes", "storage", "null",
     "callback", "compare", "function", "user", "gives", "pointer")
)  # fmt: skip
_FIRST: Final = string.ascii_lowercase + string.digits + string.ascii_uppercase
ALPHABET: Final = _FIRST + "".join(
    chr(code) for code in (*range(32, 127), *range(1, 32), *range(127, 256))
    if chr(code) not in _FIRST
)  # fmt: skip
"""All characters of a string, the simplest first."""
MOST_BYTES: Final = 1 << 16
LIVE: Final = 2
"""Objects of a kind that may be alive at once, unless the binding says otherwise."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter and its role; see the table above for what the numbers mean.

    A string is of the characters of ``alphabet``, the simplest first; of any, if it is empty.
    ``number`` is "signed" or "unsigned" where what is written to it is one number, and
    ``shape`` is its type, which may come from the binding or from the library. ``passed``:
    see above. ``layout`` is that of the elements of a buffer, or of a struct; their fields are
    drawn as ``fields`` of these names say. A string is one of ``grammar`` if that is given. An
    object that a call ``consumes`` is dead behind it.
    """

    name: str
    role: str
    low: int = 0
    high: int = 0
    choices: tuple[int | float, ...] = ()
    alphabet: str = ""
    kind: str = ""
    of: str = ""
    value: int = 0
    number: str = ""
    shape: Shape | None = None
    least: float = -math.inf
    most: float = math.inf
    consumes: bool = False
    callback: Callback | None = None
    passed: str = ""
    layout: Layout | None = None
    fields: tuple[Param, ...] = ()
    grammar: Grammar | None = None

    @property
    def unit(self) -> int:
        """Bytes of an element of a buffer."""
        return self.layout.size if self.layout is not None else 1

    @property
    def is_bounded(self) -> bool:
        """Whether a floating number has a range; one that has none may be NaN, too."""
        return self.least > -math.inf or self.most < math.inf


@dataclass(frozen=True, slots=True)
class Draft:
    """An operation or observer as the file has it: what it leaves out is None.

    Attributes:
        name: what traces call it.
        functions: names of the C function, the first that a library exports is called.
        params: by name, in the order of the file.
        returns: see ``Returns``; empty to take it from the library.
        makes: the kind of object that it returns.
        destroys: the kind of object that it destroys.
        live: how many objects of the kind that it makes may be alive at once.
        weight: how often it is drawn, relative to others.
        optional: commits without it are judged by the others.
        requires: it is called only while an object of this kind is alive.
        varargs: of a variadic function a format, then the types of what that takes.
        line: where it stands in the file.
        key: how to call its place in the file: ``op[2]``.
        behaviour: what it does to objects, and what holds between its parameters.
        like: of a drafted one, the signature of the prototype that it was drafted from: it
            calls no other, see ``replay.repo.parting``.

    """

    name: str
    functions: tuple[str, ...]
    params: tuple[Param, ...] = ()
    returns: str = ""
    makes: str | None = None
    destroys: str | None = None
    live: int = LIVE
    weight: int = 0
    optional: bool = False
    observer: bool = False
    requires: str = ""
    line: int | None = None
    key: str = ""
    behaviour: Behaviour = PLAIN
    like: str = ""
    varargs: tuple[str, ...] = ()

    @property
    def is_variadic(self) -> bool:
        """Whether it is called with a format and what that wants."""
        return bool(self.varargs)


@dataclass(frozen=True, slots=True)
class Mapping:
    """At some commits an operation is another function, or takes its arguments otherwise.

    ``commits`` is a range as git reads it; ``args`` are names of the operation's
    parameters, or integer constants, in the order of the function there.
    """

    commits: str
    op: str
    functions: tuple[str, ...] = ()
    args: tuple[str | int, ...] | None = None
    line: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding file.

    ``errno``: it is observed after each call. ``behind``: how many bytes of memory behind
    the handles of a kind are observed.
    ``reset``: functions that undo what a trace did, called where traces run one after the
    other in a process; None where each needs a process of its own.
    ``fail_malloc``: a trace may have an allocation of the library fail.
    ``drafted``: there is no file, and what cannot be called is left out; ``dropped``: the
    functions that are, with the reason.
    """

    path: Path | str
    ops: tuple[Draft, ...]
    observers: tuple[Draft, ...] = ()
    maps: tuple[Mapping, ...] = ()
    setup: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    destroy_at_end: bool = True
    errno: bool = False
    behind: dict[str, int] = field(default_factory=dict)
    reset: tuple[str, ...] | None = None
    fail_malloc: bool = False
    drafted: bool = False
    dropped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Returns:
    """How a returned value is observed.

    ``what``: void, int, float, pointer (NULL or not), string, bytes (``size`` of them, as
    ``number`` if that is set), struct (its fields), place (what a pointer points to: an object,
    or an offset in the parameter ``of``, in any if that is empty), ignored.
    """

    what: str
    shape: Shape
    size: int = 0
    number: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with nothing left out."""

    name: str
    draft: Draft
    params: tuple[Param, ...]
    returns: Returns
    makes: str = ""
    destroys: str = ""

    @property
    def given(self) -> tuple[Param, ...]:
        """The parameters of which a trace holds a value, in order."""
        return tuple(param for param in self.params if param.role in GIVEN)

    @property
    def kind_made(self) -> str:
        """The kind of object that a call makes, however it does."""
        if self.makes:
            return self.makes
        made = [p.kind for p in self.params if p.role in ("makes", "storage", "gives")]
        return made[0] if made else ""


@dataclass(frozen=True, slots=True)
class Interface:
    """A binding with nothing left out.

    ``mined`` are the constants of the libraries that are called: what is drawn and what
    examples are shortened to depends on them.
    """

    binding: Binding
    ops: dict[str, Operation]
    observers: tuple[Operation, ...]
    mined: Mined = NOTHING

    def only(self, names: frozenset[str]) -> Interface:
        """The interface with these operations and all observers."""
        return replace(self, ops={n: op for n, op in self.ops.items() if n in names})
