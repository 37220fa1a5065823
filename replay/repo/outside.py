"""What a build command names outside of the tree: read by the build, and in no commit.

Only the text is looked at, so what a Makefile or a script reads stays unseen.
"""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path
from typing import Final

from replay.git.paths import shown

_PATH: Final = re.compile(r"""(?<![\w./$}-])(?:-[IL])?((?:/|(?:\.\./)+)[^\s'"`;|&()<>$,:=*?]+)""")
SYSTEM: Final = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/dev/", "/proc/", "/sys/", "/nix/")
MOST: Final = 64 << 20
"""Bytes of a file up to which its content is read."""


def outside(command: str, home: Path | None) -> tuple[list[bytes], list[str]]:
    """The state of what is named, and notes for whoever reads the report.

    Args:
        command: the build command.
        home: what ``../`` is taken to be beside; None to leave such paths out.

    """
    state: list[bytes] = []
    notes: list[str] = []
    for name in dict.fromkeys(_PATH.findall(command)):
        if not name.startswith("/") and home is None:
            continue
        path = Path(name) if name.startswith("/") else (home or Path()) / name
        try:
            info = path.stat()
            known = stat.S_ISREG(info.st_mode) and info.st_size <= MOST
            content = hashlib.sha256(path.read_bytes()).digest() if known else b""
        except OSError:
            continue
        state += [name.encode("utf-8", "surrogateescape"), content]
        if str(path).startswith(SYSTEM):
            continue
        if known:
            notes.append(
                f"the build reads {shown(name)}, which is outside of the commits: it is the "
                "same for all of them, and when it changes they are built anew (a C file "
                "to be built into each library is better given with --wrapper)"
            )
        elif stat.S_ISDIR(info.st_mode):
            notes.append(
                f"the build names the folder {shown(name)}, which is outside of the commits: "
                "when something in it changes, say --rebuild"
            )
    return state, notes
