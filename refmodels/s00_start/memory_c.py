"""memory.c: what devices ask of a region's dirty log. A client becomes a flag here."""

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("memory.c")


@STEP.adds
def memory_region_get_dirty(vm: VM, addr: int, size: int, client: int) -> bool:
    return bool(vm.cpu_physical_memory_get_dirty(addr, size, 1 << client))


@STEP.adds
def memory_region_set_dirty(vm: VM, addr: int, size: int) -> None:
    return vm.cpu_physical_memory_set_dirty_range(addr, size, -1)


@STEP.adds
def memory_region_test_and_clear_dirty(vm: VM, addr: int, size: int, client: int) -> bool:
    ret = vm.cpu_physical_memory_get_dirty(addr, size, 1 << client)
    if ret:
        vm.cpu_physical_memory_reset_dirty(addr, addr + size, 1 << client)
    return bool(ret)


@STEP.adds
def memory_region_reset_dirty(vm: VM, addr: int, size: int, client: int) -> None:
    vm.cpu_physical_memory_reset_dirty(addr, addr + size, 1 << client)


@STEP.adds
def memory_global_dirty_log_start(vm: VM) -> None:
    vm.core_log_global_start()


@STEP.adds
def memory_global_dirty_log_stop(vm: VM) -> None:
    vm.core_log_global_stop()
