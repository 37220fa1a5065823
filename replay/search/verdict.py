"""The verdict on a step of a series, or on a commit. None of them is an exception.

A verdict is given of something that was compared with what came before it. What could not
be compared is not decided: that is a verdict too, and never a pass.
"""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The verdict on a step, or on a commit."""

    BASE = "base"
    """What the first one is compared with; nothing is claimed of it."""
    SAME = "same"
    DEVIATES = "deviates as declared"
    UNDECLARED = "undeclared difference"
    CRASH = "crash"
    HANG = "hang"
    UNSHOWN = "declared but not shown"
    NOT_BUILT = "cannot be built"
    NOT_JUDGED = "cannot be judged"
    UNDECIDED = "not decided"

    @property
    def word(self) -> str:
        """The last word of it, for the name of a file."""
        return self.value.rpartition(" ")[2]

    @property
    def passes(self) -> bool:
        """Whether what has this verdict is as claimed."""
        return self in (Verdict.BASE, Verdict.SAME, Verdict.DEVIATES)

    @property
    def is_guilty(self) -> bool:
        """Whether it says that behaviour changed where nothing declares it."""
        return self in (Verdict.UNDECLARED, Verdict.CRASH, Verdict.HANG)
