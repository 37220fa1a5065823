"""The scripts and styles of the site, as they lie in ``static``, joined."""

from __future__ import annotations

from importlib import resources
from typing import Final

from replay.teach.page.language import with_operations

PARTS: Final = (
    "python.js", "machine.js", "run.js", "trace.js", "memory.js", "panel.js", "player.js",
)  # fmt: skip
"""In the order in which each needs what stands before it."""

EXPORTS: Final = (
    "defineSteps", "defineFixes", "runTrace", "parseTrace", "differences", "observationJson",
    "asJson", "mountPlayers",
)  # fmt: skip


def static_text(name: str) -> str:
    """A file of the package's ``static`` folder, with what follows from the trace language."""
    text = (resources.files("replay.teach.page") / "static" / name).read_text(encoding="utf-8")
    return with_operations(text) if name == "trace.js" else text


def player_script() -> str:
    """The player: all parts in one function, since a page from a file may load no modules."""
    body = "\n".join(static_text(name) for name in PARTS)
    exports = ", ".join(EXPORTS)
    return (
        f'"use strict";\nconst replay = (function () {{\n{body}\nreturn {{ {exports} }};\n}})();\n'
    )
