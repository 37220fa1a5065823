"""memory: cpu_physical_memory_set_dirty_tracking() should return void.

It always returned 0, and takes a yes or no. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(31, home="exec.c")


@STEP.changes
def cpu_physical_memory_set_dirty_tracking(vm: VM, enable: bool) -> None:
    vm.in_migration = enable


@STEP.changes
def core_log_global_start(vm: VM) -> None:
    vm.cpu_physical_memory_set_dirty_tracking(True)


@STEP.changes
def core_log_global_stop(vm: VM) -> None:
    vm.cpu_physical_memory_set_dirty_tracking(False)
