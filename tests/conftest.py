"""What all tests share: Hypothesis without a database or a clock, and tests/ to import from."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

settings.register_profile("sealed", deadline=None, database=None, derandomize=True)
settings.load_profile("sealed")
sys.path.insert(0, str(Path(__file__).parent))
