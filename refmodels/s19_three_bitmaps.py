"""memory: split dirty bitmap into three.

A bitmap of words for each client replaces the byte a page: 8 bits become 3. The three
functions that touch the store become bit operations on one of the bitmaps, and growing
zero-extends all three. As posted a page number is an int in there, so guests of more
than 2^31 pages are outside the domain from here on. Claim: same.
"""

from refmodels.delta import VM, Step
from refmodels.machine import OutOfDomain, RAMBlock

STEP = Step(19, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_get_dirty_flag(vm: VM, addr: int, client: int) -> bool:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    return vm.test_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])


@STEP.changes
def cpu_physical_memory_set_dirty_flag(vm: VM, addr: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    vm.set_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])


@STEP.changes
def cpu_physical_memory_clear_dirty_flag(vm: VM, addr: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    vm.clear_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])


STEP.file("exec.c")
STEP.removes("phys_dirty")
STEP.field("dirty_memory", lambda vm: [vm.new_words() for _ in range(vm.DIRTY_MEMORY_NUM)])
STEP.defines(INT_MAX=2**31 - 1)


@STEP.changes
def qemu_ram_alloc(vm: VM, size: int) -> int:
    old_ram_size = vm.last_ram_offset() >> vm.TARGET_PAGE_BITS
    new_block = RAMBlock(vm.find_ram_offset(size), size)
    if (new_block.offset + size) >> vm.TARGET_PAGE_BITS > vm.INT_MAX + 1:
        raise OutOfDomain(
            "ram_alloc: a page number past 2^31 - 1 does not fit the int that step 19 "
            "indexes the bitmaps with; keep the guest within 8 TiB of 4 KiB pages"
        )
    vm.ram_list_insert(new_block)
    new_ram_size = vm.last_ram_offset() >> vm.TARGET_PAGE_BITS
    if new_ram_size > old_ram_size:
        for i in range(vm.DIRTY_MEMORY_NUM):
            vm.dirty_memory[i] = vm.bitmap_zero_extend(
                vm.dirty_memory[i], old_ram_size, new_ram_size
            )
    vm.cpu_physical_memory_set_dirty_range(new_block.offset, size)
    return new_block.offset


# How the store is observed changes with the store.

STEP.file("(operations)")


@STEP.changes
def store_content(vm: VM) -> bytes:
    return b"".join([words.tobytes() for words in vm.dirty_memory])


@STEP.changes
def store_span(vm: VM) -> tuple[int, int]:
    spans = [words.span.take() for words in vm.dirty_memory]
    written = [span for span in spans if span[1]]
    if not written:
        return (0, 0)
    low, high = min(span[0] for span in written), max(span[1] for span in written)
    return (low << vm.LONG_SHIFT, high << vm.LONG_SHIFT)


@STEP.changes
def store_bytes(vm: VM) -> int:
    return sum(len(words) for words in vm.dirty_memory) * vm.BITS_PER_LONG // 8


@STEP.changes
def store_pages(vm: VM) -> int:
    return len(vm.dirty_memory[vm.DIRTY_MEMORY_VGA]) << vm.LONG_SHIFT


@STEP.changes
def dirty_pages(vm: VM, low: int, high: int) -> tuple[int, int, int]:
    vga, code, migration = (vm.bits_of(vm.dirty_memory[c], low, high) for c in vm.clients)
    return (vga, code, migration)
