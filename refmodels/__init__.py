"""The reference models: step 0 as a full table, and 39 deltas folded into it.

``refmodels.delta`` says what a step is, ``refmodels.fold`` folds a family of steps,
``refmodels.machine`` is what every step of this family stands on, ``refmodels.s00_start``
the starting point and ``refmodels.s01_…`` to ``s39_…`` one module a patch. ``FOLD.build(k)``
gives the machine of step k as a class.
"""

from typing import Any

from refmodels.fold import Fold


def _machine() -> type[Any]:
    from refmodels.machine import Machine

    return Machine


FOLD = Fold("refmodels", _machine, owner="ram_list.")
"""The 40 steps."""
