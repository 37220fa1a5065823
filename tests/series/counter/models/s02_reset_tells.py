"""counter: reset tells what there was.

Claim: a reset gives the number that it drops.
"""

from refmodels.delta import VM, Step

STEP = Step(2, home="counter.c")


@STEP.changes
def reset(vm: VM) -> int:
    had = vm.count
    vm.count = 0
    return int(had)
