"""In the process apart: allocations of the library that fail on request.

Imports the standard library alone, as ``worker`` does, which asks it; see
``driver/allocations.c``.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from typing import Any


class Among:
    """Where the functions of operations are: in the library, or in the helper.

    Args:
        library: as ``ctypes`` loaded it.
        request: the first message. ``failing`` is the path of the helper, where an operation
            is its own.

    Raises:
        OSError: the helper cannot be loaded.

    """

    def __init__(self, library: Any, request: dict[str, Any]) -> None:
        self.library = library
        self.helper: Any = None
        if request.get("failing"):
            self.helper = ctypes.CDLL(request["failing"])
            self.helper.allocations_watch.argtypes = [ctypes.c_void_p]
            self.helper.allocations_watch(library._handle)

    def of(self, data: dict[str, Any]) -> Any:
        """Where the function of an operation is."""
        return self.helper if data.get("own") else self.library
