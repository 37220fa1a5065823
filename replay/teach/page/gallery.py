"""The page of the gallery: every defect in words, and its trace in the player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refmodels.later import Later
from replay.dirty.gallery.defects import Defect, explore_command
from replay.dirty.subject import SUBJECT
from replay.report.exploring import scope_text
from replay.teach.page.traces import Playable


def playable(defect: Defect) -> Playable:
    """Its trace with the steps to play it at."""
    beside = defect.compared if defect.compared is not None else defect.subject.last
    a, b = sorted((beside, defect.step)) if defect.step == 0 else (beside, defect.step)
    return Playable(
        f"gallery-{defect.name}", f"{defect.name}: {defect.data.title}",
        " ".join(defect.data.cause.split()).replace("`", ""), defect.trace, str(a), str(b),
    )  # fmt: skip


def later_steps(defects: Sequence[Defect]) -> list[int]:
    """The steps after the last that the player offers: each fix alone, all, and the gallery's."""
    names = SUBJECT.names
    found = {names.later([part]) for part in names.parts} | {names.later(names.fixes)}
    for defect in defects:
        found |= {s for s in (defect.step, defect.healed) if isinstance(s, Later)}
    return sorted(found)


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
