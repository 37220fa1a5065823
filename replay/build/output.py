"""What a command printed, made fit to be shown."""

from __future__ import annotations


def telling_line(output: str) -> str:
    """The line of a failed build that says why: the first error, else the first line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), (lines or [""])[0])[:300]
