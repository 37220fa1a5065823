"""In the process apart: which places of the library traces come by; see ``reach.c``.

Imports the standard library alone, as ``worker`` does, which asks it.
"""

from __future__ import annotations

import ctypes
import os

from replay.apart.light import signal

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from typing import Any


class Reaching:
    """Breakpoints that are met once, in a library that is loaded.

    Args:
        library: as ``ctypes`` loaded it; None for a model, which has no places.
        request: the first message. ``reach`` has the offsets of the places in the library,
            in ascending order, and ``helper`` is the path of ``reach.c``, compiled.
            With ``compares``, four words a place, each is told by the operands of all
            comparisons there instead, see ``replay.elf.compares``.

    Attributes:
        unknown: why it cannot be told what is reached; empty if it can.
    """

    def __init__(self, library: Any, request: dict[str, Any]) -> None:
        self.helper: Any = None
        self.compares: list[int] = []
        self.unknown = ""
        self.held = False
        offsets: list[int] = request.get("reach") or []
        if library is None or not offsets:
            return
        try:
            helper = ctypes.CDLL(request["helper"])
        except OSError as error:
            self.unknown = f"the helper cannot be loaded: {error}"
            return
        helper.reach_arm.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        helper.reach_sync.restype = helper.reach_left.restype = ctypes.c_size_t
        self.found = (ctypes.c_uint32 * len(offsets))()
        given = (ctypes.c_uint64 * len(offsets))(*offsets)
        failed = helper.reach_arm(library._handle, given, len(offsets))
        if failed:
            self.unknown = f"breakpoints cannot be set: {os.strerror(failed)}"
            return
        self.compares = request.get("compares") or []
        if self.compares:
            words = (ctypes.c_uint64 * len(self.compares))(*self.compares)
            helper.reach_operands.restype = ctypes.c_size_t
            helper.reach_compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
            helper.reach_compare(library._handle, words)
        self.helper = helper

    def doubts(self, kind: str, number: int) -> bool:
        """Whether a run has to be made again, as breakpoints may have ended it; none are left.

        The kernel ends a process that meets one while it holds the signal back, and a
        handler of the library's own may do anything. No verdict rests on such an end.
        """
        if self.helper is None or self.compares or kind != "signal" or not self.helper.reach_left():
            return False
        self.helper.reach_hold(1)
        self.held = True
        if number == signal.SIGTRAP:
            self.unknown = "the library holds SIGTRAP back, raises it or handles it itself"
        return True

    def told(self) -> dict[str, Any]:
        """What an answer says of it: the numbers of the places that were reached first."""
        if self.unknown:
            self.helper = None
            return {"reach_unknown": self.unknown}
        if self.helper is None:
            return {}
        if self.compares:
            return {"operands": self.operands()}
        fresh = self.helper.reach_sync(self.found)
        if self.held:
            self.helper.reach_hold(0)
            self.held = False
        return {"reached": self.found[:fresh]}

    def operands(self) -> list[int]:
        """What was told of comparisons so far: for each the place and its two values."""
        found = ctypes.POINTER(ctypes.c_uint64)()
        count = self.helper.reach_operands(ctypes.byref(found))
        return found[: 3 * count]
