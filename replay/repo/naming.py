"""What names of functions and parameters suggest, in snake_case and in camelCase alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

MAKES: Final = frozenset(
    ["new", "create", "alloc", "calloc", "malloc", "make", "open", "init", "dup", "copy", "clone"]
)
PERHAPS: Final = frozenset(
    [
        "parse",
        "load",
        "read",
        "from",
        "build",
        "compile",
        "start",
        "connect",
        "begin",
        "iter",
        "iterator",
        "split",
    ]
)
"""What makes an object where it is given none."""
_LOOSE: Final = ("create", "alloc", "open", "make", "clone", "copy", "init", "dup")
"""Also where a word ends in them (``gzopen``), or starts with them."""
ENDS: Final = frozenset(
    [
        "free",
        "destroy",
        "delete",
        "del",
        "close",
        "release",
        "unref",
        "dispose",
        "fini",
        "deinit",
        "cleanup",
        "term",
        "end",
        "drop",
        "finalize",
        "uninit",
        "destruct",
    ]
)
_TIGHT: Final = ("free", "destroy", "delete", "close", "release", "cleanup", "dispose")
WITH_ARGUMENTS: Final = frozenset(["free", "destroy", "dispose", "destruct"])
"""What ends an object also where it is given more: ``delete`` then takes something out."""
STARTS: Final = frozenset(
    ["init", "initialize", "initialise", "setup", "construct", "start", "reset"]
)
CONSUMES: Final = frozenset(
    [
        "realloc",
        "resize",
        "grow",
        "shrink",
        "extend",
        "expand",
        "append",
        "prepend",
        "concat",
        "cat",
        "push",
        "insert",
        "trim",
        "join",
        "merge",
        "reverse",
        "sort",
        "reserve",
    ]
)
"""What takes an object and gives the one that takes its place."""
LOOKS: Final = frozenset(
    [
        "count",
        "size",
        "len",
        "length",
        "is",
        "has",
        "empty",
        "full",
        "capacity",
        "total",
        "width",
        "height",
        "depth",
        "used",
        "num",
        "remaining",
        "avail",
        "available",
    ]
)
FINDS: Final = frozenset(
    ["get", "find", "lookup", "peek", "first", "last", "next", "prev", "at", "search", "query"]
)
COUNTS: Final = frozenset(
    [
        "len",
        "length",
        "size",
        "count",
        "n",
        "nbytes",
        "num",
        "cap",
        "capacity",
        "sz",
        "bytes",
        "m",
        "nmemb",
        "nelem",
        "nelems",
        "nitems",
    ]
)
CAPACITY: Final = frozenset(
    ["slots", "buckets", "order", "bits", "max", "limit", "width", "height", "depth"]
) | (COUNTS - {"n", "m"})  # fmt: skip
PLACES: Final = frozenset(
    [
        "i",
        "j",
        "k",
        "at",
        "idx",
        "index",
        "pos",
        "position",
        "off",
        "offset",
        "slot",
        "row",
        "col",
        "where",
        "nth",
    ]
)
OUTPUTS: Final = frozenset(
    [
        "out",
        "output",
        "buf",
        "buffer",
        "dst",
        "dest",
        "destination",
        "result",
        "res",
        "ret",
        "to",
        "target",
        "digest",
        "hash",
        "md",
        "tag",
    ]
)
TEXTS: Final = frozenset(
    [
        "s",
        "str",
        "string",
        "text",
        "name",
        "line",
        "key",
        "src",
        "source",
        "input",
        "in",
        "expr",
        "pattern",
        "word",
        "from",
        "path",
        "msg",
        "message",
        "format",
        "fmt",
        "json",
        "xml",
    ]
)
ENDINGS: Final = frozenset(["end", "endp", "endptr", "next", "rest", "tail", "stop"])
OPTIONS: Final = frozenset(
    [
        "opt", "opts", "option", "options", "pref", "prefs", "preferences", "config", "conf",
        "cfg", "params", "attr", "attrs", "settings",
    ]
)  # fmt: skip
"""What may be NULL: then it is what it is by default."""
USERS: Final = frozenset(["user", "userdata", "arg", "cookie", "opaque"])
CARRIED: Final = frozenset(["value", "val", "item", "elem", "element", "payload", *USERS])
"""A ``void *`` that an object keeps and does not look into; the same of any that is given to"""
SETTERS: Final = frozenset(["set", "attach"])
"""a function of such a name, unless it is called"""
ROOMS: Final = frozenset(
    ["out", "output", "buf", "buffer", "dst", "dest", "mem", "memory", "block"]
)
"""one of these."""
FORMATS: Final = frozenset(["fmt", "format"])
"""What is handed on, and mostly not looked into."""
DESCRIPTORS: Final = frozenset(["fd", "fildes", "sock", "sockfd", "socket"])
FILES: Final = frozenset(["path", "file", "filename", "fname", "pathname", "dir", "directory"])
TOUCHES: Final = frozenset(
    [
        "open",
        "load",
        "save",
        "remove",
        "unlink",
        "write",
        "read",
        "mkdir",
        "rmdir",
        "rename",
        "delete",
        "create",
        "import",
        "export",
        "dump",
        "store",
    ]
)
ENDS_PROCESS: Final = frozenset(
    ["exit", "abort", "die", "fatal", "panic", "fork", "daemon", "daemonize", "execv"]
)


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: ``boxNew`` and ``box_new`` are box and new."""
    return tuple(word.lower() for word in _WORD.findall(name))


def has(name: str, known: Iterable[str]) -> bool:
    """Whether one of the words of a name is known."""
    return not frozenset(words(name)).isdisjoint(known)


def makes(name: str) -> bool:
    """Whether a function of this name makes something."""
    if has(name, MAKES):
        return True
    return any(word.endswith(_LOOSE) or word.startswith(("new", *_LOOSE)) for word in words(name))


def ends(name: str) -> bool:
    """Whether a function of this name ends something: ``end`` only where it stands last."""
    found = words(name)
    known = [word for word in found if word in ENDS or word.endswith(_TIGHT)]
    return bool(known) and (known != ["end"] or found[-1] == "end")


def consumes(name: str) -> bool:
    """Whether a function of this name takes an object and gives what takes its place."""
    return has(name, CONSUMES)


def counts(name: str) -> bool:
    """Whether a number of this name says how much there is."""
    return has(name, COUNTS) or (
        words(name)[-1:] != () and words(name)[-1].endswith(("size", "len", "count"))
    )
