"""A series that became a git history, or came from one, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replay.base.style import PLAIN, Style
from replay.report.output import shows
from replay.report.patching import plain
from replay.series.history import Materialized
from replay.series.importing import Imported


@dataclass(frozen=True, slots=True)
class MaterializedView:
    """A repository that was made, to be shown."""

    made: Materialized


def materialized_lines(made: Materialized, style: Style = PLAIN) -> list[str]:
    """Where the repository is, and its first and last commit."""
    last = len(made.commits) - 1
    return [
        f"{plain(str(made.path))}: step 0 and {last} patches, branch main, "
        f"tags step-00 to step-{last:02}",
        f"step 0   {made.commits[0]}",
        f"step {last:<3} {made.commits[-1]}",
    ]


def materialized_json(made: Materialized) -> dict[str, Any]:
    """The repository with the ids of all steps as plain values."""
    steps = zip(made.commits, made.trees, strict=True)
    rows = [
        {"step": step, "commit": commit, "tree": tree} for step, (commit, tree) in enumerate(steps)
    ]
    return {"path": str(made.path), "branch": "main", "steps": rows}


@dataclass(frozen=True, slots=True)
class ImportedView:
    """Patches that were written into a series, to be shown."""

    done: Imported


def imported_lines(done: Imported, style: Style = PLAIN) -> list[str]:
    """Where the patches are, and how many."""
    return [f"{plain(str(done.patches))}: {len(done.names)} patches written"]


def imported_json(done: Imported) -> dict[str, Any]:
    """The patches and what was odd about them as plain values."""
    return {
        "patches": str(done.patches),
        "names": list(done.names),
        "warnings": list(done.warnings),
    }


shows(
    MaterializedView,
    lambda view, style: materialized_lines(view.made, style),
    lambda view: materialized_json(view.made),
    ascii_only=True,
)
shows(
    ImportedView,
    lambda view, style: imported_lines(view.done, style),
    lambda view: imported_json(view.done),
    ascii_only=True,
)
