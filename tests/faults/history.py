"""A git history of the C series in which one patch brings a fault that stays.

The faulty line is in every tree from its step on, as far as the right one would be, as
if the author had written it so; later patches are as they come out of that.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from faults.patches import PatchFault
from replay.dirty.faults.ctrees import Trees
from replay.dirty.faults.fault import Fault
from replay.series.patches import read_patches
from replay.series.trees import trees

IDENTITY = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b.invalid", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@b.invalid", "GIT_AUTHOR_DATE": "2013-11-06T12:00:00Z",
    "GIT_COMMITTER_DATE": "2013-11-06T12:00:00Z", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


def plant(fault: PatchFault, folder: Path) -> tuple[Path, list[str], int]:
    """(repository, commit of each step, last step that has the fault)."""
    patch = read_patches()[fault.step - 1]
    lines = patch.diff.decode().splitlines()
    line = next(
        text[1:] for text in lines
        if text.startswith("+") and not text.startswith("+++") and fault.old in text
    )  # fmt: skip
    wrong = line.replace(fault.old, fault.new, 1)
    steps = []
    last, there = fault.step, True
    for tree in trees():
        here = False
        files = dict(tree.files)
        for path, data in tree.files.items():
            text = data.decode()
            if tree.step >= fault.step and there and f"{line}\n" in text:
                here = True
                files[path] = text.replace(f"{line}\n", f"{wrong}\n").encode()
        if tree.step >= fault.step and there:
            there = here
            last = tree.step if here else last
        steps.append(files)
    return folder, commit_all(steps, folder), last


def plant_systematic(fault: Fault, folder: Path, most: int = 4) -> tuple[Path, list[str], int]:
    """The same for a fault that ``replay faults`` makes; it ends ``most`` steps behind it."""
    faulty = Trees(fault, None)
    steps: list[dict[str, bytes]] = []
    for step in range(min(fault.step + most, 39) + 1):
        files = faulty.files(step)
        if files is None:
            break
        steps.append(files)
    return folder, commit_all(steps, folder), len(steps) - 1


def commit_all(steps: list[dict[str, bytes]], folder: Path) -> list[str]:
    """A repository with a commit and a tag for each step; gives the commits."""
    environment = {**os.environ, **IDENTITY}

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], env=environment, check=True,
                              capture_output=True, text=True)  # fmt: skip
        return done.stdout.strip()

    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    commits = []
    for step, files in enumerate(steps):
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != data:
                target.write_bytes(data)
        title = "base" if step == 0 else read_patches()[step - 1].title
        git("add", "--all")
        git("commit", "--quiet", "--message", title)
        git("tag", f"step-{step:02d}")
        commits.append(git("rev-parse", "HEAD"))
    return commits
