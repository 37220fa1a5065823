"""A step after the last one, told part by part: what each fix is for, and its patch in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replay.base.style import PLAIN, Style, wrapped
from replay.report.output import shows
from replay.report.patching import patch_json, patch_lines
from replay.series.declared import FixData, Series
from replay.series.names import Later, before
from replay.series.patches import Patch


@dataclass(frozen=True, slots=True)
class LaterView:
    """A step after the last, what it is made of, and the command that asks on.

    Attributes:
        step: which.
        series: what declares its fixes.
        patches: the patch of each part, in order.
        command: how ``replay`` is called again.

    """

    step: Later
    series: Series
    patches: Sequence[Patch]
    command: str = "replay"

    @property
    def fixes(self) -> list[FixData]:
        """Its fixes and variants, in order."""
        return [self.series.fix(part) for part in self.step.parts]


def later_lines(view: LaterView, style: Style = PLAIN) -> list[str]:
    """Each part: what went wrong, what it changes, what it mends, and its patch."""
    step, base = view.step, view.step.base
    lines = [
        style.strong(f"step {step}: step {base} with {len(step.parts)} of what came after it"),
        *wrapped(
            "Each part below is a change of its own to the last step of the series. It is judged "
            "against the same step without it.", ""
        ),
    ]  # fmt: skip
    for fix, patch in zip(view.fixes, view.patches, strict=True):
        lines += ["", *_part(fix, patch, step, view.series, style)]
    ask, last = view.command, before(step)
    return [
        *lines, "", style.strong("Ask on"),
        f"  {ask} check --steps {step}",
        f"  {ask} compare TRACE {last} {step}",
        f"  {ask} bisect --property no-lost-store --timeline --bad {step}",
    ]  # fmt: skip


def _part(fix: FixData, patch: Patch, step: Later, series: Series, style: Style) -> list[str]:
    name = f"{fix.name}, {fix.date}"
    lines = [style.strong(f"==== {name} ===="), style.strong(fix.title), ""]
    lines += wrapped(" ".join(fix.text.split()), "  ")
    for number in fix.fixes:
        lines += wrapped(f"It mends step {number}: {series.title(number)}", "  ")
    lines += wrapped(f"Claim: {fix.claim}", "  ")
    at = fix.at(step)
    for one in at.deviations:
        lines += wrapped(f"{one.id}: {' '.join(one.text.split())}", "  ")
    lines += [f"  mends {name} on some traces" for name in fix.mends]
    lines += [f"  breaks {name} on some traces" for name in fix.breaks]
    return [*lines, "", *patch_lines(patch, None, style)]


def later_json(view: LaterView) -> dict[str, Any]:
    """The step as plain values."""
    return {
        "step": view.step,
        "before": before(view.step),
        "parts": [
            {
                "name": fix.name, "title": fix.title, "date": fix.date, "kind": fix.kind,
                "fixes": list(fix.fixes), "claim": fix.claim, "text": " ".join(fix.text.split()),
                "mends": list(fix.mends), "breaks": list(fix.breaks),
                "patch": patch_json(patch, None),
            }
            for fix, patch in zip(view.fixes, view.patches, strict=True)
        ],
    }  # fmt: skip


shows(LaterView, later_lines, later_json)
