"""The functions that a library is given to call, in the process apart.

A generated callback notes each of its calls. What it returns is told by the value that the
trace has for it: a seed, and at which call it is to stop. ``driver/callbacks.py`` writes the
same in C. Imports the standard library alone, as ``worker`` does, which asks it.

What is passed for a value is always one function, and one pointer for its user data, so that
a library finds a callback again that it was given before: there are SLOTS of each.
"""

from __future__ import annotations

import ctypes

from replay.apart.light import dumps

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

SEEDS: Final = 16
STOPS: Final = 8
SLOTS: Final = 4
USER: Final = 64
"""Bytes, all 0, behind a pointer to user data."""
SHOWN: Final = 64
"""Calls of callbacks that a record has in words; of the others it has a digest."""
MOST_STRING: Final = 4096
WORD: Final = (1 << 64) - 1
INTEGERS: Final = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def drawn(seed: int, count: int, low: int, high: int) -> int:
    """What the call of this number returns, counted from 1; the simplest for seed 0."""
    if not seed:
        return low
    word = (seed * 0x9E3779B97F4A7C15 + count * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ word >> 30) * 0x94D049BB133111EB) & WORD
    return low + (word ^ word >> 31) % (high - low + 1)


class _Slot:
    """A generated function: its user data, and where it is in what it returns."""

    def __init__(self) -> None:
        self.user = ctypes.create_string_buffer(USER)
        self.address = ctypes.addressof(self.user)
        self.seed = self.stop = self.count = 0
        self.function: Any = None


class Callbacks:
    """The callbacks of one trace, and what they were called with.

    Args:
        library: whose functions may be passed.
        types: of ctypes, by code.
        trace: has the live objects.
        errno: it is to stay what the library made it.

    """

    def __init__(self, library: Any, types: dict[str, Any], trace: Any, errno: bool) -> None:
        self.library, self.types, self.trace, self.errno = library, types, trace, errno
        self.slots: dict[str, list[_Slot]] = {}
        self.kept: list[Any] = []
        self.call: list[Any] = []
        self.passed: list[tuple[_Slot, int, int]] = []
        self.texts: list[str] = []
        self.more = 0
        self.digest: Any = None

    def argument(self, arg: dict[str, Any], values: list[Any]) -> Any:
        """What is passed for a parameter with a role of this module; None for any other."""
        role, how = arg["role"], arg.get("callback", {})
        if role == "function":
            return ctypes.cast(getattr(self.library, how["function"]), ctypes.c_void_p).value
        if role == "compare":
            made = _comparator(how["compare"])
            self.kept.append(made)
            return ctypes.cast(made, ctypes.c_void_p).value
        if role not in ("callback", "user"):
            return None
        slot, seed, stop = self.slot(how, values[arg["value"]])
        if role == "user":
            return slot.address
        if self.call is not values:
            self.call, self.passed = values, []
        self.passed.append((slot, seed, stop))
        if slot.function is None:
            slot.function = self.generated(how, slot)
        return ctypes.cast(slot.function, ctypes.c_void_p).value

    def begin(self) -> None:
        """A call is made with what was passed: the functions start anew."""
        for slot, seed, stop in self.passed:
            slot.seed, slot.stop, slot.count = seed, stop, 0
        self.passed = []

    def slot(self, how: dict[str, Any], value: int) -> tuple[_Slot, int, int]:
        """The function for a value; its seed, and the call at which it stops."""
        seed, stop = (value, 0) if how["stops"] is None else divmod(value, STOPS)
        slots = self.slots.setdefault(how["key"], [])
        slots += [_Slot() for _ in range(SLOTS - len(slots))]
        return slots[seed % SLOTS], seed, stop

    def generated(self, how: dict[str, Any], slot: _Slot) -> Any:
        """The function of a slot."""
        if self.digest is None:
            import hashlib  # most processes need none, and start sooner

            self.digest = hashlib.sha256()
        result, *codes = how["signature"]
        kinds = ["p" if code == "s" else code for code in codes]

        def called(*given: Any) -> Any:
            slot.count += 1
            stops = slot.stop and slot.count == slot.stop
            value = how["stops"] if stops else drawn(
                slot.seed, slot.count, how["low"], how["high"]
            )  # fmt: skip
            self.note(how, slot, codes, given, value)
            if result in ("v", "p"):
                return None
            return float(value) if result in ("f4", "f8") else value

        kind = ctypes.CFUNCTYPE(
            self.types[result], *(self.types[code] for code in kinds), use_errno=self.errno
        )
        return kind(called)

    def note(
        self, how: dict[str, Any], slot: _Slot, codes: list[str], given: tuple[Any, ...],
        value: int,
    ) -> None:  # fmt: skip
        """Keep a call for the next record."""
        words = [self.word(c, one, slot, given[n + 1 :], codes[n + 1 :])
                 for n, (c, one) in enumerate(zip(codes, given, strict=True))]  # fmt: skip
        shown = "" if how["signature"][0] in ("v", "p") else f" = {value}"
        text = f"{how['name']}({', '.join(words)}){shown}"
        if len(self.texts) < SHOWN:
            self.texts.append(text)
        else:
            self.more += 1
            self.digest.update(text.encode() + b"\n")

    def word(  # noqa: PLR0911 - a line a kind
        self, code: str, value: Any, slot: _Slot, others: tuple[Any, ...], codes: list[str]
    ) -> str:
        """What is observed of an argument; of a string no more than a size_t behind it says."""
        if code in INTEGERS:
            return str(int(value))
        if code in ("f4", "f8"):
            return repr(value)
        if not value:
            return "NULL"
        if code == "s":
            most = others[0] if codes[:1] == ["u8"] else MOST_STRING
            return dumps(_text(value, min(most, MOST_STRING)))
        if value == slot.address:
            return "user"
        if any(value == one.address for slots in self.slots.values() for one in slots):
            return "another user"
        live = (n for n in sorted(self.trace.handles) if self.trace.handles[n] == value)
        number = next(live, None)
        return "not NULL" if number is None else f"{self.trace.kinds[number]}{number}"

    def news(self) -> dict[str, str]:
        """The calls since the record before, by label."""
        found = {f"callback {n}": text for n, text in enumerate(self.texts, 1)}
        if self.more:
            found["callbacks"] = f"{self.more} more, {self.digest.hexdigest()[:16]}"
        self.texts, self.more = [], 0
        return found


def _text(address: int, most: int) -> str:
    """A string of so many characters at most; nothing behind its end is read."""
    found = bytearray()
    while len(found) < most:
        byte = ctypes.string_at(address + len(found), 1)
        if byte == b"\0":
            break
        found += byte
    return found.decode("latin-1")


def _comparator(size: int) -> Any:
    """Orders two elements: as signed numbers where they are as large as one, else as bytes."""

    def compared(one: int | None, other: int | None) -> int:
        if not one or not other:
            return bool(one) - bool(other)
        a, b = (ctypes.string_at(place, size) for place in (one, other))
        if size in (1, 2, 4, 8):
            x, y = (int.from_bytes(raw, "little", signed=True) for raw in (a, b))
            return (x > y) - (x < y)
        return (a > b) - (a < b)

    kind: Callable[..., Any] = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    return kind(compared)
