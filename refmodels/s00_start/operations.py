"""The operations of a trace, as calls of the callers; and how the store is observed.

No C file holds these: they are the hands that work the machine from outside. They
name a client by its place in ``refmodels.machine.CLIENTS``, never by its number,
since step 14 renumbers one.
"""

from collections.abc import Sequence

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("(operations)")


@STEP.adds
def ram_alloc(vm: VM, pages: int) -> int:
    return vm.qemu_ram_alloc(pages << vm.TARGET_PAGE_BITS)


@STEP.adds
def ram_free(vm: VM, addr: int) -> None:
    block = vm.qemu_get_ram_block(addr)
    for page_addr in range(block.offset, block.offset + block.length, vm.TARGET_PAGE_SIZE):
        vm.tlb_flush_page(page_addr)
    vm.tb_free_block(block.offset, block.length)
    vm.qemu_ram_free(addr)


@STEP.adds
def tlb_fill(vm: VM, addr: int) -> str:
    vm.tlb_set_page(addr)
    return "direct" if vm.tlb[addr >> vm.TARGET_PAGE_BITS] else "notdirty"


@STEP.adds
def store(vm: VM, addr: int, size: int) -> str:
    direct = vm.tlb.get(addr >> vm.TARGET_PAGE_BITS)
    if direct is None:
        vm.tlb_set_page(addr)
        direct = vm.tlb[addr >> vm.TARGET_PAGE_BITS]
    if direct:
        return "fast"
    vm.notdirty_mem_write(addr, size)
    return "slow"


@STEP.adds
def dma_write(vm: VM, addr: int, length: int) -> None:
    """A device write, cut at page boundaries as the callers that map memory cut it."""
    while length > 0:
        piece = min(length, vm.TARGET_PAGE_SIZE - (addr & ~vm.TARGET_PAGE_MASK))
        vm.invalidate_and_set_dirty(addr, piece)
        addr += piece
        length -= piece


@STEP.adds
def store_notdirty(vm: VM, addr: int) -> None:
    vm.stl_phys_notdirty(addr)


@STEP.adds
def translate(vm: VM, addr: int) -> None:
    vm.tb_alloc_page(addr & vm.TARGET_PAGE_MASK)


@STEP.adds
def region_set_dirty(vm: VM, addr: int, length: int) -> None:
    vm.memory_region_set_dirty(addr, length)


@STEP.adds
def region_get_dirty(vm: VM, addr: int, length: int, client: int) -> bool:
    return vm.memory_region_get_dirty(addr, length, vm.clients[client])


@STEP.adds
def region_test_and_clear_dirty(vm: VM, addr: int, length: int, client: int) -> bool:
    return vm.memory_region_test_and_clear_dirty(addr, length, vm.clients[client])


@STEP.adds
def region_reset_dirty(vm: VM, addr: int, length: int, client: int) -> None:
    vm.memory_region_reset_dirty(addr, length, vm.clients[client])


@STEP.adds
def page_is_dirty(vm: VM, addr: int) -> bool:
    return bool(vm.cpu_physical_memory_is_dirty(addr))


@STEP.adds
def page_get_flag(vm: VM, addr: int, client: int) -> bool:
    return bool(vm.cpu_physical_memory_get_dirty_flags(addr) & (1 << vm.clients[client]))


@STEP.adds
def kvm_log_sync(vm: VM, addr: int, pages: int, words: Sequence[int]) -> None:
    vm.kvm_get_dirty_pages_log_range(addr, pages, words)


@STEP.adds
def migration_start(vm: VM) -> int:
    vm.ram_save_setup()
    return vm.migration_dirty_pages


@STEP.adds
def migration_sync(vm: VM) -> int:
    vm.migration_bitmap_sync()
    return vm.migration_dirty_pages


@STEP.adds
def migration_next(vm: VM, addr: int, start: int) -> int:
    block = vm.qemu_get_ram_block(addr)
    return vm.migration_bitmap_find_and_reset_dirty(block.offset, block.length, start)


@STEP.adds
def migration_stop(vm: VM) -> None:
    vm.migration_end()


# --- observing the store ---


@STEP.adds
def store_content(vm: VM) -> bytes:
    """The dirty store as it lies in memory: equal content, equal dirty pages."""
    return bytes(vm.phys_dirty)


@STEP.adds
def store_span(vm: VM) -> tuple[int, int]:
    """The pages [low, high) whose dirty bits may have changed since the last call."""
    return vm.phys_dirty.span.take()


@STEP.adds
def store_bytes(vm: VM) -> int:
    """The size of the dirty store in bytes."""
    return len(vm.phys_dirty)


@STEP.adds
def store_pages(vm: VM) -> int:
    """How many pages the store has room for, now and as freed blocks left it."""
    return len(vm.phys_dirty)


@STEP.adds
def dirty_pages(vm: VM, low: int, high: int) -> tuple[int, int, int]:
    """The dirty pages of each client in [low, high), as integers whose bit 0 is ``low``.

    Pages outside every block are included: what a freed block left behind.
    """
    reverse = vm.phys_dirty[low:high][::-1]
    if not reverse:
        return (0, 0, 0)
    vga, code, migration = (
        int(reverse.translate(vm.FLAG_DIGITS[client]), 2) for client in vm.clients
    )
    return (vga, code, migration)
