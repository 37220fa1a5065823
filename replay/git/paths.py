"""Which paths and modes a patch may name, and how git spells them.

A path of a patch ends as a file on somebody's disk, so it is judged before anything is
written, and more strictly than git does: what one system would take for ``.git`` or for a
way out of the work tree is refused on all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from replay.errors import ReplayError

PLAIN: Final = 0o100644
EXECUTABLE: Final = 0o100755
MODES: Final = (PLAIN, EXECUTABLE)

MAX_COMPONENT: Final = 255
MAX_PATH: Final = 1024

# The short names that Windows gives to .git, .gitmodules and .gitattributes.
_SHORT_NAME: Final = re.compile(r"(?:git|gitmod|gitatt|gi[0-9a-f]{4})~[0-9]+")
STEERING: Final = (".gitmodules", ".gitattributes")
_ESCAPES: Final = {
    ord("a"): 7, ord("b"): 8, ord("t"): 9, ord("n"): 10, ord("v"): 11, ord("f"): 12,
    ord("r"): 13, ord('"'): ord('"'), ord("\\"): ord("\\"),
}  # fmt: skip
_OCTAL: Final = re.compile(rb"[0-3][0-7]{2}")


class PatchError(ReplayError):
    """A patch that cannot be read, may not be applied, or does not apply.

    Args:
        problem: what is wrong, and what would be right.
        path: the patch file.
        line: the line in it, counted from 1.
        step: the number of the patch, where it is known.
    """

    def __init__(
        self,
        problem: str,
        path: Path | str | None = None,
        line: int | None = None,
        step: int | None = None,
    ) -> None:
        self.problem = problem
        self.path = path
        self.line = line
        self.step = step
        place = "" if path is None else plain(str(path))
        if line is not None:
            place += f":{line}" if place else f"line {line}"
        super().__init__(f"{place}: {problem}" if place else problem)


def plain(text: str) -> str:
    """A text in one line that no terminal takes for a command: escapes for the unprintable."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(text: bytes | str, limit: int = 60) -> str:
    """Some text of a patch, quoted for a message: printable, in one line, and short."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return f"'{plain(cut)}'"


def path_problem(path: str) -> str:
    """Why a path may not stand in a patch or a tree; empty if it may.

    Paths are relative, with ``/`` between components, and of printable characters.
    """
    checks = (
        (not path, "an empty path; name a file"),
        (
            not path.isprintable(),
            f"the path {shown(path)} holds a control character, an invisible one, or bytes "
            "that are not UTF-8; rename the file",
        ),
        (
            path.startswith("/") or re.match(r"[A-Za-z]:", path),
            f"the path {shown(path)} is absolute; paths start at the top of the tree",
        ),
        (
            "\\" in path,
            f"the path {shown(path)} has a backslash, a separator on some systems; rename it",
        ),
        (
            len(path.encode(errors="replace")) > MAX_PATH,
            f"the path {shown(path)} is longer than {MAX_PATH} bytes; shorten it",
        ),
    )
    found = next((problem for wrong, problem in checks if wrong), "")
    if found:
        return found
    problems = (_component_problem(component) for component in path.split("/"))
    return next((f"the path {shown(path)} has {problem}" for problem in problems if problem), "")


def _component_problem(component: str) -> str:
    # Windows drops dots and spaces at the end, and what follows a colon names a stream.
    bare = component.casefold().partition(":")[0].rstrip(" .")
    checks = (
        (not component, "an empty component (two slashes, or one at the end); write it plainly"),
        (
            component in (".", ".."),
            f"the component '{component}'; a patch must stay inside its tree",
        ),
        (
            len(component.encode()) > MAX_COMPONENT,
            f"a component of more than {MAX_COMPONENT} bytes; shorten it",
        ),
        (
            bare == ".git" or _SHORT_NAME.fullmatch(bare),
            f"the component {shown(component)}, which is or may be git's own; rename it",
        ),
        (
            bare in STEERING,
            f"the component {shown(component)}, which steers git itself; leave it out",
        ),
        (
            not component.strip(". "),
            f"the component {shown(component)}, of dots and spaces only; rename it",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def mode_problem(mode: bytes) -> str:
    """Why a mode may not stand in a patch or a tree; empty for 100644 and 100755."""
    if mode in (b"100644", b"100755"):
        return ""
    if mode == b"120000":
        return "a symbolic link (mode 120000) could lead out of the tree; make it a file"
    if mode == b"160000":
        return "a submodule (mode 160000) is another repository; leave it out"
    return f"the mode {shown(mode)} is none of 100644 and 100755, the modes of plain files"


def unquote(text: bytes) -> tuple[bytes, bytes]:
    """The bytes of a path in double quotes as git writes it, and what follows the quotes.

    Raises:
        ValueError: it is not of that form.
    """
    if not text.startswith(b'"'):
        raise ValueError("no quote at the start")
    out = bytearray()
    at = 1
    while at < len(text):
        byte = text[at]
        if byte == ord('"'):
            return bytes(out), text[at + 1 :]
        if byte != ord("\\"):
            out.append(byte)
            at += 1
            continue
        octal = _OCTAL.match(text, at + 1)
        if octal is not None:
            out.append(int(octal[0], 8))
            at = octal.end()
            continue
        following = text[at + 1] if at + 1 < len(text) else -1
        if following not in _ESCAPES:
            raise ValueError("an escape that git does not write")
        out.append(_ESCAPES[following])
        at += 2
    raise ValueError("no quote at the end")


def quote(path: str) -> bytes:
    """A path as a quoted string that every command of git reads."""
    octal = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:03o}"
        for byte in path.encode()
    )
    return f'"{octal}"'.encode()
