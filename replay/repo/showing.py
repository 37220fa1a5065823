"""What was observed of a call, in words."""

from __future__ import annotations

from typing import Any, Final

from replay.base.jsonlines import printable

VALUE_WIDTH: Final = 40


def value_text(value: Any) -> str:
    """What was observed, in words."""
    if value is None:
        return "nothing"
    if value == "":
        return "an empty text"
    if isinstance(value, list):
        return " and ".join(value_text(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {value_text(v)}" for k, v in value.items())
    text = printable(str(value))
    return text if len(text) <= VALUE_WIDTH * 4 else text[: VALUE_WIDTH * 4] + "…"
