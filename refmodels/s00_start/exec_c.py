"""exec.c: RAM blocks, the dirty store, the write handler and the device writes."""

from refmodels.delta import VM
from refmodels.machine import RAMBlock
from refmodels.s00_start.table import STEP

STEP.file("include/exec/memory.h")

STEP.defines(DIRTY_MEMORY_VGA=0, DIRTY_MEMORY_CODE=1, DIRTY_MEMORY_MIGRATION=3)

STEP.file("exec.c")

STEP.defines(RAM_ADDR_MAX=2**64 - 1)

STEP.field("phys_dirty", lambda vm: vm.new_bytes())

# --- RAM blocks ---


@STEP.adds
def qemu_get_ram_block(vm: VM, addr: int) -> RAMBlock:
    for block in vm.blocks:
        if 0 <= addr - block.offset < block.length:
            return block
    vm.abort()
    raise AssertionError("abort returned")


@STEP.adds
def find_ram_offset(vm: VM, size: int) -> int:
    """Best fit: the end of a block with the smallest gap after it that holds ``size``."""
    if not vm.blocks:
        return 0
    offset = mingap = vm.RAM_ADDR_MAX
    for block in vm.blocks:
        end = block.offset + block.length
        following = vm.RAM_ADDR_MAX
        for next_block in vm.blocks:
            if next_block.offset >= end:
                following = min(following, next_block.offset)
        if size <= following - end < mingap:
            offset = end
            mingap = following - end
    vm.abort(offset != vm.RAM_ADDR_MAX)
    return offset


@STEP.adds
def last_ram_offset(vm: VM) -> int:
    """The end of the block that ends last, 0 without blocks."""
    last = 0
    for block in vm.blocks:
        last = max(last, block.offset + block.length)
    return last


@STEP.adds
def ram_list_insert(vm: VM, new_block: RAMBlock) -> None:
    """Keep the list sorted by length, longest first; an equal one goes behind its equals."""
    for index, block in enumerate(vm.blocks):
        if block.length < new_block.length:
            vm.blocks.insert(index, new_block)
            break
    else:
        vm.blocks.append(new_block)
    vm.ram_list_version += 1


@STEP.adds
def qemu_ram_alloc(vm: VM, size: int) -> int:
    new_block = RAMBlock(vm.find_ram_offset(size), size)
    vm.ram_list_insert(new_block)
    first = new_block.offset >> vm.TARGET_PAGE_BITS
    pages = size >> vm.TARGET_PAGE_BITS
    vm.renew(vm.phys_dirty, vm.last_ram_offset() >> vm.TARGET_PAGE_BITS)
    vm.memset(vm.phys_dirty, first, pages)
    vm.cpu_physical_memory_set_dirty_range(new_block.offset, size, 0xFF)
    return new_block.offset


@STEP.adds
def qemu_ram_free(vm: VM, addr: int) -> None:
    """Take the block at ``addr`` from the list. The dirty store stays as it is."""
    for block in vm.blocks:
        if block.offset == addr:
            vm.blocks.remove(block)
            vm.ram_list_version += 1
            return


# --- resets, and whether anyone logs ---


@STEP.adds
def tlb_reset_dirty_range_all(vm: VM, start: int, end: int, length: int) -> None:
    block = vm.qemu_get_ram_block(start)
    # The range has to be contiguous in the host's memory, so it lies in one block.
    vm.abort(block is vm.qemu_get_ram_block(end - 1))
    vm.cpu_tlb_reset_dirty_all(start, length)


@STEP.adds
def cpu_physical_memory_reset_dirty(vm: VM, start: int, end: int, dirty_flags: int) -> None:
    start &= vm.TARGET_PAGE_MASK
    end = (end + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    length = end - start
    if length == 0:
        return
    vm.cpu_physical_memory_mask_dirty_range(start, length, dirty_flags)
    if vm.tcg:
        vm.tlb_reset_dirty_range_all(start, end, length)


@STEP.adds
def cpu_physical_memory_set_dirty_tracking(vm: VM, enable: int) -> int:
    vm.in_migration = bool(enable)
    return 0


@STEP.adds
def core_log_global_start(vm: VM) -> None:
    vm.cpu_physical_memory_set_dirty_tracking(1)


@STEP.adds
def core_log_global_stop(vm: VM) -> None:
    vm.cpu_physical_memory_set_dirty_tracking(0)


# --- writes ---


@STEP.adds
def xen_modified_memory(vm: VM, start: int, length: int) -> None:
    vm.tell("xen_modified", start, length)


@STEP.adds
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    """The slow path of a CPU store: a page with a `notdirty` TLB entry."""
    dirty_flags = vm.cpu_physical_memory_get_dirty_flags(ram_addr)
    if not dirty_flags & vm.CODE_DIRTY_FLAG:
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
        # The invalidation may have set CODE: no code is left to protect.
        dirty_flags = vm.cpu_physical_memory_get_dirty_flags(ram_addr)
    dirty_flags |= 0xFF & ~vm.CODE_DIRTY_FLAG
    vm.cpu_physical_memory_set_dirty_flags(ram_addr, dirty_flags)
    # Stores may go fast only when no client has anything left to learn from a slow one.
    if dirty_flags == 0xFF:
        vm.tlb_set_dirty(ram_addr)


@STEP.adds
def invalidate_and_set_dirty(vm: VM, addr: int, length: int) -> None:
    """What a device write of at most a page leaves behind."""
    if not vm.cpu_physical_memory_is_dirty(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + length, False)
        vm.cpu_physical_memory_set_dirty_flags(addr, 0xFF & ~vm.CODE_DIRTY_FLAG)
    vm.xen_modified_memory(addr, length)


@STEP.adds
def stl_phys_notdirty(vm: VM, addr: int) -> None:
    """A 4-byte store (of a page table's bits) that dirties only while someone logs."""
    if vm.in_migration and not vm.cpu_physical_memory_is_dirty(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + 4, False)
        vm.cpu_physical_memory_set_dirty_flags(addr, 0xFF & ~vm.CODE_DIRTY_FLAG)
