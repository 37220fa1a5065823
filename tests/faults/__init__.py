"""Faults that are planted to see them found."""

from __future__ import annotations

import os

ASK_ALL = "REPLAY_TEST_ALL" in os.environ
"""Whether all are asked where a fixed sample will do for each run: it takes twice as long.

Of planted faults, of the steps that are verified in C, of pairs to prove, of libraries that
misbehave. No sample is drawn: it is the same each time.
"""
