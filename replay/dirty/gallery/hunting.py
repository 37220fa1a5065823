"""How many random operations it takes until a trace shows a defect."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Final

from replay.dirty.gallery.defects import Defect
from replay.dirty.language.generate import generate

MOST: Final = 2_000_000
"""Operations after which a seed is given up."""


def operations(defect: Defect, seed: int, most: int = MOST) -> int | None:
    """Operations of a check's traces until one shows the defect, the last one counted.

    A property may be broken by another defect, too: only traces count that do not break it
    at the step to compare with. None where so many operations do not show it.
    """
    earlier = defect.compared if defect.data.property else None
    done = number = 0
    while done < most:
        trace = generate(seed, number)
        number += 1
        index = defect.shows(trace)
        if index is not None and (earlier is None or defect.shows(trace, earlier) is None):
            return done + index + 1
        done += len(trace.ops)
    return None


def median_operations(
    defect: Defect, seeds: int, progress: Callable[[int], None] = lambda seed: None
) -> int | None:
    """The median over seeds 1, 2 and so on; None where half of them show nothing."""
    found: list[float] = []
    for seed in range(1, seeds + 1):
        took = operations(defect, seed)
        found.append(float("inf") if took is None else took)
        progress(seed)
    middle = median(found)
    return None if middle == float("inf") else int(middle)
