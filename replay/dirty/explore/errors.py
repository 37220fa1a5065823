"""What a search cannot do."""

from replay.errors import ReplayError


class ExploreError(ReplayError):
    """The text says why, and what to do about it."""


class ToolError(ExploreError):
    """A model does what the search cannot follow; the text says what."""


class Refused(ReplayError):
    """A search that was kept is none to go on with; the text says why."""
