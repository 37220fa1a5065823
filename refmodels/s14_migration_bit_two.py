"""memory: use bit 2 for migration.

The three clients become 0, 1 and 2, so that they can index an array of three. The
stored byte changes; no observation names a bit. Claim: same.
"""

from refmodels.delta import Step

STEP = Step(14, home="include/exec/memory.h")
STEP.redefines(DIRTY_MEMORY_MIGRATION=2)
STEP.defines(DIRTY_MEMORY_NUM=3)
