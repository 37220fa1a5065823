"""Faults that are planted to see them found."""

from __future__ import annotations

import os

ASK_ALL = "REPLAY_TEST_ALL" in os.environ
"""Whether all faults are asked where a sample will do for each run: it takes twice as long."""
