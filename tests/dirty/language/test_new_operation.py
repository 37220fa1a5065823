"""A new operation takes what the recipe of CONTRIBUTING.md names, and nothing else.

The recipe is followed in a copy of the project: a line of the table, the model, the C, and
what one property must know of it. All else, from drawing to the page, follows.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

RECIPE = {
    # The table: its name, its parameters by kind, its result.
    "replay/dirty/language/operations.py": (
        """        when=RUNNING,
        moves=lambda layout, args, config: layout.stop_migration(),
    ),
""",
        """    Operation(
        "page_clear_flag",
        (ADDR, CLIENT),
        kind.NOTHING,
        "clear a page's bit for one client",
        weight=6,
        streamed=4,
    ),
""",
    ),
    # The model: what it does, in terms that hold at every step.
    "refmodels/s00_start/operations.py": (
        """    return bool(vm.cpu_physical_memory_get_dirty_flags(addr) & (1 << vm.clients[client]))
""",
        """

@STEP.adds
def page_clear_flag(vm: VM, addr: int, client: int) -> None:
    page_addr = addr & vm.TARGET_PAGE_MASK
    vm.memory_region_reset_dirty(page_addr, vm.TARGET_PAGE_SIZE, vm.clients[client])
""",
    ),
    # The C: its number, which is its place in the table, and its case.
    "series/tree/include/driver.h": (
        "    DIRTY_MIGRATION_STOP,\n",
        "    DIRTY_PAGE_CLEAR_FLAG,       /* a addr, b client */\n",
    ),
    "series/tree/driver.c": (
        "        return op_region(DIRTY_REGION_GET, block->mr, offset, 1, b);\n",
        """    case DIRTY_PAGE_CLEAR_FLAG:
        return op_region(DIRTY_REGION_RESET, block->mr,
                         offset & TARGET_PAGE_MASK, TARGET_PAGE_SIZE, b);
""",
    ),
    # The property that keeps books of who has looked: a reset is a look of its client.
    "replay/dirty/rules/properties.py": (
        '    "region_reset_dirty": _Books.range,\n',
        '    "page_clear_flag": _Books.cleared,\n',
    ),
}
"""For each file a text of it, and what is written behind it."""

CLEARED = '''    def cleared(self, op: Op, record: Record, mask: int) -> str | None:
        """A page's bit is cleared, as by a reset of that page."""
        addr, name = op.args
        size = self.config.page_size
        assert isinstance(addr, int)
        reset = Op("region_reset_dirty", (addr // size * size, size, name))
        return self.range(reset, record, mask)

'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the recipe was followed."""
    root = tmp_path_factory.mktemp("copy")
    for part in ("replay", "refmodels", "series"):
        shutil.copytree(PROJECT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", root)
    for name, (behind, added) in RECIPE.items():
        text = (root / name).read_text()
        assert text.count(behind) == 1, f"{name} no longer holds {behind!r} once"
        (root / name).write_text(text.replace(behind, behind + added))
    books = root / "replay/dirty/rules/properties.py"
    before = "    def flag(self, op: Op"
    assert books.read_text().count(before) == 1
    books.write_text(books.read_text().replace(before, CLEARED + before))
    return root


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the copy, which must be what is imported."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "100"},
    )  # fmt: skip


def evaluate(copy: Path, program: str) -> str:
    done = run(copy, "-c", program)
    assert done.returncode == 0, done.stderr
    return done.stdout


LANGUAGE = """
from replay.dirty.language.domain import is_valid
from replay.dirty.language.files import parse_trace, trace_to_text
from replay.dirty.language.generate import generate
from replay.dirty.language.language import shrink
from replay.dirty.language.trace import Op, Trace

drawn = [t for t in (generate(1, n) for n in range(60)) if has(t)]
assert sum(op.name == NEW for t in drawn for op in t.ops) > 60
for trace in drawn:
    assert parse_trace(trace_to_text(trace)) == trace
small = shrink(drawn[0], has).trace
print(trace_to_text(small), end="")
outside = Trace((Op("ram_alloc", (1,)), Op(NEW, (4096, "vga"))))
assert not is_valid(outside)
"""
HAS = """
NEW = "page_clear_flag"
def has(trace):
    return any(op.name == NEW and op.args[1] != "vga" for op in trace.ops)
"""


def test_it_is_drawn_written_read_and_shrunk(copy: Path) -> None:
    lines = [json.loads(line) for line in evaluate(copy, HAS + LANGUAGE).splitlines()]
    assert lines[1:] == [
        {"op": "ram_alloc", "pages": 1},
        {"op": "page_clear_flag", "addr": 0, "client": "code"},
    ]


def test_its_arguments_are_refused_with_the_cure(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    head = {"format": "dirty-trace/1", "name": "", "config": {"page_bits": 12, "hpratio": 1}}
    head["config"]["tcg"] = True  # type: ignore[index]
    ops = [{"op": "ram_alloc", "pages": 1}, {"op": "page_clear_flag", "addr": 0, "client": "me"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in (head, *ops)))
    done = run(copy, "-m", "replay", "run", str(path), "--step", "0")
    assert done.returncode == 2
    assert "unknown client 'me'; name one of vga, code, migration" in done.stderr


def test_the_check_passes_and_run_shows_it(copy: Path, tmp_path: Path) -> None:
    few = ("--steps", "1-39", "--traces", "60", "--lane", "python")
    done = run(copy, "-m", "replay", "check", *few, "--brief")
    assert done.returncode == 0, done.stdout + done.stderr
    path = tmp_path / "trace.jsonl"
    path.write_text(evaluate(copy, HAS + LANGUAGE))
    shown = run(copy, "-m", "replay", "run", str(path), "--step", "39")
    assert shown.returncode == 0, shown.stderr
    assert "page_clear_flag(addr=0x0, client=code)" in shown.stdout


def test_the_page_and_the_state_machine_know_it(copy: Path) -> None:
    evaluate(copy, (
        "from replay.teach.page.bundle import player_script\n"
        "from replay.teach.page.models import built_in_script\n"
        "assert '  page_clear_flag: [\"addr\", \"client\"],' in player_script()\n"
        "assert 'page_clear_flag(' in built_in_script()\n"
        "from replay.dirty.bench.stateful import drive\n"
        "from refmodels import FOLD; build = FOLD.build\n"
        "made = drive(build(12), build(13), 30, 50, 1)\n"
        "assert any(op.name == 'page_clear_flag' for trace in made for op in trace.ops)\n"
    ))  # fmt: skip


def test_the_c_of_every_step_runs_it_as_the_models_do(copy: Path) -> None:
    done = run(
        copy, "-m", "replay", "check", "--steps", "1-39", "--traces", "60", "--lane", "both",
        "--brief",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    evaluate(copy, (
        "from replay.dirty.native.stream import stream\n"
        "tables = [stream(1, number, 99).table for number in range(9)]\n"
        "assert any(op.name == 'page_clear_flag' for table in tables for op in table)\n"
    ))  # fmt: skip
