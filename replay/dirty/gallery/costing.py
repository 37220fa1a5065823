"""What a proposal costs: how often a sync re-arms, counted in the traces of a check."""

from __future__ import annotations

from typing import Any

from replay.dirty.language.generate import generate
from replay.dirty.machine.run import run_small


def rearms(machine: Any, traces: int, seed: int = 1) -> tuple[int, int, int]:
    """(blocks synced by words, those with a page new in the bitmap, those with any page).

    The second is how many the fix of March 2024 re-arms under TCG, the third how many a sync
    has to re-arm so that no page that it cleans stays `direct`.

    Args:
        machine: of a step after the last one, which has ``sync_words_done``.
        traces: how many random traces of a check to count in.
        seed: of the traces.

    """
    counts = [0, 0, 0]

    def sync_words_done(vm: Any, start: int, length: int, num_dirty: int, taken: int) -> None:
        counts[0] += 1
        counts[1] += num_dirty > 0
        counts[2] += taken > 0
        machine.sync_words_done(vm, start, length, num_dirty, taken)

    body = {"__slots__": (), "sync_words_done": sync_words_done}
    counting = type(machine.__name__, (machine,), body)
    for number in range(traces):
        run_small(counting, generate(seed, number))
    blocks, new, some = counts
    return blocks, new, some
