"""The queue as one would test it with Hypothesis and ctypes: lists of calls, all in a process.

This module needs Hypothesis (the extra ``bench``): import it inside a function.
"""

from __future__ import annotations

import ctypes

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st

from replay.repo.language import CALLS

calls = st.lists(st.tuples(st.integers(0, 11), st.booleans(), st.integers(0, 255)), max_size=CALLS)


def call_by_hypothesis(library: ctypes.CDLL, examples: int, seed: int) -> tuple[int, int]:
    """Let Hypothesis call the library: calls of operations, and of observers.

    Generation only: no database, no shrinking, no deadline, no health checks.
    """
    library.queue_new.restype = ctypes.c_void_p
    for name in ("free", "put", "get", "write", "read", "count", "is_full"):
        getattr(library, f"queue_{name}").argtypes = {
            "put": [ctypes.c_void_p, ctypes.c_ubyte],
            "write": [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int],
            "read": [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int],
        }.get(name, [ctypes.c_void_p])
    operations = looks = 0

    @with_seed(seed)
    @settings(
        max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(calls)
    def check(drawn: list[tuple[int, bool, int]]) -> None:
        nonlocal operations, looks
        live: dict[bool, int] = {}
        for op, which, value in drawn:
            operations += 1
            if which not in live:
                live[which] = library.queue_new(1 + value % 8)
            else:
                _call(library, op, live, which, value)
            for pointer in live.values():
                library.queue_count(pointer)
                library.queue_is_full(pointer)
                looks += 2
        for pointer in live.values():
            library.queue_free(pointer)

    check()
    return operations, looks


def _call(library: ctypes.CDLL, op: int, live: dict[bool, int], which: bool, value: int) -> None:
    pointer = live[which]
    if op == 0:
        library.queue_free(pointer)
        del live[which]
    elif op < 4:
        library.queue_put(pointer, value)
    elif op < 7:
        library.queue_get(pointer)
    elif op < 9:
        library.queue_write(pointer, bytes(range(value % 6)), value % 6)
    else:
        library.queue_read(pointer, ctypes.create_string_buffer(8), value % 6)
