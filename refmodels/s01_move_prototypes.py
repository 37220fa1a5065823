"""Move prototypes to memory.h.

Who wants to allocate RAM, or to know where it ends, had to include the header that is
meant for the core of memory alone. The prototypes move; no function body is touched, so
there is nothing to model but the place. Claim: same.
"""

from refmodels.delta import Step

STEP = Step(1)
STEP.declares(
    "qemu_ram_alloc",
    "qemu_ram_free",
    "find_ram_offset",
    "last_ram_offset",
    home="include/exec/memory.h",
)
