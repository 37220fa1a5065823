"""The engine run on a step: the job that it is given, and what it tells."""

from __future__ import annotations

import signal
import struct
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from replay.build.command import Commands
from replay.build.compiler import environment
from replay.build.output import Kept
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.concolic.banks import row
from replay.dirty.explore.errors import ToolError
from replay.dirty.explore.state import Shape
from replay.dirty.language.trace import Trace

MOST_BLOCKS: Final = 8
MOST_WAYS = 1 << 27
"""Ways that an operation may have, as far as its first one tells: two minutes' work."""
DONE, BROKEN, FULL = range(3)
"""How the engine ends."""
HEAD: Final = struct.Struct("=7q128s")
DIFFERENT: Final = struct.Struct("=4q3Q4q")
KINDS: Final = (
    "status", "ret", "events", "migration_dirty_pages", "shape", "state", "unfit", "refused",
    "crash", "hang",
)  # fmt: skip
"""What a difference touches, by its bits."""
SPARE: Final = 512 << 20
"""Bytes that the engine needs beside the machines that it keeps."""


class Different(NamedTuple):
    """A way through an operation on which the C does not as its model.

    Attributes:
        shape: the number of the shape of the states.
        bank, entry: the places of the operation's code and of the operation in it.
        kinds: bits, see KINDS.
        asked: the cells that have a value, ``state``: which, ``cells``: those that come to
            differ.
        status, ret: of the C.
        tlb_pages, code_pages: for how many pages the C's arrays have bits.

    """

    shape: int
    bank: int
    entry: int
    kinds: int
    asked: int
    state: int
    cells: int
    status: int
    ret: int
    tlb_pages: int
    code_pages: int

    @property
    def names(self) -> tuple[str, ...]:
        """What it touches."""
        return tuple(name for bit, name in enumerate(KINDS) if self.kinds >> bit & 1)


@dataclass(frozen=True, slots=True)
class Told:
    """What the engine told of a step.

    Attributes:
        ways: that were gone, ``executed``: operations, over all ``bases``: the machines
            that operations start from, their cells apart.
        loads, stores: of units of the state.
        different: ways on which C and model part.
        problem: why that is not all; empty if it is.

    """

    ways: int
    executed: int
    bases: int
    loads: int
    stores: int
    different: tuple[Different, ...]
    problem: str = ""


def job(
    scope: Scope, shapes: Sequence[Shape], start: int, first: int, most: int, every: bool
) -> bytes:
    """What the engine is to do.

    Args:
        scope: of the machines.
        shapes: of their states.
        start: the number of the one that they begin with.
        first: the state of it that they begin in.
        most: bytes for the machines that it keeps.
        every: whether cells have every value, instead of those that they can have.

    """
    words = array("Q")
    prefix = [row(name, args, words) for name, args in Trace(scope.prefix, scope.config).program]
    numbers = array(
        "q",
        (
            scope.word_bits, scope.pages, scope.room, scope.hpratio, scope.tcg, start,
            len(shapes), len(prefix), most, first, every, MOST_WAYS,
        ),
    )  # fmt: skip
    for shape in shapes:
        blocks = [number for block in shape.blocks for number in block]
        if len(shape.blocks) > MOST_BLOCKS:
            raise ToolError(f"a machine has more than {MOST_BLOCKS} blocks")
        bitmap = -1 if shape.bitmap is None else shape.bitmap
        numbers.extend((shape.room, bitmap, shape.nominal, shape.logging, len(shape.blocks)))
        numbers.extend(blocks + [0] * (2 * MOST_BLOCKS - len(blocks)))
    for one in prefix:
        numbers.extend(one)
    return numbers.tobytes()


def run(
    commands: Commands, engine: Path, library: Path, given: bytes, banks: Sequence[Path],
    limit: float, memory: int,
) -> Told:  # fmt: skip
    """Run the engine to its end, or for so many seconds.

    Raises:
        ToolError: it did not tell anything.

    """
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        place = Path(folder)
        (place / "job").write_bytes(given)
        words = [engine, library, place / "job", place / "result", *banks]
        ended = commands.run(
            [str(word) for word in words], place, environment(), limit, Kept(4096), memory + SPARE
        )
        if not ended.in_time:
            raise ToolError(f"the engine did not end within {limit:.0f} seconds")
        if ended.status or not (place / "result").is_file():
            raise ToolError(f"the engine ended {_status(ended.status)}")
        return _read((place / "result").read_bytes())


def _status(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def _read(data: bytes) -> Told:
    ending, ways, executed, bases, loads, stores, count, text = HEAD.unpack_from(data)
    found = [
        Different(*DIFFERENT.unpack_from(data, HEAD.size + at * DIFFERENT.size))
        for at in range(count)
    ]
    problem = "" if ending == DONE else text.rstrip(b"\0").decode("utf-8", "replace")
    return Told(ways, executed, bases, loads, stores, tuple(found), problem)
