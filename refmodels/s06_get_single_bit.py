"""exec: create function to get a single dirty bit.

The counterpart for reading, a bool. The write handler's question about CODE uses it;
the flags it goes on to merge are still read as a byte. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(6, home="include/exec/memory-internal.h")


@STEP.adds
def cpu_physical_memory_get_dirty_flag(vm: VM, addr: int, dirty_flag: int) -> bool:
    try:
        return bool(vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] & dirty_flag)
    except IndexError:
        vm.stray += 1
        return False


STEP.file("exec.c")


@STEP.changes
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    dirty_flags = vm.cpu_physical_memory_get_dirty_flags(ram_addr)
    if not vm.cpu_physical_memory_get_dirty_flag(ram_addr, vm.CODE_DIRTY_FLAG):
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
        dirty_flags = vm.cpu_physical_memory_get_dirty_flags(ram_addr)
    dirty_flags |= 0xFF & ~vm.CODE_DIRTY_FLAG
    vm.cpu_physical_memory_set_dirty_flags(ram_addr, dirty_flags)
    if vm.cpu_physical_memory_is_dirty(ram_addr):
        vm.tlb_set_dirty(ram_addr)
