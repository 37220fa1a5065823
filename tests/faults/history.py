"""A git history of the C series in which one patch brings a fault that stays.

The faulty line is in every tree from its step on, as far as the right one would be, as
if the author had written it so; later patches are as they come out of that.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from faults.patches import PatchFault
from replay.gitsteps import trees
from replay.patches import read_patches

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
    environment = {**os.environ, **IDENTITY}

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], env=environment, check=True,
                              capture_output=True, text=True)  # fmt: skip
        return done.stdout.strip()

    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    commits, last, there = [], fault.step, True
    for tree in trees():
        here = False
        for path, data in tree.files.items():
            text = data.decode()
            if tree.step >= fault.step and there and f"{line}\n" in text:
                here = True
                text = text.replace(f"{line}\n", f"{wrong}\n")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        if tree.step >= fault.step and there:
            there = here
            last = tree.step if here else last
        title = "base" if tree.step == 0 else read_patches()[tree.step - 1].title
        git("add", "--all")
        git("commit", "--quiet", "--message", title)
        git("tag", f"step-{tree.step:02d}")
        commits.append(git("rev-parse", "HEAD"))
    return folder, commits, last
