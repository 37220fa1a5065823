"""What can be wrong before anything is built; that it does not build is a value."""

from __future__ import annotations

from replay.errors import ReplayError


class BuildError(ReplayError):
    """No compiler, an unusable cache folder, or a tree that is none."""
