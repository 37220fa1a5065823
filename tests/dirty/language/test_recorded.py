"""Recordings of real programs: what becomes of an access, and what is said of a bad line."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from replay.dirty.language.domain import validate
from replay.dirty.language.files import parse_trace, trace_to_text
from replay.dirty.language.recorded import read_recording
from replay.dirty.language.trace import Op
from replay.errors import TraceError

FILL = Path(__file__).parents[2] / "vectors" / "fill.lackey"


def written(tmp_path: Path, text: str, name: str = "r.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_recording_of_a_real_program_is_a_valid_trace() -> None:
    found = read_recording(FILL, pages=4, every=40)
    validate(found.trace)
    assert parse_trace(trace_to_text(found.trace)) == found.trace
    assert (found.accesses, found.pages, found.cut) == (324, 7, False)
    names = {op.name for op in found.trace.ops}
    assert names == {"ram_alloc", "translate", "store", "migration_start", "migration_sync",
                     "migration_next"}  # fmt: skip
    assert found.rounds == (324 - 1) // 40


def test_what_valgrind_writes_today_is_read(tmp_path: Path) -> None:
    source = written(tmp_path, "static volatile char a[9000];\n"
                     "int main(void) { for (int i = 0; i < 9000; i += 99) a[i] = 1; return 0; }\n",
                     "p.c")  # fmt: skip
    program, log = tmp_path / "p", tmp_path / "p.lackey"
    subprocess.run(["cc", str(source), "-o", str(program)], check=True)
    subprocess.run(
        ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={log}", str(program)],
        check=True, capture_output=True,
    )  # fmt: skip
    found = read_recording(log, ops=500)
    validate(found.trace)
    assert found.cut and 490 < len(found.trace.ops) <= 500 and found.rounds > 0


def test_each_kind_of_access_becomes_its_operations(tmp_path: Path) -> None:
    text = "address,size,kind\n# a comment\n0x5000,8,store\n0x9ffe,4,S\n20480,1,load\n"
    text += "0x5004,3,modify\n0x5010,4,code\n0x5020,2,I\n0x5030,1,store\n0x5010,4,code\n"
    found = read_recording(written(tmp_path, text), pages=2, every=0)
    assert found.trace.ops == (
        Op("ram_alloc", (2,)),
        Op("store", (0, 4)), Op("store", (4, 4)),
        Op("store", (0x1FFE, 2)),
        Op("store", (4, 2)), Op("store", (6, 1)),
        Op("translate", (0x10,)),
        Op("store", (0x30, 1)),
        Op("translate", (0x10,)),
    )  # fmt: skip
    assert (found.accesses, found.pages, found.rounds) == (8, 2, 0)


def test_a_round_takes_as_many_pages_as_were_written_to(tmp_path: Path) -> None:
    text = "".join(f"{page << 12:#x},4,store\n" for page in (7, 3, 7, 9, 3, 3))
    found = read_recording(written(tmp_path, text), pages=2, every=2)
    assert [op.name for op in found.trace.ops] == [
        "ram_alloc", "store", "store", "migration_start", "migration_next", "migration_next",
        "store", "store", "migration_sync", "migration_next", "store", "store",
    ]  # fmt: skip
    # The third page comes to lie on the first.
    assert [op.args[0] for op in found.trace.ops if op.name == "store"] == [
        0, 4096, 0, 0, 4096, 4096,
    ]  # fmt: skip
    assert found.pages == 3


def test_compressed_and_plain_recordings_are_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "fill.gz"
    packed.write_bytes(gzip.compress(FILL.read_bytes()))
    assert read_recording(packed).trace == read_recording(FILL).trace


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("I  00401038,1\nhello world\n", 2, "record anew with --log-file"),
        (" S 1000,0\n", 1, "size is 0"),
        ("0x10,4,store\n0x10,4,steal\n", 2, "kind 'steal' is none of i, l, s, m, code"),
        ("0x10,4\n", 1, "has 2 cells; a line is address,size,kind"),
        ("0x10,4,store\nten,4,store\n", 2, "address 'ten' is no number; write it as in 4096"),
        ("0x10,9999,store\n", 1, "an access has 1 to 4096 bytes"),
        ("-1,4,store\n", 1, "no address of 64 bits"),
        ("==1== Lackey\n\n# nothing\n", 1, "there is no access in it; record with valgrind"),
        ("0x10,4,store\n\xff\n", 2, "this line is no text"),
        ("", None, "the file is empty"),
    ],
)
def test_a_bad_line_is_one_message(tmp_path: Path, text: str, line: int | None, said: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TraceError, match=said) as raised:
        read_recording(path)
    assert (raised.value.path, raised.value.line) == (path, line)
