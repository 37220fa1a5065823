"""What CONTRIBUTING.md says is enough to add something is enough: each recipe in a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
RECIPES = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for part in ("replay", "refmodels", "series"):
        shutil.copytree(
            PROJECT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def replay(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line of the copy."""
    return subprocess.run(
        [sys.executable, "-m", "replay", *words], cwd=copy, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(copy)},
    )  # fmt: skip


def recipe(title: str) -> str:
    """The text of one recipe."""
    assert f"\n### {title}\n" in RECIPES
    return RECIPES.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def add(copy: Path, path: str, text: str, title: str) -> None:
    """Write to the end of a file that the recipe names."""
    assert path in recipe(title) or Path(path).parent.as_posix() in recipe(title)
    with (copy / path).open("a", encoding="utf-8") as file:
        file.write(text)


PROPERTY = '''

@followed("at-most-one-page")
class AtMostOnePage(Monitor):
    """No operation leaves more than one page dirty for VGA: nonsense, and so it breaks."""

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """Two pages that are dirty."""
        return "two pages are dirty" if record.visible.dirty[0].bit_count() > 1 else None


@followed("vga-has-pages")
class VgaHasPages(Monitor):
    """Only pages of blocks are dirty for VGA."""

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """A page of no block that is dirty."""
        return "a page of no block is dirty" if record.visible.dirty[0] & ~mask else None
'''
DECLARED = """
[[property]]
name = "vga-has-pages"
text = "Only pages of blocks are dirty for VGA."

[[property]]
name = "at-most-one-page"
text = "At most one page is dirty for VGA."
"""


def test_a_property_is_a_monitor_and_a_table(copy: Path) -> None:
    title = "A property *"
    add(copy, "replay/dirty/rules/properties.py", PROPERTY, title)
    toml = copy / "series/series.toml"
    text = toml.read_text(encoding="utf-8")
    assert "series/series.toml" in recipe(title)
    toml.write_text(text.replace("\n[start]\n", f"{DECLARED}\n[start]\n"), encoding="utf-8")
    few = ("--steps", "1-2", "--traces", "20", "--lane", "python")
    done = replay(copy, "check", *few, "--json")
    assert done.stderr == ""
    broken = {found["property"]: found for found in json.loads(done.stdout)["start"]}
    assert "vga-has-pages" not in broken
    example = broken["at-most-one-page"]["example"]
    assert example["shrunk"] and len(example["ops"]) == 1
    assert not broken["at-most-one-page"]["declared"]
    assert done.returncode == 1


STEP = '''"""memory: a step more, which changes nothing.

Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(40, home="include/exec/ram_addr.h")


@STEP.adds
def cpu_physical_memory_all(vm: VM) -> int:
    return -1
'''
STEP_TABLE = """
[[step]]
number = 40
title = "memory: a step more, which changes nothing"
theme = "G"
kind = "refactor"
claim = "same"
adds = ["int cpu_physical_memory_all(void)"]
"""


def test_a_step_is_a_module_and_a_table(copy: Path) -> None:
    title = "A step *"
    (copy / "refmodels/s40_one_more.py").write_text(STEP, encoding="utf-8")
    add(copy, "series/series.toml", STEP_TABLE, title)
    toml = copy / "series/series.toml"
    text = toml.read_text(encoding="utf-8")
    assert text.count("first = 33\nlast = 39") == 1
    toml.write_text(text.replace("first = 33\nlast = 39", "first = 33\nlast = 40"), "utf-8")
    done = replay(copy, "check", "--steps", "39-", "--traces", "200", "--json")
    rows = json.loads(done.stdout)["steps"]
    assert [row["step"] for row in rows] == [39, 40]
    assert rows[1]["verdict"] == "same"
    rests = [[one["comparison"] for one in row["rests_on"]] for row in rows]
    assert rests == [["models", "c", "c-model"], ["models"]], "step 40 has no patch"
    shown = replay(copy, "show", "40")
    assert "a step more, which changes nothing" in shown.stdout
    assert "def cpu_physical_memory_all" in shown.stdout


FORMAT = '''"""One line a step."""

from replay.base.style import Style
from replay.report.checking import CheckView
from replay.report.output import renders


@renders(CheckView, "oneline")
def _check(view: CheckView, style: Style) -> str:
    return " ".join(f"{step.step}:{step.verdict.value}" for step in view.result.steps)
'''


def test_a_report_format_is_one_module(copy: Path) -> None:
    assert "replay/report/formats/NAME.py" in recipe("A report format *")
    (copy / "replay/report/formats/oneline.py").write_text(FORMAT, encoding="utf-8")
    program = (
        "from replay.dirty.subject import plan\n"
        "from replay.report.checking import CheckView\n"
        "from replay.report.output import render\n"
        "from replay.series.check import check\n"
        "print(render(CheckView(check(plan(steps=(1, 2), traces=3))), 'oneline'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=copy, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1:same 2:same\n", "")
    assert "replay check --format NAME" in recipe("A report format *")
    few = ("--steps", "1-2", "--traces", "3", "--lane", "python")
    # Three traces do not show all that step 0 is said to break: not as claimed, which is 1.
    printed = replay(copy, "check", *few, "--format", "oneline")
    assert (printed.stdout, printed.stderr, printed.returncode) == ("1:same 2:same\n", "", 1)
    other = replay(copy, "show", "1", "--format", "oneline")
    assert (other.stdout, other.returncode) == ("", 2)
    assert "cannot be shown as 'oneline'; it can as text, json" in other.stderr


def test_a_subject_is_a_folder_and_no_file_of_the_tool(copy: Path) -> None:
    """In a folder of its own, anywhere: the tool is the copy as it is."""
    folder = copy / "mine"
    shutil.copytree(PROJECT / "tests" / "series" / "counter", folder)
    assert "`subject.py`" in recipe("A subject *")
    done = replay(copy, "--subject", str(folder), "check", "--traces", "50", "--json")
    rows = json.loads(done.stdout)["steps"]
    assert [row["verdict"] for row in rows] == [
        "same", "deviates as declared", "same", "undeclared difference",
    ]  # fmt: skip
