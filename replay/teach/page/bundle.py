"""The scripts and styles of the site, as they lie in ``static``: joined, not changed."""

from __future__ import annotations

from importlib import resources
from typing import Final

PARTS: Final = (
    "python.js", "machine.js", "run.js", "trace.js", "memory.js", "panel.js", "player.js",
)  # fmt: skip
"""In the order in which each needs what stands before it."""

EXPORTS: Final = (
    "defineSteps", "runTrace", "parseTrace", "differences", "observationJson", "asJson",
    "mountPlayers",
)  # fmt: skip


def static_text(name: str) -> str:
    """A file of the package's ``static`` folder."""
    return (resources.files("replay.teach.page") / "static" / name).read_text(encoding="utf-8")


def player_script() -> str:
    """The player: all parts in one function, since a page from a file may load no modules."""
    body = "\n".join(static_text(name) for name in PARTS)
    exports = ", ".join(EXPORTS)
    return (
        f'"use strict";\nconst replay = (function () {{\n{body}\nreturn {{ {exports} }};\n}})();\n'
    )
