"""Real compilers for these tests: where they are, and how one is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Build = Callable[..., Path]

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)] or ["cc"]
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def run(command: list[str], where: Path) -> str:
    if shutil.which(command[0]) is None:
        pytest.fail(
            f"{command[0]} is missing: these tests read what a real compiler makes; "
            f"install gcc and binutils"
        )
    done = subprocess.run(
        command, cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")
    return done.stdout
