"""The starting point: one byte a page, and every caller of the dirty-tracking API.

``ram_list.phys_dirty`` holds a byte a page; 0xff means never cleaned. Three of the
eight bits are used, one a client; the rest are 1 by habit. The functions of step 0
are spread over modules named after the C files they stand for. All of them write into
one ``STEP``, which is the full table the 39 deltas are folded into.
"""

from refmodels.s00_start import (  # noqa: F401  each import fills STEP
    arch_init_c,
    bitmap_h,
    cputlb_c,
    exec_c,
    kvm_all_c,
    memory_c,
    memory_internal_h,
    operations,
    translate_all_c,
)
from refmodels.s00_start.table import STEP

__all__ = ["STEP"]
