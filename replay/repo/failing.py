"""The helper that has allocations fail, compiled once; see ``driver/allocations.c``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.build.helper import NotCompiledError, compiled_helper
from replay.repo.bound import Bound, Unbound

FORMAT: Final = "replay-failing/1"
SOURCE: Final = Path(__file__).with_name("driver") / "allocations.c"
FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-w")


def failing_request(bound: Bound) -> dict[str, Any]:
    """What the first message to a worker says of it: nothing where no operation needs it.

    Raises:
        Unbound: it cannot be compiled.

    """
    if not any(op.get("own") for op in bound.ops):
        return {}
    try:
        return {"failing": str(helper())}
    except BuildError as error:
        raise Unbound(f"library.fail_malloc needs a C compiler: {error}") from None


def helper() -> Path:
    """The compiled helper, from the cache or made now.

    Raises:
        BuildError: there is no compiler, or the cache cannot be written.
        Unbound: it does not compile.

    """
    try:
        return compiled_helper(find_compiler(), SOURCE, FLAGS, FORMAT)
    except NotCompiledError as error:
        raise Unbound(f"library.fail_malloc: {error}") from None
