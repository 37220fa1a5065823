"""Compiled steps for tests: the built-in series once, and copies with a fault in them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from replay.build.compile import Built, build_series
from replay.dirty.native.model import built_series, libraries_of
from replay.dirty.native.session import Libraries
from replay.series.history import trees


@cache
def series() -> dict[int, dict[str, bytes]]:
    return {tree.step: tree.files for tree in trees()}


@cache
def libraries() -> Libraries:
    """All 40 steps with cc, from the user's cache or into it."""
    assert shutil.which("cc"), "these tests need a C compiler that answers to 'cc'"
    return libraries_of(built_series())


@dataclass(frozen=True)
class Fault:
    """A text replaced in a file of a step, and of those after it up to ``last``."""

    name: str
    step: int
    file: str
    old: str
    new: str
    last: int

    def trees(self) -> dict[int, dict[str, bytes]]:
        changed = {}
        for step in range(self.step, self.last + 1):
            files = dict(series()[step])
            text = files[self.file].decode()
            assert self.old in text, f"{self.name}: step {step} no longer holds {self.old!r}"
            files[self.file] = text.replace(self.old, self.new, 1).encode()
            changed[step] = files
        return changed

    def libraries(self) -> Libraries:
        """All steps, those of the fault changed."""
        outcomes = build_series(self.trees())
        paths = dict(libraries().paths) | _paths(outcomes)
        return Libraries(tuple(sorted(paths.items())))

    def sanitized(self) -> Libraries:
        """The faulty step and the one before, with sanitizers."""
        before = {self.step - 1: series()[self.step - 1]}
        outcomes = build_series(before | self.trees(), sanitize=True)
        assert all(isinstance(outcome, Built) for outcome in outcomes.values()), outcomes
        return Libraries.of(outcomes)


def _paths(outcomes: Mapping[int, object]) -> dict[int, str]:
    paths = {}
    for step, outcome in outcomes.items():
        assert isinstance(outcome, Built), outcome
        paths[step] = str(Path(outcome.path))
    return paths
