"""What a call changed beside its results: exported data, what it wrote, memory.

Part of the process apart (see ``replay.repo.worker``), and of a compiled driver that is to
observe the same. Imports the standard library alone.

An exported object is ``{"name", "size", "writable", "leaves": [[path, offset, code,
count], …]}``, the leaves in order of address. The code of a leaf says what is observed:

    i1 … i8, u1 … u8, b1  an integer or a truth value; ``count`` of them in a row
    f4, f8                a float, as Python writes it; ``count`` in a row
    p                     "NULL" or "not NULL"; ``count`` in a row
    c                     ``count`` characters as one text: each byte a character, without
                          the zeroes at its end; more than 256 as how many and a digest
    x                     ``count`` bytes of unknown type, in pieces of 32: hexadecimal

The label of a leaf is the object's name and the path (``.member``, ``[3]``); of ``count``
in a row ``[INDEX]`` follows, of a piece ``+0xOFFSET`` in the object. Padding is never
looked at. Where more than 64 leaves of an object changed at once, or the object's start is
more than 256 bytes, its name alone is the label, and the value tells how many, and a digest.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from replay.apart.light import dumps

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PIECE = 32
MOST_CHANGED = 64
MOST_START = 256
MOST_TEXT = 256
MOST_SAID = 4096
MOST_WORDS = 1 << 20
TELLING = (b"ERROR: ", b"runtime error:", b"Assertion")
"""Where the last words begin that say the most."""
FORMATS = {
    "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "b1": "B", "f4": "f", "f8": "d", "p": "Q",
}  # fmt: skip


def digest(data: bytes) -> str:
    """Enough of a checksum to tell two apart."""
    import hashlib  # most processes need none, and start sooner

    return hashlib.sha256(data).hexdigest()[:16]


def leaf_values(name: str, leaf: list[Any], raw: bytes) -> Iterator[tuple[str, Any]]:
    """(label, value) of a leaf, in the bytes of the whole object."""
    path, offset, code, count = leaf
    label = name + path
    if code == "x":
        for at in range(offset, offset + count, PIECE):
            yield f"{label}+{at:#x}", raw[at : min(at + PIECE, offset + count)].hex()
    elif code == "c":
        text = raw[offset : offset + count].rstrip(b"\0")
        if len(text) > MOST_TEXT:
            yield label, f"{len(text)} bytes, sha256 {digest(text)}"
        else:
            yield label, text.decode("latin-1")
    else:
        for index, value in enumerate(struct.unpack_from(f"={count}{FORMATS[code]}", raw, offset)):
            yield (label if count == 1 else f"{label}[{index}]"), shown(code, value)


def leaf_changes(name: str, leaf: list[Any], raw: bytes, old: bytes) -> list[tuple[str, Any]]:
    """(label, value) of what differs of a leaf; most of an object does not at a time."""
    path, offset, code, count = leaf
    end = offset + count * (1 if code in "cx" else struct.calcsize(FORMATS[code]))
    if raw[offset:end] == old[offset:end]:
        return []
    if code in "cx" or count == 1:
        both = zip(leaf_values(name, leaf, raw), leaf_values(name, leaf, old), strict=True)
        return [new for new, before in both if new != before]
    form = f"={count}{FORMATS[code]}"
    new_values, old_values = (struct.unpack_from(form, data, offset) for data in (raw, old))
    return [
        (f"{name}{path}[{index}]", shown(code, new))
        for index, (new, before) in enumerate(zip(new_values, old_values, strict=True))
        if new != before and shown(code, new) != shown(code, before)
    ]


def shown(code: str, value: Any) -> Any:
    """What is observed of a number in memory."""
    if code == "p":
        return "not NULL" if value else "NULL"
    return repr(value) if code in ("f4", "f8") else value


class Object:
    """An exported object of the library as it was last seen."""

    def __init__(self, data: dict[str, Any], address: int) -> None:
        self.name: str = data["name"]
        self.size: int = data["size"]
        self.leaves: list[list[Any]] = data["leaves"]
        self.address = address
        self.raw = ctypes.string_at(address, self.size)

    def start(self) -> Iterator[tuple[str, Any]]:
        """What is not zero of it."""
        if not any(self.raw):
            return
        found = [
            (label, value)
            for leaf in self.leaves
            for label, value in leaf_values(self.name, leaf, self.raw)
            if value not in (0, "", "NULL", "0.0") and (leaf[2] != "x" or value.strip("0"))
        ]
        if self.size <= MOST_START:
            yield from found
        elif found:
            yield self.name, f"{len(found)} values, sha256 {_digest(found)}"

    def changes(self) -> list[tuple[str, Any]]:
        """What changed since it was last seen."""
        raw, old = ctypes.string_at(self.address, self.size), self.raw
        if raw == old:
            return []
        self.raw = raw
        found = []
        for leaf in self.leaves:
            found += leaf_changes(self.name, leaf, raw, old)
        if len(found) > MOST_CHANGED:
            return [(self.name, f"{len(found)} values changed, sha256 {_digest(found)}")]
        return found


def _digest(found: list[tuple[str, Any]]) -> str:
    return digest(dumps(found).encode())


class Data:
    """The exported objects of a library."""

    def __init__(self, library: Any, objects: list[dict[str, Any]]) -> None:
        self.watched: list[Object] = []
        self.start: dict[str, Any] = {}
        for data in objects:
            try:
                place = ctypes.c_char.in_dll(library, data["name"])
            except ValueError:  # the loader finds no such symbol: a version of its own, say
                continue
            one = Object(data, ctypes.addressof(place))
            self.start |= one.start()
            if data["writable"]:
                self.watched.append(one)

    def changes(self) -> dict[str, Any]:
        """What changed since the last time: value by label."""
        return {label: value for one in self.watched for label, value in one.changes()}


class Behind:
    """The memory behind the live handles."""

    def __init__(self, asked: dict[str, dict[str, Any]]) -> None:
        self.asked = asked
        self.memory = -1
        self.last: dict[str, str] = {}

    def changes(self, handles: dict[int, Any], kinds: dict[int, str]) -> dict[str, str]:
        """What changed since the last time, by ``kind1``."""
        found = {}
        for number, pointer in handles.items():
            kind = kinds[number]
            if kind in self.asked:
                found[f"{kind}{number}"] = self.read(int(pointer), self.asked[kind])
        changed = {name: text for name, text in found.items() if self.last.get(name) != text}
        self.last = found
        return changed

    def read(self, address: int, asked: dict[str, Any]) -> str:
        """The memory as text. Read by the kernel: no sanitizer sees it, nothing faults."""
        if self.memory < 0:
            self.memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            raw = os.pread(self.memory, asked["size"], address)
        except (OSError, OverflowError):
            return "unreadable"
        digits = [f"{byte:02x}" for byte in raw]
        for at in asked["pointers"]:
            if any(raw[at : at + 8]):
                digits[at : at + 8] = ["**"] * len(digits[at : at + 8])
        return "".join(digits)


class Said:
    """Standard output and error of a child: two files of its own.

    The library writes to descriptors 1 and 2; we read through others, which a library that
    closes or redirects those two leaves alone.
    """

    NAMES = ("stdout", "stderr")

    def __init__(self) -> None:
        self.files = [_file(name) for name in self.NAMES]
        self.read = [0, 0]
        self.flush = ctypes.CDLL(None).fflush

    def renew(self) -> None:
        """Before a child is made: the files are empty."""
        for file in self.files:
            os.ftruncate(file, 0)

    def enter(self) -> None:
        """In the child: descriptors 1 and 2 are the files."""
        for number, file in enumerate(self.files, 1):
            os.dup2(file, number)

    def news(self) -> dict[str, str]:
        """What was written since the last time; empty where nothing was."""
        self.flush(None)
        found = {}
        for place, file in enumerate(self.files):
            try:
                size, since = os.lseek(file, 0, os.SEEK_END), self.read[place]
                if size == since:
                    continue
                self.read[place] = size
                if size > since:
                    found[self.NAMES[place]] = told(os.pread(file, size - since, since))
            except OSError:
                continue  # the library has closed it
        return found

    def last_words(self) -> str:
        """From what a child that is gone wrote to standard error: what tells how it died."""
        file = self.files[1]
        size = os.fstat(file).st_size
        data = os.pread(file, MOST_WORDS, max(size - MOST_WORDS, 0))
        places = [at for mark in TELLING if (at := data.rfind(mark)) >= 0]
        # The first line of a report; its summary comes later, and holds none of the marks.
        start = data.rfind(b"\n", 0, max(places)) + 1 if places else max(len(data) - MOST_SAID, 0)
        return data[start : start + MOST_SAID].decode("utf-8", "replace")


def told(data: bytes) -> str:
    """What was written, bounded."""
    text = data[:MOST_SAID].decode("utf-8", "backslashreplace")
    rest = data[MOST_SAID:]
    return f"{text} … and {len(rest)} bytes more, sha256 {digest(rest)}" if rest else text


def _file(name: str) -> int:
    """A file in memory that is only appended to, on a descriptor out of the way."""
    if hasattr(os, "memfd_create"):
        made = os.memfd_create(name)
    else:
        import tempfile  # here alone, so that a process starts sooner

        made, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108
    file = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 200)
    os.close(made)
    fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND | os.O_RDWR)
    return file


class _Block(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_ubyte * 4096),)


class Stack:
    """The stack below the caller, filled: what a function reads there unwritten is the fill.

    A structure that is passed by value is copied to where the next call has its frame.
    """

    def __init__(self, fill: int) -> None:
        self.block = _Block()
        ctypes.memset(ctypes.byref(self.block), fill, ctypes.sizeof(self.block))
        callee = ctypes.CDLL(None).abs
        callee.argtypes, callee.restype = [_Block], None
        self.paint = callee
