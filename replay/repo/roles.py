"""Roles of the parameters of one function, as far as its prototype tells.

A count belongs to the pointer beside it, and counts its elements; what it counts for more
than one pointer, and what is counted nowhere, is given room enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from replay.repo import guessingcalls, guessingvalues, naming, objects
from replay.repo.binding import Param
from replay.repo.counting import belonging
from replay.repo.objects import is_handle, is_object, kind_of, whole
from replay.repo.shapes import Function, Shape

MANY: Final = 4096
"""The end of a range of sizes where memory is in play: larger ones only cost memory, or crash."""
FAR: Final = 64
"""The end of a range of places in an object."""
ROOM: Final = 64
"""Bytes in a buffer of which nothing is known."""
PLENTY: Final = 256
"""Bytes in a buffer that is filled with what another one holds, or stands for."""
SOME: Final = 16
"""Bytes, or elements, in a buffer whose length is told."""
FEW: Final = 16
"""Elements in an array that is drawn."""
LONGEST: Final = 1024
"""Characters in a string, or bytes in a buffer whose length is told; most are far shorter."""
ELEMENTS, MORE = f"elements = [0, {FEW}]", f"elements = [0, {LONGEST // 4}]"
STRINGS: Final = "strings = [0, 3]"
_NUMBERS: Final = ("int", "float", "bool", "enum")


@dataclass(frozen=True, slots=True)
class Guess:
    """What a parameter is taken for.

    Attributes:
        name: of the parameter.
        param: its role; None where there is none.
        role: what to write in its place, as in a binding, where the word is known there.
        needs: a role that must be known, too, for ``role`` to make sense.
        why: why it has no role, or none that could be called without thought.
        careful: whether ``param`` is too much of a guess to be called unseen.

    """

    name: str
    param: Param | None = None
    role: str = ""
    why: str = ""
    careful: bool = False
    needs: str = ""


def guesses(
    function: Function,
    enums: Mapping[str, tuple[int, ...]],
    made: frozenset[str],
    stored: frozenset[str] = frozenset(),
) -> list[Guess]:
    """A role for each parameter.

    ``made`` are the kinds of objects that somebody makes, ``stored`` those that somebody
    makes in memory that is given.
    """
    return _Guesser(function, enums, made, stored).all()


def stores(function: Function, made: frozenset[str]) -> str:
    """The kind of object that a function makes in memory that it is given, if it may."""
    shape = function.params[0][1] if function.params else None
    if shape is None or not is_handle(shape) or shape.to is None or shape.const:
        return ""
    kind = kind_of(shape)
    starts = naming.has(function.name, naming.STARTS) and shape.to.size
    return kind if starts and kind not in made else ""


def _elements(pointer: Shape) -> int:
    """Bytes of what a pointer points to; 1 of void."""
    to = pointer.to
    return 1 if to is None or to.kind == "void" else to.size


class _Guesser:
    def __init__(
        self,
        function: Function,
        enums: Mapping[str, tuple[int, ...]],
        made: frozenset[str],
        stored: frozenset[str],
    ) -> None:
        self.function, self.enums = function, enums
        self.stores = stores(function, made)
        self.made = (made | stored) - {self.stores}
        self.params = [(n or f"arg{i}", s) for i, (n, s) in enumerate(function.params, 1)]
        self.of: dict[int, list[int]] = {}
        self.count = belonging(
            [name for name, _ in self.params],
            self.is_buffer,
            self.is_count,
            lambda index: self.params[index][1].const,
            self.is_string,
        )
        for buffer, at in sorted(self.count.items()):
            self.of.setdefault(at, []).append(buffer)
        memory = any(shape.kind == "pointer" for _, shape in self.params)
        self.memory = memory or function.returns.kind == "pointer"

    def all(self) -> list[Guess]:
        return [self.one(index) for index in range(len(self.params))]

    # --- what belongs together --------------------------------------------------------

    def is_buffer(self, index: int) -> bool:
        """A pointer to bytes, numbers, or structs that nobody makes."""
        shape = self.params[index][1]
        to = shape.to
        if shape.kind != "pointer" or to is None or self.is_made(shape):
            return False
        if to.kind == "struct":
            given = self.stores == kind_of(shape) or naming.has(
                self.params[index][0], naming.OPTIONS
            )
            return bool(to.size) and not given and not objects.warning(self.function)
        if to.kind == "pointer" and objects.is_text(to):
            return True
        return to.kind in ("void", *_NUMBERS) and not self.is_length(index)

    def is_made(self, shape: Shape) -> bool:
        return is_object(shape) and kind_of(shape) in self.made

    def is_count(self, index: int) -> bool:
        if not 0 <= index < len(self.params):
            return False
        name, shape = self.params[index]
        return shape.kind == "int" and shape.size >= 2 and naming.counts(name)

    def is_length(self, index: int) -> bool:
        """A pointer to a number that says how much there is: the room, and then what is used."""
        if not 0 <= index < len(self.params):
            return False
        name, shape = self.params[index]
        to = shape.to
        return (
            shape.kind == "pointer" and not shape.const and to is not None and to.kind == "int"
            and to.size >= 4 and naming.counts(name)
        )  # fmt: skip

    def is_string(self, index: int) -> bool:
        shape = self.params[index][1]
        return objects.is_text(shape) and shape.const

    # --- one parameter ----------------------------------------------------------------

    def one(self, index: int) -> Guess:
        name, shape = self.params[index]
        if index in self.of:
            return self.length(index)
        if shape.kind in _NUMBERS:
            return self.number(index)
        if shape.kind == "pointer" and shape.to is not None:
            return self.pointer(index)
        why = self.by_value(index)
        by_value = guessingvalues.is_passable(shape)
        return Guess(name, role="fields = {}" if by_value else "", why=why)

    def by_value(self, index: int) -> str:
        name, shape = self.params[index]
        return f"{name}: a {shape.text} is passed by value, which a binding cannot do"

    def length(self, index: int) -> Guess:
        """A count: the length of one buffer, or what several have room for."""
        name, shape = self.params[index]
        buffers = self.of[index]
        first, pointer = self.params[buffers[0]]
        if len(buffers) > 1:
            return Guess(name, Param(name, "int", 0, SOME, shape=shape))
        to = pointer.to
        assert to is not None
        if self.is_filled(buffers[0]):
            return Guess(name, Param(name, "int", 0, FAR, shape=shape))
        role = f'length_of = "{first}"'
        if to.kind in ("struct", "pointer"):
            why = f"{name} counts what {first} points to, which a binding cannot do"
            needs = ELEMENTS if to.kind == "struct" else STRINGS
            return Guess(name, role=role, why=why, needs=needs)
        if _elements(pointer) > 1:
            count = ROOM // _elements(pointer)
            param = Param(name, "int", 0, count, shape=shape)
            return Guess(name, param, role, needs=ELEMENTS)
        if self.is_output(buffers[0]):
            return Guess(name, Param(name, "int", 0, FAR, shape=shape))
        return Guess(name, Param(name, "length", of=first, shape=shape))

    def is_output(self, index: int) -> bool:
        """A buffer of bytes that is filled, and no more."""
        name, shape = self.params[index]
        if shape.const or naming.has(name, naming.TEXTS):
            return False
        verbs = ("read", "recv", "get", "fill", "encode", "final", "random", "generate", "to")
        text = objects.is_text(shape)
        return text or naming.has(name, naming.OUTPUTS) or naming.has(self.function.name, verbs)

    def is_filled(self, index: int) -> bool:
        """An array of numbers or structs that is counted, and by its name is filled."""
        (name, shape), to = self.params[index], self.params[index][1].to
        known = to is not None and to.element is not None and to.element.size > 1
        return known and not shape.const and naming.has(name, naming.OUTPUTS)

    def number(self, index: int) -> Guess:
        """A number: any of its type, unless it says how much memory there is, or where in it."""
        name, shape = self.params[index]
        if not shape.code:
            return Guess(name, why=self.by_value(index))
        values = self.enums.get(shape.name) if shape.kind == "enum" else None
        if values:
            choices = guessingvalues.flags(values) or tuple(sorted(set(values)))
            return Guess(name, Param(name, "choice", choices=choices, shape=shape))
        if shape.kind == "float":
            return Guess(name, Param(name, "float", shape=shape))
        low, high = whole(shape)
        if self.memory and naming.has(name, naming.PLACES):
            return Guess(name, Param(name, "int", max(low, -1), min(high, FAR), shape=shape))
        sizes = naming.counts(name) or naming.has(name, naming.CAPACITY)
        if self.memory and sizes:
            most = MANY if not any(map(self.is_buffer, range(len(self.params)))) else SOME
            return Guess(name, Param(name, "int", 0, min(high, most), shape=shape))
        return Guess(name, Param(name, "int", low, high, shape=shape))

    def pointer(self, index: int) -> Guess:  # noqa: PLR0911 - a line a kind
        name, shape = self.params[index]
        to = shape.to
        assert to is not None
        memory = objects.destroys(self.function) == objects.MEMORY and index == 0
        if memory or self.is_made(shape):
            kind = objects.MEMORY if memory else kind_of(shape)
            return Guess(name, Param(name, "handle", kind=kind, shape=shape))
        if to.kind == "struct":
            return self.struct(index)
        if to.kind == "function":
            return self.callback(index)
        if to.kind == "pointer":
            return self.place(index)
        if self.is_user(index):
            before = self.params[index - 1][0]
            return Guess(name, Param(name, "null", shape=shape), f'user_of = "{before}"')
        if self.is_length(index) and self.has_room(index):
            why = f"{name} tells the room there is, and must start with it"
            span = f"[1, {FAR}]" if index > 0 and self.is_room(index - 1) else f"[0, {SOME}]"
            return Guess(name, role=f"start = {span}", why=why)
        if self.is_room(index):
            return Guess(name, Param(name, "out", of=self.params[index + 1][0], shape=shape))
        if to.kind == "void" or (to.size == 1 and to.kind == "int"):
            return self.bytes(index)
        if to.kind in _NUMBERS and to.code:
            return self.numbers(index)
        return Guess(name, why=f"{name} is a {shape.text}, and what it points to has no role")

    def is_user(self, index: int) -> bool:
        """The data that a callback before it is given."""
        shape = self.params[index][1]
        void = shape.to is not None and shape.to.kind == "void"
        return void and index > 0 and objects.is_callback(self.params[index - 1][1])

    def is_carried(self, index: int) -> bool:
        """What an object is given to keep: nothing looks into it, so it may be any number."""
        name, shape = self.params[index]
        sets = naming.has(self.function.name, naming.SETTERS) and not naming.has(name, naming.ROOMS)
        kept = shape.text == "void *" and (sets or naming.has(name, naming.CARRIED))
        return kept and any(self.is_made(other) for _, other in self.params)

    def has_room(self, index: int) -> bool:
        """Whether a pointer to a length stands beside a buffer that is filled."""
        return any(
            0 <= at < len(self.params) and self.is_buffer(at) and not self.params[at][1].const
            for at in (index - 1, index + 1)
        )

    def is_room(self, index: int) -> bool:
        """Whether a buffer has the room that the length behind a pointer after it starts as."""
        shape = self.params[index][1]
        to = shape.to
        if index in self.count or not self.is_length(index + 1) or not self.is_buffer(index):
            return False
        plain = to is not None and (to.kind in ("int", "void") or to.element is not None)
        return plain and not shape.const

    def struct(self, index: int) -> Guess:
        name, shape = self.params[index]
        kind, to = kind_of(shape), shape.to
        assert to is not None
        if self.stores and index == 0:
            return Guess(name, Param(name, "storage", high=0, kind=kind, shape=shape))
        handle = Param(name, "handle", kind=kind, shape=shape)
        if not self.is_buffer(index):
            return Guess(name, handle)
        if shape.const and naming.has(name, naming.OPTIONS):
            return Guess(name, Param(name, "null", shape=shape))
        why = f"nothing makes a {kind}: give {name} another role, or add the op that makes it"
        if not guessingvalues.is_value(to, shape.const):
            return Guess(name, handle, "", why, careful=True)
        alone = index in self.count and len(self.of[self.count[index]]) == 1
        if self.is_room(index) or (alone and self.is_filled(index)):
            count = self.params[self.count.get(index, index + 1)][0]
            return Guess(name, Param(name, "out", of=count, shape=shape))
        size = SOME if self.is_length(index + 1) else 1
        span = f"[0, {FEW}]" if index in self.count else f"[{size}, {size}]"
        role = f"elements = {span}{guessingvalues.without_sizes(to)}"
        return Guess(name, handle, role, why, careful=True)

    def callback(self, index: int) -> Guess:
        name, shape = self.params[index]
        sizes = [
            _elements(pointer) for at, (_, pointer) in enumerate(self.params)
            if self.is_buffer(at) and pointer.to is not None and pointer.to.element is not None
        ]  # fmt: skip
        role = guessingcalls.role(shape, self.function, sizes)
        why = f"{name} is a callback ({shape.text}), and NULL may not do"
        return Guess(name, Param(name, "null", shape=shape), role, why, careful=True)

    def place(self, index: int) -> Guess:
        """A pointer to a pointer."""
        name, shape = self.params[index]
        to = shape.to
        assert to is not None
        ends = naming.ends(self.function.name)
        if is_handle(to) and kind_of(to) in objects.made_by_pointer(self.function):
            return Guess(name, Param(name, "makes", kind=kind_of(to), shape=shape))
        if ends:
            return Guess(name, why=f"{name} is where the object is that it ends: wrap it")
        texts = objects.is_text(to) and not naming.has(name, naming.ENDINGS | naming.OUTPUTS)
        if texts and index in self.count:
            return Guess(name, role=STRINGS, why=f"{name} is an array of strings")
        if texts and (to.const or shape.const):
            return Guess(name, why=f"{name} may be an array of strings, and no count is beside it")
        return Guess(
            name, role="pointer = true", why=f"{name} is a {shape.text}: it may be anything"
        )

    def bytes(self, index: int) -> Guess:  # noqa: PLR0911 - a line a case
        name, shape = self.params[index]
        given = "bytes" if shape.const else "inout"
        if index in self.count and len(self.of[self.count[index]]) > 1:
            role, low = ("out", 0) if self.is_output(index) else (given, SOME)
            return Guess(name, Param(name, role, low, SOME, shape=shape))
        if index in self.count:
            if self.is_output(index):
                count = self.params[self.count[index]][0]
                return Guess(name, Param(name, "out", of=count, shape=shape))
            end = self.longest(SOME) if shape.const else SOME
            return Guess(name, Param(name, given, 0, end, shape=shape))
        if objects.is_text(shape) and (shape.const or naming.has(name, naming.TEXTS)):
            return Guess(name, Param(name, "string", 0, self.longest(FAR), shape=shape))
        if shape.const:
            return Guess(name, Param(name, "bytes", ROOM, ROOM, shape=shape))
        if self.is_carried(index):
            return Guess(name, Param(name, "int", 0, 9, shape=shape))
        # What is filled goes by another's count, or by what is put in: it may be longer.
        room = Param(name, "out", high=PLENTY if self.of else ROOM, shape=shape)
        if shape.to is not None and shape.to.kind == "void" and not self.is_output(index):
            why = f"{name} is a {shape.text}, and how much memory it must have is not known"
            return Guess(name, room, why=why, careful=True)
        return Guess(name, room)

    def longest(self, few: int) -> int:
        """The end of a range of lengths: few where something is filled that has no length."""
        loose = (
            self.is_buffer(at) and _elements(shape) == 1 and at not in self.count
            and not shape.const and not self.is_room(at)
            for at, (_, shape) in enumerate(self.params)
        )  # fmt: skip
        return few if any(loose) else LONGEST

    def numbers(self, index: int) -> Guess:
        """A pointer to numbers: an array if they are counted, else one that is written."""
        name, shape = self.params[index]
        to = shape.to
        assert to is not None
        given = "bytes" if shape.const else "inout"
        if index in self.count and len(self.of[self.count[index]]) == 1:
            if self.is_filled(index):
                count = self.params[self.count[index]][0]
                return Guess(name, Param(name, "out", of=count, shape=shape))
            many = MORE if shape.const and self.longest(0) else ELEMENTS
            return Guess(name, Param(name, given, ROOM, ROOM, shape=shape), many)
        if index in self.count or (self.of and not shape.const):
            # What is written goes by a count that is another's, too: there is room for it.
            size = SOME * to.size
            role = f"elements = [{SOME}, {SOME}]"
            return Guess(name, Param(name, given, size, size, shape=shape), role)
        if shape.const:
            return Guess(name, Param(name, "bytes", ROOM, ROOM, shape=shape))
        number = "" if to.kind == "float" else "signed" if to.signed else "unsigned"
        return Guess(name, Param(name, "out", high=to.size, number=number, shape=shape))
