"""Traces → bytes, as the driver reads them.

A trace is the number of its calls and of its objects, then the calls: the operation, its
values, the object that it makes. Integers are in the machine's order of bytes. Objects are
counted from 0, in the order of their numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from replay.repo.calls import Call, CallTrace
from replay.repo.driver.generate import Layout
from replay.repo.driver.pieces import Refused

WORD: Final = (1 << 64) - 1
_UNFIT: Final = (
    KeyError, ValueError, TypeError, AttributeError, struct.error, OverflowError,
)  # fmt: skip
_TWO: Final = struct.Struct("=II")
_CODES: Final = {"i": "Q", "d": "d", "h": "I"}


class Encoder:
    """Encodes traces of the operations that have a layout."""

    def __init__(self, layouts: Mapping[str, Layout]) -> None:
        self.layouts = layouts
        self.packers = {
            name: struct.Struct(
                "=H" + "".join(_CODES.get(c, "") for c in one.values) + "I" * one.makes
            )
            for name, one in layouts.items()
            if not set(one.values) & {"b", "s"}
        }

    def trace(self, trace: CallTrace) -> bytes:
        """A trace.

        Raises:
            Refused: it has a call or a value that the driver cannot make.

        """
        try:
            numbers = self._numbers(trace)
            parts = [self._call(call, numbers) for call in trace]
        except _UNFIT as error:
            raise Refused(f"a value that the driver cannot pass ({error})") from None
        return _TWO.pack(len(trace), len(numbers)) + b"".join(parts)

    def _numbers(self, trace: CallTrace) -> dict[int, int]:
        used: set[int] = set()
        for call in trace:
            known = self.layouts[call.op]
            if known.makes:
                used.add(call.makes)
            at = known.values.find("h")
            while at >= 0:
                used.add(int(call.values[at]))
                at = known.values.find("h", at + 1)
        return {number: place for place, number in enumerate(sorted(used))}

    def _call(self, call: Call, numbers: Mapping[int, int]) -> bytes:
        known = self.layouts[call.op]
        words: list[int | float | bytes] = []
        for letter, value in zip(known.values, call.values, strict=True):
            if letter == "i":
                words.append(value & WORD)  # type: ignore[operator]  # a float is refused
            elif letter == "h":
                words.append(numbers[int(value)])
            elif letter == "d":
                words.append(float(value))
            elif letter == "b":
                words.append(bytes.fromhex(value))  # type: ignore[arg-type]  # the same
            elif letter == "s":
                words.append(value.encode("latin-1") + b"\0")  # type: ignore[union-attr]
        if known.makes:
            words.append(numbers[call.makes])
        packer = self.packers.get(call.op)
        if packer is not None:
            return packer.pack(known.number, *words)
        letters = known.values.replace("-", "") + "h" * known.makes
        parts = [struct.pack("=H", known.number)]
        for letter, word in zip(letters, words, strict=True):
            if isinstance(word, bytes):
                parts += (struct.pack("=I", len(word)), word)
            else:
                parts.append(struct.pack("=" + _CODES[letter], word))
        return b"".join(parts)
