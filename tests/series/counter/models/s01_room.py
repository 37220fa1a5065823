"""counter: give the room that is left a name.

Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(1, home="counter.c")


@STEP.adds
def room(vm: VM) -> int:
    return int(vm.LIMIT - vm.count)


@STEP.changes
def add(vm: VM, n: int) -> int:
    added = min(n, vm.room())
    vm.count += added
    return int(added)
