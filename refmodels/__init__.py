"""The reference models: step 0 as a full table, and 39 deltas folded into it.

``refmodels.delta`` holds the fold, ``refmodels.machine`` what every step stands on,
``refmodels.s00_start`` the starting point and ``refmodels.s01_…`` to ``s39_…`` one
module a patch. ``refmodels.delta.build(k)`` gives the machine of step k as a class.
"""
