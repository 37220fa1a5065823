"""The README's commands run, in order, as a reader would type them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"<!-- run -->\n```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


def test_there_are_commands_to_run() -> None:
    assert len(BLOCKS) == 5


@pytest.mark.parametrize(
    "block", BLOCKS, ids=["look-closer", "explore", "red-script", "later", "mail"]
)
def test_the_commands_of_the_readme_run(block: str, tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    for line in block.splitlines():
        command, _, comment = line.partition("  #")
        wanted = int(m.group(1)) if (m := re.search(r"exit (\d+)", comment)) else 0
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == wanted, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        if command.startswith("replay mail compare"):
            assert "differences begin with patch 5" in done.stdout
        if "bisect run" in command:
            assert "migration: synchronize memory bitmap 64bits at a time" in done.stdout
        if "--timeline" in command:
            assert "heals on" in done.stdout
        elif command.startswith("replay bisect") and "--script" not in command:
            assert "guilty: step 39" in done.stdout
