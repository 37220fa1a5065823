"""Campaigns as processes, for the tests: started, waited for, and looked after."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from replay.campaign.state import StateError, read_sums
from replay.campaign.sums import Sums
from replay.errors import UsageError


def start(*words: object, cache: Path, **more: Any) -> subprocess.Popen[str]:
    """Start a command of ``replay`` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "replay", *map(str, words)],
        env={**os.environ, "REPLAY_CACHE": str(cache)}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def wait(
    path: Path, traces: int, process: subprocess.Popen[str], kind: type[Sums], patience: float = 60
) -> None:
    """Wait until a campaign of a kind has written so many traces."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        try:
            if read_sums(path, (kind,)).end >= traces:
                return
        except (StateError, UsageError):
            pass  # it has not begun to write
        time.sleep(0.1)
    raise AssertionError("it is not that far in time")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def gone(pids: list[int], patience: float = 15) -> bool:
    """Whether processes have ended, or do so soon."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if not any(_runs(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(process: subprocess.Popen[str]) -> None:
    """End a process of a test that failed on the way, and what it has left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def report(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a command printed."""
    return json.loads(done.stdout)
