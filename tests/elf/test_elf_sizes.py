"""What takes the bytes of a file: all tables add up to the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from elf_builds import Build, run
from elf_craft import Elf, Part
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import elf
from replay.cli import main
from replay.elf.sizes import REST, Amount, SizeRow, cut

SOURCE = """
int table[100] = {1}; int empty[50]; __thread int own = 4; __thread int none[7];
static int helper(int a) { return a * 3; }
int f(int a) { return helper(a) + own + none[a] + @; }
int g(void) { return 1; }
extern int alias(void) __attribute__((alias("g")));
"""
MODES = {
    "object": ["-c", "-g"],
    "object of a section a function": ["-c", "-ffunction-sections", "-fdata-sections"],
    "library": ["-shared", "-fPIC", "-g"],
    "program": ["-nostdlib", "-static", "-Wl,-e,f"],
}


def summed(rows: tuple[SizeRow, ...]) -> tuple[Amount, Amount]:
    before = after = Amount()
    for row in rows:
        before, after = before + row.before, after + row.after
    return before, after


def adds_up(found: elf.Sizes, a: Path | None, b: Path) -> None:
    files = (a.stat().st_size if a else 0), b.stat().st_size
    for rows in (found.sections, found.symbols):
        before, after = summed(rows)
        assert (before, after) == (found.total.before, found.total.after)
        assert (before.file, after.file) == files
    assert all(min(r.before.file, r.after.file) >= 0 for r in (*found.sections, *found.symbols))
    deltas = sum(row.delta for row in found.symbols)
    assert deltas == files[1] - files[0]


@pytest.mark.parametrize("mode", MODES)
def test_sizes_add_up_to_the_file(build: Build, mode: str) -> None:
    a = build(SOURCE.replace("@", "1"), *MODES[mode])
    b = build(SOURCE.replace("@", "g() * table[a]") + "int more[30] = {1};", *MODES[mode])
    adds_up(elf.sizes(a), None, a)
    found = elf.sizes(a, b)
    adds_up(found, a, b)
    rows = {row.name: row for row in found.symbols}
    assert rows["more"].delta == 120
    assert rows["more"].before == Amount()
    assert rows["table"].after == Amount(400, 400)
    assert rows["empty"].after == Amount(0, 200)
    assert rows["own"].after == Amount(4, 4)
    assert rows["none"].after == Amount(0, 28)
    assert rows["f"].delta > 0
    assert ("g" in rows) != ("alias" in rows), "bytes of two names are told once"
    assert abs(found.symbols[0].delta) == max(abs(row.delta) for row in found.symbols)


@settings(max_examples=200, deadline=None)
@given(
    starts=st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.sampled_from([1, 8])), max_size=6
    )
)
def test_parts_that_lie_upon_one_another_are_told_once(
    tmp_path_factory: pytest.TempPathFactory, starts: list[tuple[int, int, int]]
) -> None:
    """Section headers that say anything: every byte of the file is still told exactly once."""
    parts = [Part(f".s{n}", bytes(size % 97), kind) for n, (_, size, kind) in enumerate(starts)]
    raw = bytearray(Elf(parts=parts).build())
    table = int.from_bytes(raw[40:48], "little")
    for number, (start, size, _) in enumerate(starts, 1):
        at, offset = table + 64 * number, start % len(raw)
        raw[at + 24 : at + 32] = offset.to_bytes(8, "little")
        raw[at + 32 : at + 40] = min(size, len(raw) - offset).to_bytes(8, "little")
    path = tmp_path_factory.mktemp("crafted") / "file"
    path.write_bytes(raw)
    adds_up(elf.sizes(path), None, path)


def test_a_table_that_is_not_in_the_file_takes_no_bytes_of_it(tmp_path: Path) -> None:
    raw = bytearray(Elf(parts=[Part(".s", bytes(50))]).build())
    raw[32:40] = (10**6).to_bytes(8, "little")
    raw[54:58] = b"\x38\0\x09\0"
    path = tmp_path / "file"
    path.write_bytes(raw)
    adds_up(elf.sizes(path), None, path)


@given(sizes=st.lists(st.integers(-(10**6), 10**6), max_size=20), most=st.integers(1, 25))
def test_rows_that_are_cut_still_add_up(sizes: list[int], most: int) -> None:
    rows = [SizeRow("s", str(n), Amount(1, 2), Amount(size, 3)) for n, size in enumerate(sizes)]
    kept, others, count = cut(rows, most)
    assert len(kept) + count == len(rows)
    every = (*kept, *([others] if others else []))
    assert summed(every) == summed(tuple(rows))


def test_the_command_shows_totals_and_prints_json(build: Build) -> None:
    a = build(SOURCE.replace("@", "1"), "-c")
    b = build(SOURCE.replace("@", "g()"), "-c")
    done = CliRunner().invoke(main, ["elf", "sizes", str(a), str(b), "--most", "2"])
    assert done.exit_code == 0
    totals = [line.split() for line in done.stdout.splitlines() if line.endswith("  total")]
    assert len(totals) == 2
    assert [int(t.replace(",", "")) for t in totals[0][:2]] == [
        a.stat().st_size, b.stat().st_size
    ]  # fmt: skip
    values = json.loads(CliRunner().invoke(main, ["elf", "sizes", str(a), str(b), "--json"]).stdout)
    assert values["total"]["after"]["file"] == b.stat().st_size
    assert sum(row["delta"] for row in values["symbols"]) == values["total"]["delta"]
    assert {row["name"] for row in values["symbols"]} >= {"f", "helper", None}


def test_a_stripped_file_has_sections_alone_and_its_debug_file_names_the_rest(
    build: Build, tmp_path: Path
) -> None:
    shutil.copy(build(SOURCE.replace("@", "1"), "-shared", "-fPIC", "-g"), tmp_path / "a.so")
    run(["objcopy", "--only-keep-debug", "a.so", "a.debug"], tmp_path)
    run(["strip", "-s", "-o", "s.so", "a.so"], tmp_path)
    run(["objcopy", "--add-gnu-debuglink=a.debug", "s.so"], tmp_path)
    (tmp_path / "far").mkdir()
    (tmp_path / "a.debug").rename(tmp_path / "far" / "a.debug")
    bare = elf.sizes(tmp_path / "s.so")
    assert "helper" not in {row.name for row in bare.symbols}
    named = elf.sizes(tmp_path / "s.so", None, (tmp_path / "far",))
    assert "helper" in {row.name for row in named.symbols}
    adds_up(named, None, tmp_path / "s.so")
    assert REST in {row.name for row in named.symbols}
