"""memory: make cpu_physical_memory_is_dirty return bool.

A page is dirty when VGA, CODE and MIGRATION are all set: the byte is no longer
compared with 0xff. The two agree only while the five unused bits of every page's byte
stay 1, which they do so far: a page starts as 0xff and only the three are ever
cleared. Claim: same, under that invariant.
"""

from refmodels.delta import VM, Step

STEP = Step(7, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_is_dirty(vm: VM, addr: int) -> bool:
    vga = vm.cpu_physical_memory_get_dirty_flag(addr, vm.VGA_DIRTY_FLAG)
    code = vm.cpu_physical_memory_get_dirty_flag(addr, vm.CODE_DIRTY_FLAG)
    migration = vm.cpu_physical_memory_get_dirty_flag(addr, vm.MIGRATION_DIRTY_FLAG)
    return vga and code and migration
