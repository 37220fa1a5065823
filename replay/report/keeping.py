"""Traces that are kept: which there are, what they show, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replay.base.style import Style, counted
from replay.dirty.campaign.corpus import Kind
from replay.dirty.language.recorded import Recorded
from replay.dirty.language.trace import Trace
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class KeptTrace:
    """A trace of the corpus; ``kind`` where it was looked at, ``was`` where it is smaller now."""

    path: Path
    trace: Trace
    kind: Kind | None = None
    was: int | None = None

    def words(self) -> str:
        """What it shows, and how many operations it had."""
        said = self.kind.words() if self.kind else self.trace.name
        return said if self.was is None else f"{said} (had {counted(self.was, 'operation')})"


@dataclass(frozen=True, slots=True)
class CorpusView:
    """The traces in a folder."""

    folder: Path
    traces: tuple[KeptTrace, ...]


@dataclass(frozen=True, slots=True)
class ImportView:
    """What became of a recording, and where it is."""

    result: Recorded
    path: Path


def corpus_lines(view: CorpusView, style: Style) -> list[str]:
    """A trace a line, and how many there are."""
    lines = [
        f"{kept.path.name}  {counted(len(kept.trace.ops), 'operation')}  {kept.words()}"
        for kept in view.traces
    ]
    return [*lines, f"{counted(len(view.traces), 'trace')} in {view.folder}"]


def corpus_json(view: CorpusView) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "format": "replay-traces/1",
        "folder": str(view.folder),
        "traces": [
            {
                "file": kept.path.name,
                "name": kept.trace.name,
                "operations": len(kept.trace.ops),
                "shows": kept.kind.words() if kept.kind else None,
                "had": kept.was,
            }
            for kept in view.traces
        ],
    }


def import_lines(view: ImportView, style: Style) -> list[str]:
    """What was read, and what was made of it."""
    result = view.result
    cut = "; the rest was left out, --ops takes more" if result.cut else ""
    return [
        f"{counted(result.accesses, 'recorded line')} to {counted(result.pages, 'page')}{cut}",
        f"{counted(len(result.trace.ops), 'operation')} with "
        f"{counted(result.rounds, 'round')} of migration",
        str(view.path),
    ]


def import_json(view: ImportView) -> dict[str, Any]:
    """The same as plain values."""
    result = view.result
    return {
        "format": "replay-import/1",
        "accesses": result.accesses,
        "pages": result.pages,
        "rounds": result.rounds,
        "cut": result.cut,
        "operations": len(result.trace.ops),
        "file": str(view.path),
    }


shows(CorpusView, corpus_lines, corpus_json)
shows(ImportView, import_lines, import_json)
