"""Mailboxes made for a test, from the built-in patches or from texts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner
from faults.patches import PatchFault

from replay.cli import main
from replay.series.declared import data_path

TREE = data_path() / "tree"
SEPARATOR = "From 0123456789 Mon Sep 17 00:00:00 2001\n"


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What --json says of the patches' behaviour."""
        return [row.get("behaviour") for row in json.loads(self.out)["patches"]]


def compare(*arguments: object) -> Done:
    result = CliRunner().invoke(main, ["mail", "compare", *map(str, arguments)])
    return Done(result.exit_code, result.stdout, result.stderr)


def builtin(path: Path, last: int, *faults: PatchFault, version: int = 1) -> Path:
    """The built-in patches up to ``last`` as a mailbox, with faults in some."""
    texts = []
    for step in range(1, last + 1):
        (file,) = (data_path() / "patches").glob(f"{step:04d}-*.patch")
        text = file.read_text(encoding="utf-8")
        for fault in faults:
            if fault.step == step:
                text = faulty(text, fault)
        texts.append(text.replace("[PATCH ", f"[PATCH v{version} ", 1))
    path.write_text("".join(texts), encoding="utf-8")
    return path


def faulty(text: str, fault: PatchFault) -> str:
    """A patch with a fault in its first added line that holds the old text."""
    head, mark, diff = text.partition("\ndiff --git")
    lines = diff.split("\n")
    at = next(i for i, line in enumerate(lines) if line[:1] == "+" and fault.old in line)
    lines[at] = lines[at].replace(fault.old, fault.new, 1)
    return head + mark + "\n".join(lines)


def patch(title: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """A mail with the difference of two trees; a file that only one has is empty in the other."""
    diff = ""
    for name in sorted({*old, *new}):
        a, b = (tree.get(name, "").splitlines(keepends=True) for tree in (old, new))
        if a != b:
            sides = (f"a/{name}" if name in old else "/dev/null", f"b/{name}")
            made = "" if name in old else "new file mode 100644\n"
            diff += f"diff --git a/{name} b/{name}\n{made}index 1111111..2222222"
            diff += " 100644\n" if name in old else "\n"
            diff += "".join(difflib.unified_diff(a, b, *sides))
    return (
        f"{SEPARATOR}From: A Developer <a@example.org>\n"
        f"Date: Wed, 6 Nov 2013 12:00:00 +0000\nSubject: {title}\n\nBecause.\n---\n\n"
        f"{diff}-- \n2.39\n"
    )


def series(
    path: Path, *trees: Mapping[str, str], version: int = 1, titles: Sequence[str] = ()
) -> Path:
    """A mailbox whose patches lead from each tree to the next."""
    last = len(trees) - 1
    titles = titles or [f"change {n}" for n in range(1, last + 1)]
    texts = [
        patch(f"[PATCH v{version} {n}/{last}] {titles[n - 1]}", trees[n - 1], trees[n])
        for n in range(1, last + 1)
    ]
    path.write_text("".join(texts), encoding="utf-8")
    return path


def write(folder: Path, tree: Mapping[str, str]) -> Path:
    """A tree on disk."""
    folder.mkdir()
    for name, text in tree.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
