"""Move prototypes to memory.h.

The declarations of the dirty-tracking functions that exec.c defines move to the header
that their users include anyway. No function body is touched, so there is nothing to
model but the place. Claim: same.
"""

from refmodels.delta import Step

STEP = Step(1)
STEP.declares("cpu_physical_memory_reset_dirty", home="include/exec/memory.h")
