"""counter: take in one comparison.

Claim: same. It is not: where more is taken than there is, one is left behind.
"""

from refmodels.delta import VM, Step

STEP = Step(4, home="counter.c")


@STEP.changes
def take(vm: VM, n: int) -> int:
    had = vm.value()
    taken = n if n <= had else max(had - 1, 0)
    vm.put(had - taken)
    return int(taken)
