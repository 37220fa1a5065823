"""counter: tens and ones.

Claim: same. Two digits instead of one number.
"""

from refmodels.delta import VM, Step

STEP = Step(3, home="counter.c")
STEP.removes("count")
STEP.field("tens", lambda vm: 0)
STEP.field("ones", lambda vm: 0)


@STEP.changes
def value(vm: VM) -> int:
    return int(10 * vm.tens + vm.ones)


@STEP.adds
def put(vm: VM, count: int) -> None:
    vm.tens, vm.ones = divmod(count, 10)


@STEP.changes
def room(vm: VM) -> int:
    return int(vm.LIMIT - vm.value())


@STEP.changes
def add(vm: VM, n: int) -> int:
    added = min(n, vm.room())
    vm.put(vm.value() + added)
    return int(added)


@STEP.changes
def take(vm: VM, n: int) -> int:
    taken = min(n, vm.value())
    vm.put(vm.value() - taken)
    return int(taken)


@STEP.changes
def reset(vm: VM) -> int:
    had = vm.value()
    vm.put(0)
    return int(had)
