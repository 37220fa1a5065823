"""The start: one number, and a limit."""

from refmodels.delta import VM, Step

STEP = Step(0, home="counter.c")
STEP.defines(LIMIT=25)
STEP.field("count", lambda vm: 0)


@STEP.adds
def value(vm: VM) -> int:
    return int(vm.count)


@STEP.adds
def add(vm: VM, n: int) -> int:
    added = min(n, vm.LIMIT - vm.count)
    vm.count += added
    return int(added)


@STEP.adds
def take(vm: VM, n: int) -> int:
    taken = min(n, vm.count)
    vm.count -= taken
    return int(taken)


@STEP.adds
def reset(vm: VM) -> int:
    vm.count = 0
    return 0
