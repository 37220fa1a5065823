"""memory: create function to set a single dirty bit.

The many places that set one flag get a function that says so. The first to use it is
the one that unprotects a page left without code. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(5, home="include/exec/memory-internal.h")


@STEP.adds
def cpu_physical_memory_set_dirty_flag(vm: VM, addr: int, dirty_flag: int) -> None:
    try:
        vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] |= dirty_flag
    except IndexError:
        vm.stray += 1


STEP.file("cputlb.c")


@STEP.changes
def tlb_unprotect_code_phys(vm: VM, ram_addr: int) -> None:
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.CODE_DIRTY_FLAG)
