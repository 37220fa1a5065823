"""Machines of a given size, set up alike at every step, for the sections about size."""

from __future__ import annotations

from typing import Any, Final

from refmodels import FOLD
from refmodels.machine import RAMBlock
from replay.dirty.language.trace import Config, Trace
from replay.dirty.machine.run import start

CONFIG: Final = Config()
PAGE: Final = CONFIG.page_size

SIZES: Final = (64, 1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 24)
"""Pages: 256 KiB to 64 GiB of guest memory."""

FIRST_RANGE_STEP: Final = 27
"""From here on marking a new block is not a Python loop over its pages."""

LOOPED: Final = 1 << 14
"""Pages up to which the earlier steps place the block by their own loop, too."""


def with_ram(step: int, pages: int, watched: bool = True) -> Any:
    """A machine of a step with one block, all of it dirty for all clients.

    The loops of steps 0 to 26 take a microsecond a page, so that above ``LOOPED`` pages
    the block is put into the list and the store filled directly, to the same effect.
    """
    vm = start(FOLD.build(step), Trace((), CONFIG), watched)
    if step >= FIRST_RANGE_STEP or pages <= LOOPED:
        vm.ram_alloc(pages)
    else:
        vm.ram_list_insert(RAMBlock(0, pages * PAGE))
        if "phys_dirty" in vm.FIELDS:
            vm.renew(vm.phys_dirty, pages)
            vm.phys_dirty[0:pages] = bytes([_all_dirty(step)]) * pages
        else:
            for words in vm.dirty_memory:
                vm.renew(words, -(-pages // vm.BITS_PER_LONG))
                vm.bitmap_set(words, 0, pages)
    vm.events.clear()
    return vm


def _all_dirty(step: int) -> int:
    """The byte of a page that the step's own loop has marked for all clients."""
    vm = start(FOLD.build(step), Trace((), CONFIG))
    vm.ram_alloc(1)
    return int(vm.phys_dirty[0])
