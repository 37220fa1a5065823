"""memory: use DIRTY_MEMORY_* instead of *_DIRTY_FLAG.

Callers name a client; only the three functions that touch the byte know that a client
is a bit of it. The flag macros go, and memory.c no longer shifts. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(13, home="include/exec/memory-internal.h")
STEP.removes("VGA_DIRTY_FLAG", "CODE_DIRTY_FLAG", "MIGRATION_DIRTY_FLAG")


@STEP.changes
def cpu_physical_memory_get_dirty_flag(vm: VM, addr: int, client: int) -> bool:
    try:
        return bool(vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] & (1 << client))
    except IndexError:
        vm.stray += 1
        return False


@STEP.changes
def cpu_physical_memory_is_dirty(vm: VM, addr: int) -> bool:
    vga = vm.cpu_physical_memory_get_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)
    code = vm.cpu_physical_memory_get_dirty_flag(addr, vm.DIRTY_MEMORY_CODE)
    migration = vm.cpu_physical_memory_get_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
    return vga and code and migration


@STEP.changes
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, client: int) -> int:
    ret = 0
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        ret |= vm.cpu_physical_memory_get_dirty_flag(addr, client)
    return ret


@STEP.changes
def cpu_physical_memory_set_dirty_flag(vm: VM, addr: int, client: int) -> None:
    try:
        vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] |= (1 << client) & 0xFF
    except IndexError:
        vm.stray += 1


@STEP.changes
def cpu_physical_memory_set_dirty(vm: VM, addr: int) -> None:
    vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
    vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)
    vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_CODE)


@STEP.changes
def cpu_physical_memory_clear_dirty_flag(vm: VM, addr: int, client: int) -> int:
    page = addr >> vm.TARGET_PAGE_BITS
    mask = ~(1 << client) & 0xFF
    try:
        vm.phys_dirty[page] &= mask
    except IndexError:
        vm.stray += 1
        return 0
    return vm.phys_dirty[page]


@STEP.changes
def cpu_physical_memory_mask_dirty_range(vm: VM, start: int, length: int, client: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        vm.cpu_physical_memory_clear_dirty_flag(addr, client)


STEP.file("exec.c")


@STEP.changes
def cpu_physical_memory_reset_dirty(vm: VM, start: int, end: int, client: int) -> None:
    start &= vm.TARGET_PAGE_MASK
    end = (end + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    length = end - start
    if length == 0:
        return
    vm.cpu_physical_memory_mask_dirty_range(start, length, client)
    if vm.tcg:
        vm.tlb_reset_dirty_range_all(start, end, length)


@STEP.changes
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    if not vm.cpu_physical_memory_get_dirty_flag(ram_addr, vm.DIRTY_MEMORY_CODE):
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_MIGRATION)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_VGA)
    if vm.cpu_physical_memory_is_dirty(ram_addr):
        vm.tlb_set_dirty(ram_addr)


@STEP.changes
def invalidate_and_set_dirty(vm: VM, addr: int, length: int) -> None:
    if not vm.cpu_physical_memory_is_dirty(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + length, False)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
    vm.xen_modified_memory(addr, length)


@STEP.changes
def stl_phys_notdirty(vm: VM, addr: int) -> None:
    if vm.in_migration and not vm.cpu_physical_memory_is_dirty(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + 4, False)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)


STEP.file("cputlb.c")


@STEP.changes
def tlb_protect_code(vm: VM, ram_addr: int) -> None:
    vm.cpu_physical_memory_reset_dirty(
        ram_addr, ram_addr + vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_CODE
    )


@STEP.changes
def tlb_unprotect_code_phys(vm: VM, ram_addr: int) -> None:
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_CODE)


STEP.file("memory.c")


@STEP.changes
def memory_region_get_dirty(vm: VM, addr: int, size: int, client: int) -> bool:
    return bool(vm.cpu_physical_memory_get_dirty(addr, size, client))


@STEP.changes
def memory_region_test_and_clear_dirty(vm: VM, addr: int, size: int, client: int) -> bool:
    ret = vm.cpu_physical_memory_get_dirty(addr, size, client)
    if ret:
        vm.cpu_physical_memory_reset_dirty(addr, addr + size, client)
    return bool(ret)


@STEP.changes
def memory_region_reset_dirty(vm: VM, addr: int, size: int, client: int) -> None:
    vm.cpu_physical_memory_reset_dirty(addr, addr + size, client)


STEP.file("(operations)")


@STEP.changes
def page_get_flag(vm: VM, addr: int, client: int) -> bool:
    return vm.cpu_physical_memory_get_dirty_flag(addr, vm.clients[client])
