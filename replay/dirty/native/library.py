"""The functions of series/tree/include/driver.h, bound with ctypes.

Imports nothing but the standard library: the process apart starts with this and little else.
Buffers go by address; their owners have to live as long as the call.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from typing import Final

VERSION: Final = 3
"""DIRTY_VERSION of the header that this is written for."""


_INT: Final = ctypes.c_int
_LONG: Final = ctypes.c_int64
_SIZE: Final = ctypes.c_size_t
_AT: Final = ctypes.c_void_p


class LoadError(Exception):
    """A file that is no library of the driver's interface."""


class Library:
    """One step's library: one machine. Two of them never share symbols or state.

    Raises:
        LoadError: the file cannot be loaded, or is not what it should be.

    """

    def __init__(self, path: str) -> None:
        try:
            self.handle = handle = ctypes.CDLL(path, mode=ctypes.RTLD_LOCAL)
            handle.dirty_version.argtypes = ()
            version = handle.dirty_version()
        except (OSError, AttributeError) as error:
            raise LoadError(f"{path}: {error}") from None
        if version != VERSION:
            raise LoadError(f"{path}: its driver has version {version}, this needs {VERSION}")
        for name, result, arguments in (
            ("dirty_reset", _INT, (_LONG, _INT)),
            ("dirty_digest_every", _INT, (_LONG,)),
            ("dirty_run", _LONG, (_AT, _SIZE, _AT, _AT, _AT)),
            ("dirty_run_traces", _LONG, (_AT, _SIZE, _AT, _AT, _AT)),
            ("dirty_record", _LONG, (_AT, _SIZE, _AT, _AT, _SIZE)),
        ):
            try:
                function = getattr(handle, name)
            except AttributeError as error:
                raise LoadError(f"{path}: {error}") from None
            function.restype = result
            function.argtypes = arguments

    def reset(self, hpratio: int, tcg: bool) -> None:
        """A fresh machine."""
        if self.handle.dirty_reset(hpratio, tcg) < 0:
            raise ValueError(f"no machine has hpratio {hpratio}")

    def digest_every(self, ops: int) -> None:
        """Have the whole state in the digest after each so many operations."""
        if self.handle.dirty_digest_every(ops) < 0:
            raise ValueError(f"the state cannot be looked at every {ops} operations")

    def run(self, ops: int, n: int, words: int, digests: int = 0, results: int = 0) -> int:
        """``dirty_run``: how many ran, or -1 - the index of one that is refused."""
        return int(self.handle.dirty_run(ops, n, words, digests or None, results or None))

    def run_traces(self, table: int, n: int, ops: int, words: int, digests: int = 0) -> int:
        """``dirty_run_traces``: ``n``, or -1 - the index of a trace that is refused."""
        return int(self.handle.dirty_run_traces(table, n, ops, words, digests or None))

    def record(self, ops: int, n: int, words: int, out: int, most: int) -> int:
        """``dirty_record``: how many are recorded, or -1 - the index of one refused."""
        return int(self.handle.dirty_record(ops, n, words, out, most))
