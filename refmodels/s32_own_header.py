"""memory: split cpu_physical_memory_* functions to its own include.

The dirty-tracking API leaves memory-internal.h, which only core memory files may
include, for a header that its other users can. Claim: same.
"""

from refmodels.delta import Step

STEP = Step(32)
STEP.moves(
    "cpu_physical_memory_get_dirty",
    "cpu_physical_memory_get_dirty_flag",
    "cpu_physical_memory_is_clean",
    "cpu_physical_memory_set_dirty_flag",
    "cpu_physical_memory_set_dirty_range",
    "cpu_physical_memory_clear_dirty_range",
    home="include/exec/memory-physical.h",
)
STEP.declares("cpu_physical_memory_reset_dirty", home="include/exec/memory-physical.h")
