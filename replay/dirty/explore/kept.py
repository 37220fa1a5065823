"""A search in a file: stopped, it goes on from there, and ends as if it had never been.

The file holds the layers that were complete; the set of states follows from them. A line of
JSON says what was searched: where another scope, step or property is asked for, or the model
is another one, the file is refused. After it come the states, compressed, and a digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import struct
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.errors import ExploreError, Refused
from replay.dirty.explore.expansion import States
from replay.dirty.explore.halting import Stop, never
from replay.dirty.explore.reach import Reached

FORMAT: Final = "replay-explore-state/1"
EVERY: Final = 60.0
"""Seconds after which a running search is kept again."""
SHARE: Final = 20
"""A running search is kept so seldom that it takes at most 1 part of so many of its time."""
PIECE: Final = 1 << 16
"""States that are compressed at once."""
LENGTH: Final = struct.Struct("<I")
HEADER: Final = 1 << 20
"""Bytes that the first line has at most."""
DIGEST: Final = hashlib.sha256().digest_size


class Keeper:
    """The file of one search.

    Args:
        path: the file; it need not be there.
        scope: of the search.
        step: whose states, and ``what``: a property, or "states".

    """

    def __init__(self, path: Path, scope: Scope, step: int, what: str) -> None:
        self.path = path
        plain = asdict(scope) | {"without": sorted(scope.without)}
        self.key = {"scope": plain, "step": str(step), "what": what}
        self._next = time.monotonic() + EVERY
        self._there = (0, False)

    def restore(self, reached: Reached) -> None:
        """Let a search go on from the file, if there is one.

        Raises:
            Refused: it is of another search, spoiled, or too large for the memory.
            ExploreError: it cannot be read.

        """
        with _refusing(self.path, "read"):
            if not self.path.exists():
                return
            with self.path.open("rb") as file:
                layers, fixpoint = self._read(file, reached)
        reached.resume(layers, fixpoint)
        self._there = (len(layers), fixpoint)

    def save(self, reached: Reached) -> None:
        """Write what the search has, whole or not at all, unless it is there.

        Raises:
            ExploreError: the file cannot be written; the old one stays.

        """
        begun = time.monotonic()
        there = (len(reached.layers), reached.fixpoint)
        if there == self._there:
            return
        temporary = self.path.with_name(f".replay-{secrets.token_hex(8)}.tmp")
        with _refusing(self.path, "written"):
            try:
                with temporary.open("xb") as file:
                    self._write(file, reached)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        now, self._there = time.monotonic(), there
        self._next = now + max(EVERY, SHARE * (now - begun))

    def save_in_time(self, reached: Reached) -> None:
        """Write it if that has not been done for long.

        Raises:
            ExploreError: as :meth:`save`.

        """
        if time.monotonic() >= self._next:
            self.save(reached)

    # --- the file ---

    def _write(self, file: IO[bytes], reached: Reached) -> None:
        head = {
            "format": FORMAT, **self.key, "tables": reached.engine.digest,
            "layers": [len(layer) for layer in reached.layers], "fixpoint": reached.fixpoint,
        }  # fmt: skip
        digest = hashlib.sha256()
        for data in (json.dumps(head).encode() + b"\n", *_packed(reached.layers)):
            digest.update(data)
            file.write(data)
        file.write(digest.digest())

    def _read(self, file: IO[bytes], reached: Reached) -> tuple[list[States], bool]:
        line = file.readline(HEADER)
        head = self._head(line)
        self._same(head, reached.engine.digest)
        reached.fits(sum(head["layers"]))
        digest = hashlib.sha256(line)
        try:
            layers = [_layer(file, count, digest) for count in head["layers"]]
        except (zlib.error, ValueError):
            raise self._spoiled() from None
        if file.read(DIGEST + 1) != digest.digest() or layers[0] != reached.layers[0]:
            raise self._spoiled()
        return layers, bool(head["fixpoint"])

    def _head(self, line: bytes) -> dict[str, Any]:
        try:
            head = json.loads(line)
            if not isinstance(head, dict) or "format" not in head:
                raise ValueError
            if head["format"] != FORMAT:
                raise Refused(
                    f"{self.path}: this version reads {FORMAT}, the file is {head['format']}; "
                    "take another folder with --state"
                )
            sizes = head["layers"]
            if not all(isinstance(n, int) and n > 0 for n in sizes) or not sizes:
                raise ValueError
            head["scope"], head["step"], head["what"], head["tables"], head["fixpoint"]
        except (ValueError, KeyError, TypeError):
            raise self._spoiled() from None
        return head

    def _same(self, head: dict[str, Any], tables: str) -> None:
        scope = self.key["scope"]
        wanted = json.loads(json.dumps(scope))
        other = [
            name for name in wanted
            if not isinstance(head["scope"], dict) or head["scope"].get(name) != wanted[name]
        ]  # fmt: skip
        problem = ""
        if other:
            problem = f"of another scope ({', '.join(other)})"
        elif (head["step"], head["what"]) != (self.key["step"], self.key["what"]):
            problem = f"of step {head['step']}, {head['what']}"
        elif head["tables"] != tables:
            problem = f"of another model of step {head['step']}"
        if problem:
            raise Refused(
                f"{self.path}: this search is {problem}; ask as it did, or take another folder "
                "with --state"
            )

    def _spoiled(self) -> Refused:
        return Refused(
            f"{self.path}: this is no whole search that was kept: it is cut short or spoiled; "
            "remove it to begin anew"
        )


def _packed(layers: Sequence[States]) -> Iterator[bytes]:
    """The states in pieces: the length of each, and the piece, compressed."""
    for layer in layers:
        for begin in range(0, len(layer), PIECE):
            piece = layer[begin : begin + PIECE]
            if sys.byteorder == "big":
                piece.byteswap()
            data = zlib.compress(piece, 1)
            yield LENGTH.pack(len(data))
            yield data


def _layer(file: IO[bytes], count: int, digest: Any) -> States:
    """The next layer of a file.

    Raises:
        ValueError, zlib.error: there is none.

    """
    layer = array("Q", (0,)) * count
    for begin in range(0, count, PIECE):
        head = _taken(file, LENGTH.size, digest)
        states = min(PIECE, count - begin)
        (size,) = LENGTH.unpack(head)
        if size > 16 * states + 1024:
            raise ValueError("no piece is so long")
        unpacking = zlib.decompressobj()
        piece = unpacking.decompress(_taken(file, size, digest), 8 * states + 1)
        if len(piece) != 8 * states or not unpacking.eof:
            raise ValueError("a piece has as many states as it has to have")
        layer[begin : begin + states] = array("Q", piece)
    if sys.byteorder == "big":
        layer.byteswap()
    return layer


def _taken(file: IO[bytes], size: int, digest: Any) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ValueError("the file ends too early")
    digest.update(data)
    return data


@contextlib.contextmanager
def _refusing(path: Path, done: str) -> Iterator[None]:
    """What the system refuses, as one message."""
    try:
        yield
    except OSError as error:
        raise ExploreError(f"{path}: the state cannot be {done}: {error.strerror}") from None


def searched(
    reached: Reached, keeper: Keeper | None, stop: Stop = never,
    found: Callable[[int], bool] = lambda depth: False,
) -> None:  # fmt: skip
    """Search until ``found`` says so of a layer, or there is no more; kept as it goes.

    Args:
        reached: the search; it goes on where its file ends.
        keeper: of the file, if there is to be one.
        stop: asked whether to end.
        found: told the depth of each layer, in order.

    Raises:
        Refused: the file is of another search, spoiled, or too large for the memory.
        ExploreError: it cannot be read, or written; the search is as far as it is.

    """
    if keeper is None:
        while not found(len(reached.layers) - 1) and reached.deeper(stop) is not None:
            pass
        return
    keeper.restore(reached)
    try:
        while not found(len(reached.layers) - 1) and reached.deeper(stop) is not None:
            keeper.save_in_time(reached)
    finally:
        # Whatever ended it, also a signal: the layers are whole.
        keeper.save(reached)
