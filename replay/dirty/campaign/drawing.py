"""What traces a campaign runs: drawn ones, steered ones among them, and those that were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.dirty.language.language import TraceLanguage
from replay.dirty.language.paths import Path
from replay.dirty.language.steer import drawing
from replay.dirty.language.trace import Trace

EPOCH: Final = 200
"""Traces that are steered to the same paths."""

Wanted = tuple[tuple[Path, ...], ...]
"""The paths wanted, epoch by epoch."""


@dataclass(frozen=True, slots=True)
class Steering(TraceLanguage):
    """The traces of ``check``, of which some are led to the paths wanted in their epoch.

    What is wanted in an epoch is known before it begins, and part of the language: so each
    trace is still a function of its seed and number alone.
    """

    wanted: Wanted = ()

    def draw(self, seed: int, number: int) -> Trace:
        """The trace with this number."""
        epoch = number // EPOCH
        wanted = self.wanted[epoch] if epoch < len(self.wanted) else ()
        return drawing(seed, number, self.profile, wanted)


@dataclass(frozen=True, slots=True)
class Kept(TraceLanguage):
    """Traces that are there, by their place."""

    traces: tuple[Trace, ...] = ()

    def draw(self, seed: int, number: int) -> Trace:
        """The trace at this place."""
        return self.traces[number]
