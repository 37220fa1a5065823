"""memory: cpu_physical_memory_set_dirty_range() return void.

It always did; its one caller that wrote "return" before the call stops doing so.
Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(3, home="memory.c")


@STEP.changes
def memory_region_set_dirty(vm: VM, addr: int, size: int) -> None:
    vm.cpu_physical_memory_set_dirty_range(addr, size, -1)
