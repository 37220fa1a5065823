"""What all tests share: Hypothesis without database or clock, Ctrl-C, tests/ to import from."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from hypothesis import settings

settings.register_profile("sealed", deadline=None, database=None, derandomize=True)
settings.load_profile("sealed")
# Whoever starts the tests in the background may have them ignore Ctrl-C, which is inherited.
ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
if ignored and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(Path(__file__).parent))
