"""The shortest traces that there are: of each deviation that traces show.

A search of all states of a small machine found them, and that no shorter one of its
operations shows the same; the tests search again.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from replay.dirty.language.files import read_trace
from replay.dirty.language.trace import Trace
from replay.dirty.subject import SUBJECT

FOLDER: Final = SUBJECT.file.parent / "shortest"


@cache
def shortest_trace(step: int, deviation: str) -> Trace | None:
    """That of a deviation of a step; None where traces do not show it.

    Raises:
        TraceError: the file is none of a trace.

    """
    path = FOLDER / f"{step:02}-{deviation}.jsonl"
    return read_trace(path) if path.is_file() else None
