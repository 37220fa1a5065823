"""What an address leads to, in a form in which two files can be compared, and what is there.

A place is told by the symbol that it belongs to or, where it has none, by its contents.
Contents are bytes, and pointers among them that are places again. Where neither is known
for sure the place is unknown, and so is the result of comparing it.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from replay.elf.values import Leaf, plain_leaves, quoted, spelt

MOST_TOLD: Final = 64
"""Differences that are told of one object."""

KEPT: Final = 64
"""Bytes of contents that a baseline keeps; of more it has a digest."""

_DIGEST: Final = b"sha256:"

Renamed: TypeAlias = Mapping[str, frozenset[str]]
"""What a function of the first file may be called in the second, where that is not just its
own name."""


class Match(enum.Enum):
    """Whether two places are the same."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


class Held(enum.Enum):
    """What contents are, as far as code tells."""

    TEXT = "text"
    """Characters, without the NUL behind them."""
    FLOAT = "floating constant"
    """One or several numbers that are loaded as such."""
    NUMBER = "constant"
    """What an instruction loads: as wide as it is."""
    TABLE = "jump table"
    """A switch's table, by where in its function each entry leads."""
    DATA = "data"
    """Anything else. How far it reaches is told by what comes behind it."""


@dataclass(frozen=True, slots=True)
class Referent:
    """Something that code or data can refer to.

    Attributes:
        names: symbols with the distance from each, in bytes.
        exact: all the names mean the very same thing. Otherwise the place lies in data
            whose order the linker chose, and only all of the names together say where:
            an array's end is the start of what follows it.
        content: what is there, if it has no name; if not ``exact``, all that is
            around it, so that only equality says something.
    """

    names: frozenset[tuple[str, int]] = frozenset()
    exact: bool = True
    content: Content | None = None

    @property
    def known(self) -> bool:
        """Whether it can be compared at all."""
        return bool(self.names) or self.content is not None

    @property
    def nearest(self) -> tuple[str, int]:
        """The nearest symbol and the distance from it; an empty name if there is none."""
        return min(self.names, key=lambda n: (n[1] < 0, abs(n[1]), n[0]), default=("", 0))

    def __str__(self) -> str:
        if self.content is not None:
            return str(self.content)
        full, distance = self.nearest
        name = full.partition("=")[0]
        if not name:
            return "unnamed data"
        return f"{name}{distance:+#x}" if distance else name


@dataclass(frozen=True, slots=True)
class Pointer:
    """A place in contents that leads elsewhere.

    Attributes:
        offset, size: in bytes; the bytes of the contents are zero there.
        how: 0 for the plain address, else by the number of the relocation.
    """

    offset: int
    size: int
    how: int
    place: Referent


@dataclass(frozen=True, slots=True)
class Content:
    """What is at a place: ``size`` bytes, those behind ``data`` zero.

    Attributes:
        ended: the names and sizes of what ends where this starts, so that its end may be
            meant; or of what starts where this ends.
        number: the address, where it may be just a number.
    """

    kind: Held
    data: bytes
    size: int
    pointers: tuple[Pointer, ...] = ()
    ended: tuple[tuple[str, int], ...] = ()
    number: int | None = None

    def __str__(self) -> str:
        if self.kind is Held.TEXT:
            return quoted(self.data)
        if self.kind in (Held.FLOAT, Held.NUMBER) and not self.pointers:
            return spelt(self.kind is Held.FLOAT, self.data.ljust(self.size, b"\0"))
        if self.pointers and not self.size:
            return str(self.pointers[0].place)
        return "a jump table" if self.kind is Held.TABLE else "a constant"

    def bytes_at(self, start: int, size: int) -> bytes:
        """Some of its bytes."""
        return self.data[start : start + size].ljust(min(size, max(self.size - start, 0)), b"\0")


UNNAMED: Final = Referent()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where contents differ.

    Attributes:
        offset: in bytes from the start.
        member: what is there in the source, such as ``.x[3].y``; empty if not known.
        before, after: what is there.
    """

    offset: int
    member: str
    before: str
    after: str


def match(a: Referent, b: Referent, renamed: Renamed) -> Match:
    """Whether a place of one file is that of another, which is the second."""
    if not a.known or not b.known or (a.content is None) != (b.content is None):
        return Match.UNKNOWN
    if a.content is not None and b.content is not None:
        return match_content(a.content, b.content, renamed, a.exact and b.exact)
    own = frozenset(
        (new, distance)
        for name, distance in a.names
        for new in renamed.get(name, frozenset((name,)))
    )
    if not own & b.names:
        return Match.OTHER
    if a.exact and b.exact:
        return Match.SAME
    return Match.SAME if own == b.names else Match.UNKNOWN


def match_content(a: Content, b: Content, renamed: Renamed, exact: bool = True) -> Match:
    """Whether contents are the same.

    Args:
        a: of the first file.
        b: of the second.
        renamed: see :data:`Renamed`.
        exact: how far they reach is known; otherwise contents of another length may be
            the same and what is behind them.
    """
    if a.kind is Held.TEXT is b.kind:
        sizes = dict(a.ended)
        unclear = any(sizes.get(name, size) != size for name, size in b.ended)
    else:
        unclear = a.ended != b.ended
    if unclear:
        return Match.UNKNOWN
    found = _contents(a, b, renamed, exact)
    if a.number is not None and a.number == b.number and a.kind is Held.DATA:
        # Just a number, perhaps, and other things lie there.
        return found if found is Match.SAME else Match.UNKNOWN
    return found


def _contents(a: Content, b: Content, renamed: Renamed, exact: bool) -> Match:
    if a.kind is not b.kind or a.size != b.size:
        return Match.OTHER if exact else Match.UNKNOWN
    if a.data.rstrip(b"\0") != b.data.rstrip(b"\0"):
        return Match.OTHER
    if [(p.offset, p.how) for p in a.pointers] != [(p.offset, p.how) for p in b.pointers]:
        return Match.OTHER
    pairs = zip(a.pointers, b.pointers, strict=True)
    found = {match(x.place, y.place, renamed) for x, y in pairs}
    return next((m for m in (Match.OTHER, Match.UNKNOWN) if m in found), Match.SAME)


def differences(
    a: Content, b: Content, renamed: Renamed, leaves: tuple[Leaf, ...] = ()
) -> tuple[Difference, ...]:
    """Where contents differ, and both values: at most ``MOST_TOLD``.

    Args:
        a: of the first file.
        b: of the second.
        renamed: see :data:`Renamed`.
        leaves: the members that the source gives to these bytes, if they are known.
    """
    found: list[Difference] = []
    first = {p.offset: p for p in a.pointers}
    second = {p.offset: p for p in b.pointers}
    known = {leaf.offset: leaf for leaf in leaves}
    for offset in sorted(first.keys() | second.keys()):
        x, y = first.get(offset), second.get(offset)
        if x and y and x.how == y.how and match(x.place, y.place, renamed) is not Match.OTHER:
            continue
        member = known[offset].member if offset in known else ""
        old, new = (
            str(p.place) if p else c for p, c in ((x, _number(a, offset)), (y, _number(b, offset)))
        )
        found.append(Difference(offset, member, old, new))
    if _is_digest(a.data) or _is_digest(b.data):
        if a.data != b.data:
            found.append(Difference(0, "", _told_whole(a), _told_whole(b)))
        return tuple(sorted(found, key=lambda d: d.offset))
    taken = [(p.offset, p.offset + p.size) for p in (*a.pointers, *b.pointers)]
    size = max(a.size, b.size)
    for leaf in leaves or plain_leaves(size, _differing(a, b)):
        old_bytes, new_bytes = (c.bytes_at(leaf.offset, leaf.size) for c in (a, b))
        inside = any(start < leaf.offset + leaf.size and leaf.offset < end for start, end in taken)
        if old_bytes != new_bytes and not inside:
            old, new = leaf.spell(old_bytes), leaf.spell(new_bytes)
            found.append(Difference(leaf.offset, leaf.member, old, new))
        if len(found) >= MOST_TOLD:
            break
    return tuple(sorted(found, key=lambda d: d.offset))


def digest_of(data: bytes) -> bytes:
    """What stands for contents that are not kept, in place of their bytes."""
    return _DIGEST + hashlib.sha256(data).hexdigest().encode()


def _is_digest(data: bytes) -> bool:
    return len(data) == len(_DIGEST) + 64 and data.startswith(_DIGEST)


def _told_whole(content: Content) -> str:
    if _is_digest(content.data):
        return f"contents of digest {content.data[len(_DIGEST) :][:12].decode('ascii', 'replace')}"
    return "other contents"


def _number(content: Content, offset: int) -> str:
    """What stands where the other file has a pointer."""
    if _is_digest(content.data):
        return "no address"
    return f"{int.from_bytes(content.bytes_at(offset, 8), 'little'):#x}"


def _differing(a: Content, b: Content) -> list[int]:
    """The offsets of the bytes that differ."""
    size = min(max(a.size, b.size), max(len(a.data), len(b.data)))
    x, y = a.bytes_at(0, size).ljust(size, b"\0"), b.bytes_at(0, size).ljust(size, b"\0")
    return [at for at in range(size) if x[at] != y[at]]


def described(a: Referent, b: Referent, renamed: Renamed) -> tuple[str, str]:
    """Two places that are not the same, in words: what each is, and where they differ."""
    old, new = a.content, b.content
    if old is None or new is None or old.kind is not new.kind:
        return str(a), str(b)
    if old.kind in (Held.TEXT, Held.FLOAT, Held.NUMBER) and not old.pointers:
        return f"{old}", f"{new}"
    found = differences(old, new, renamed)
    if not found or old.size != new.size:
        return f"{a}, {old.size} bytes", f"{b}, {new.size} bytes"
    at = f"{old} at offset {found[0].offset}"
    return f"{at}: {found[0].before}", f"{at}: {found[0].after}"
