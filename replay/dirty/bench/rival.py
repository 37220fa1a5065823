"""The same faults, the same budget of operations: for a Hypothesis state machine.

It drives the faulty model of a step and the right one of the same step, which is easier
than what the checker does: no declared deviation has to be told from the fault. Needs
Hypothesis (the extra ``bench``).
"""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory

from refmodels import FOLD, delta
from replay.base.patience import Hanging, at_most, memory_at_most
from replay.dirty.faults.fault import Fault
from replay.dirty.faults.judge import HANG, MEMORY
from replay.dirty.faults.mutate import faulty_copy
from replay.dirty.faults.survey import STEPS


def hypothesis_finds(fault: Fault, operations: int, seed: int) -> bool:
    """Whether a state machine over the two models finds the fault with so many operations."""
    from replay.dirty.bench.stateful import drive

    with TemporaryDirectory(prefix="replay-fault-") as folder:
        copy = faulty_copy(fault, Path(folder))
        try:
            faulty = FOLD.variant({fault.step: copy}, fault.step)[fault.step]
        except delta.LinkError:
            return True
        try:
            with at_most(HANG * 6), memory_at_most(MEMORY):
                drive(FOLD.build(fault.step), faulty, max(operations // STEPS, 1), STEPS, seed)
        except (Hanging, Exception):
            return True
        finally:
            gc.collect()
    return False
