"""Streams that stop a reader which a damaged file leads astray.

pyelftools follows the counts, lengths and offsets that a file states. A damaged file can
so make it read the same bytes again and again, or build one number from megabytes. These
streams keep its work in proportion to the size of what there is to read.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

READ_COST: Final = 32
"""What a read costs beside its bytes: small reads are what takes the time."""

LONGEST_NUMBER: Final = 4096
"""Bytes with the high bit set, read singly one after another, in honest files. A LEB128
number has at most 10; an inline name in UTF-8 may have more."""


class Budget:
    """How much may still be read, in bytes and in reads.

    Args:
        size: the bytes there are to read.
        times: how often they may be; one pass over honest files costs less than 25.
    """

    __slots__ = ("left",)

    def __init__(self, size: int, times: int) -> None:
        self.left = times * size + (64 << 20)

    def spend(self, amount: int) -> None:
        """Note a read of so many bytes.

        Raises:
            ValueError: too much was read.
        """
        self.left -= READ_COST + amount
        if self.left < 0:
            raise ValueError("its parts refer to each other without end")


class BoundedFile(io.BufferedReader):
    """A file open for reading, on a budget."""

    def __init__(self, path: Path, budget: Budget) -> None:
        super().__init__(io.FileIO(path, "rb"))
        self._budget = budget

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; a ValueError when the budget is spent."""
        data = super().read(size)
        self._budget.spend(len(data))
        return data


class BoundedBytes(io.BytesIO):
    """A section in memory, on a budget, that no endless number is read from."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        super().__init__(data)
        self._budget = budget
        self._high = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any stream; a ValueError when the budget is spent or a number never ends."""
        data = super().read(size)
        self._budget.spend(len(data))
        if size == 1 and data and data[0] & 0x80:
            self._high += 1
            if self._high > LONGEST_NUMBER:
                raise ValueError("a number of more than 4096 bytes")
        else:
            self._high = 0
        return data
