"""Two disassemblies side by side: what is marked is what changed, and nothing else."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from elf_builds import Build
from hypothesis import given
from hypothesis import strategies as st

from replay import elf
from replay.cli import main
from replay.elf import instructions
from replay.elf.alignment import aligned

SOURCE = """
extern int ext(int), other(int);
static int first, counter;
int changed(int a)
{
    int s = 0;
    for (int i = 0; i < a; i++) {
        s += ext(i) * 3;
        @
        if (s > 100)
            s -= counter;
    }
    return s;
}
int same(int a) { return ext(a) + counter; }
double half(double x) { return x * #; }
"""
FLAGS = ["-O1", "-g", "-fPIC"]


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["elf", *map(str, words)])


def pair(build: Build, added: str, number: str, *flags: str) -> tuple[Path, Path]:
    texts = (
        SOURCE.replace("@", what).replace("#", n) for what, n in (("", "0.5"), (added, number))
    )
    first, second = (build(text, *FLAGS, *flags) for text in texts)
    return first, second


def codes(a: Path, b: Path) -> dict[str, elf.FunctionCode]:
    found = elf.disassemble(a, b, elf.compare(a, b))
    return {function.before: function for function in found.functions}


@pytest.mark.parametrize("flags", [["-c"], ["-c", "-ffunction-sections"], ["-shared"]])
def test_what_was_inserted_is_marked_and_what_only_moved_is_not(
    build: Build, flags: list[str]
) -> None:
    a, b = pair(build, "other(7);", "0.5", *flags)
    found = codes(a, b)
    assert set(found) == {"changed"}
    rows = found["changed"].rows
    marks = [row.mark for row in rows]
    assert marks.count(">") == 2, "a number and a call"
    assert set(marks) == {" ", ">"}, "branches over what was inserted lead to the same place"
    call = next(
        row.after for row in rows if row.mark == ">" and row.after and "other" in row.after.text
    )
    assert call.place == "unit.c:9"
    for side in ("before", "after"):
        lines = [line for row in rows if (line := getattr(row, side)) is not None]
        assert [line.offset for line in lines] == sorted(line.offset for line in lines)
        assert lines[0].offset == 0
        ends = [line.offset + len(line.code) for line in lines]
        assert ends[:-1] == [line.offset for line in lines[1:]], "no byte is left out"


ASSEMBLY = """asm(".globl f\\n.type f,@function\\nf: cmp $1,%edi\\nje TO\\nadd $5,%eax\\n#"
"1: imul $7,%eax,%eax\\n2: ret\\n.size f,.-f");"""


def assembled(build: Build, target: str, between: str) -> Path:
    return build(ASSEMBLY.replace("TO", target).replace("#", between), "-c")


def test_a_branch_that_leads_elsewhere_is_marked(build: Build) -> None:
    rows = codes(assembled(build, "1f", ""), assembled(build, "2f", ""))["f"].rows
    marked = [row for row in rows if row.mark != " "]
    assert [row.mark for row in marked] == ["|"]
    assert marked[0].before is not None
    assert marked[0].before.offset == 3


def test_a_branch_that_became_longer_and_leads_to_the_same_is_no_change(build: Build) -> None:
    b = assembled(build, "1f", ".skip 200,0x90\\n")
    rows = codes(assembled(build, "1f", ""), b)["f"].rows
    assert [row.mark for row in rows].count(">") == 200
    assert {row.mark for row in rows} == {" ", ">"}
    branch = rows[1]
    assert branch.before is not None
    assert branch.after is not None
    assert (len(branch.before.code), len(branch.after.code)) == (2, 6)


def test_a_reference_to_something_else_is_marked_and_named(build: Build) -> None:
    a, b = pair(build, "", "0.25", "-c")
    rows = codes(a, b)["half"].rows
    marked = [row for row in rows if row.mark != " "]
    assert [row.mark for row in marked] == ["|"]
    assert marked[0].before is not None
    assert marked[0].after is not None
    assert marked[0].before.text.endswith("# 0.5")
    assert marked[0].after.text.endswith("# 0.25")


def test_source_text_is_shown_unless_it_is_newer_than_the_build(build: Build) -> None:
    a, b = pair(build, "other(8);", "0.5", "-c")
    text = call("compare", a, b, "--code").stdout
    assert "unit.c:9  other(8);" in text
    source = b.parent / "unit.c"
    later = b.stat().st_mtime + 100
    os.utime(source, (later, later))
    text = call("compare", a, b, "--code").stdout
    assert "unit.c:9  other(8);" not in text
    assert f"no source text of {source}: newer than" in text
    source.unlink()
    done = call("compare", a, b, "--code")
    assert done.exit_code == 1
    assert "unit.c:9" in done.stdout


def test_without_capstone_bytes_are_shown_and_the_extra_is_named(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair(build, "other(9);", "0.5", "-c")
    monkeypatch.setattr(instructions, "capstone", lambda: None)
    monkeypatch.setattr("replay.elf.disassembly.capstone", lambda: None)
    instructions._engine.cache_clear()
    try:
        text = call("compare", a, b, "--code").stdout
    finally:
        instructions._engine.cache_clear()
    assert "pip install 'replay-series[elf]'" in text
    assert [line for line in text.splitlines() if line.startswith(">") and "e8 00 00 00 00" in line]


def test_with_capstone_instructions_are_in_words(build: Build) -> None:
    a, b = pair(build, "other(10);", "0.5", "-c")
    text = call("compare", a, b, "--code").stdout
    assert "call other" in text
    assert "pip install" not in text


def test_code_in_json_has_all_rows(build: Build) -> None:
    a, b = pair(build, "other(11);", "0.25", "-c")
    values = json.loads(call("compare", a, b, "--code", "--json").stdout)["code"]
    found = codes(a, b)
    assert {f["before"]: len(f["rows"]) for f in values["functions"]} == {
        name: len(function.rows) for name, function in found.items()
    }
    assert "code" not in json.loads(call("compare", a, b, "--json").stdout)
    only = json.loads(call("compare", a, b, "--code", "--json", "--function", "half").stdout)
    assert [f["before"] for f in only["code"]["functions"]] == ["half"]


def test_equal_files_have_no_code_to_show(build: Build) -> None:
    a, _ = pair(build, "", "0.5", "-c")
    done = call("compare", a, a, "--code")
    assert done.exit_code == 0
    assert "note: no function that is in both differs in its code" in done.stdout


KEYS = st.lists(st.integers(0, 6), max_size=40)


@given(KEYS, KEYS)
def test_an_alignment_is_in_order_and_of_equal_keys(a: list[int], b: list[int]) -> None:
    pairs = aligned(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    for (i, j), (x, y) in pairwise(pairs):
        assert i < x
        assert j < y


@given(KEYS, st.data())
def test_what_was_taken_out_of_a_list_leaves_the_rest_aligned(
    a: list[int], data: st.DataObject
) -> None:
    distinct = [(key, number) for number, key in enumerate(a)]
    kept = [key for key in distinct if data.draw(st.booleans())]
    assert len(aligned(distinct, kept)) == len(kept)
    assert aligned(a, a) == [(i, i) for i in range(len(a))]
