"""The page of the gallery: every defect in words, and its trace in the player."""

from __future__ import annotations

from typing import Any

from refmodels.later import Later
from replay.dirty.gallery.defects import Defect, explore_command
from replay.report.exploring import scope_text
from replay.teach.page.traces import Playable


def playable(defect: Defect) -> Playable:
    """Its trace with the steps to play it at: of those that the page has models of."""
    last = defect.subject.last
    step = last if isinstance(defect.step, Later) else defect.step
    before = step - 1 if step else 0
    shown = step or last
    note = " ".join(defect.data.cause.split()).replace("`", "")
    if isinstance(defect.step, Later):
        note += f" Shown here at step {last}, where the trace shows it, too."
    return Playable(
        f"gallery-{defect.name}", f"{defect.name}: {defect.data.title}", note, defect.trace,
        str(before), str(shown),
    )  # fmt: skip


def described(defect: Defect) -> dict[str, Any]:
    """What the template says of it."""
    data = defect.data
    played = playable(defect)
    return {
        "name": defect.name,
        "title": data.title,
        "brought": "There before the series." if data.step == "0" else f"Brought by {data.step}.",
        "fix": data.fix,
        "cause": " ".join(data.cause.split()),
        "seen": " ".join(data.seen.split()),
        "shown": data.property or data.deviation,
        "operations": len(defect.trace.ops),
        "scope": scope_text(defect.scope),
        "command": explore_command(defect),
        "found": data.found,
        "proposal": " ".join(data.proposal.split()),
        "claims": [(step, says) for step, says in data.claims.items()],
        "trace": played.id, "a": played.a, "b": played.b,
    }  # fmt: skip
