"""memory: cpu_physical_memory_set_dirty_flags() result is never used.

No caller looks at the new byte, so the function stops returning it. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(2, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_set_dirty_flags(vm: VM, addr: int, dirty_flags: int) -> None:
    try:
        vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] |= dirty_flags & 0xFF
    except IndexError:
        vm.stray += 1
