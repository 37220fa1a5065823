"""memory: make cpu_physical_memory_get_dirty() the main function.

It tests the bits itself, with one assertion before the loop; who asked for the flag of
a page asks for a range of one byte instead. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(23, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_get_dirty_flag")


@STEP.changes
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, client: int) -> int:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    ret = 0
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        ret |= vm.test_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])
    return ret


@STEP.changes
def cpu_physical_memory_is_dirty(vm: VM, addr: int) -> bool:
    vga = vm.cpu_physical_memory_get_dirty(addr, 1, vm.DIRTY_MEMORY_VGA)
    code = vm.cpu_physical_memory_get_dirty(addr, 1, vm.DIRTY_MEMORY_CODE)
    migration = vm.cpu_physical_memory_get_dirty(addr, 1, vm.DIRTY_MEMORY_MIGRATION)
    return bool(vga and code and migration)


STEP.file("exec.c")


@STEP.changes
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    if not vm.cpu_physical_memory_get_dirty(ram_addr, 1, vm.DIRTY_MEMORY_CODE):
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_MIGRATION)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_VGA)
    if vm.cpu_physical_memory_is_dirty(ram_addr):
        vm.tlb_set_dirty(ram_addr)


STEP.file("(operations)")


@STEP.changes
def page_get_flag(vm: VM, addr: int, client: int) -> bool:
    return bool(vm.cpu_physical_memory_get_dirty(addr, 1, vm.clients[client]))
