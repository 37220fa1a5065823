"""A binding that was drafted from a library, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replay.base.style import PLAIN, Style
from replay.repo.binding import Binding
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class DraftView:
    """A drafted binding: as a file's text, as read from it, and where it was written, if so."""

    text: str
    binding: Binding
    output: Path | None = None


def draft_lines(view: DraftView, style: Style = PLAIN) -> list[str]:
    """The text, or where it is."""
    if view.output is None:
        return [view.text.rstrip()]
    count = len(view.binding.ops) + len(view.binding.observers)
    return [f"{view.output}: {count} functions; look through the ranges before you use it"]


def draft_json(view: DraftView) -> dict[str, Any]:
    """The text and the names in it as plain values."""
    return {
        "file": str(view.output) if view.output else None,
        "ops": [op.name for op in view.binding.ops],
        "observers": [op.name for op in view.binding.observers],
        "binding": view.text,
    }


shows(DraftView, draft_lines, draft_json)
