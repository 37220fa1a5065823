"""What a proposal costs: how often a sync re-arms, counted in the traces of a check."""

from __future__ import annotations

from typing import Any, NamedTuple

from replay.dirty.language.generate import generate
from replay.dirty.machine.run import run_small


class Rearms(NamedTuple):
    """How often a sync by words re-arms.

    Attributes:
        rounds: syncs, each of all blocks.
        blocks: that were synced by words.
        new: those of them with a page that is new in the migration bitmap: what the fix of
            March 2024 re-arms under TCG.
        taken: those with any page: what has to be re-armed so that no page that a sync
            cleans stays `direct`.

    """

    rounds: int
    blocks: int
    new: int
    taken: int


def rearms(machine: Any, traces: int, seed: int = 1) -> Rearms:
    """Count them in the traces of a check.

    Args:
        machine: of a step after the last one, which has ``sync_words_done``.
        traces: how many random traces of a check to count in.
        seed: of the traces.

    """
    counts = [0, 0, 0, 0]

    def migration_bitmap_sync(vm: Any) -> None:
        counts[3] += 1
        machine.migration_bitmap_sync(vm)

    def sync_words_done(vm: Any, start: int, length: int, num_dirty: int, taken: int) -> None:
        counts[0] += 1
        counts[1] += num_dirty > 0
        counts[2] += taken > 0
        machine.sync_words_done(vm, start, length, num_dirty, taken)

    body = {
        "__slots__": (), "sync_words_done": sync_words_done,
        "migration_bitmap_sync": migration_bitmap_sync,
    }  # fmt: skip
    counting = type(machine.__name__, (machine,), body)
    for number in range(traces):
        run_small(counting, generate(seed, number))
    blocks, new, taken, rounds = counts
    return Rearms(rounds, blocks, new, taken)
