"""What is closed when its ``with`` statement is left."""

from __future__ import annotations

from abc import abstractmethod
from types import TracebackType
from typing import Self


class Closing:
    """A base of what holds something until it is closed: a process, a file, an executor."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give up what it holds."""
