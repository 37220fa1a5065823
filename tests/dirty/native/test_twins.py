"""Steps that are the same code once loaded are told from those that are not."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from native.steps import Fault, libraries
from replay.dirty.language.trace import Op, Trace
from replay.dirty.native.encode import encode
from replay.dirty.native.session import session
from replay.dirty.native.twins import BUILD_ID, code_of, twins

PATHS = dict(libraries().paths)
DATA = Path(PATHS[28]).read_bytes()


def written(folder: Path, data: bytes) -> bytes:
    path = folder / "libdirty.so"
    path.write_bytes(data)
    return code_of(str(path))


def test_a_step_is_the_code_of_the_one_before_where_the_patch_only_moves_or_renames() -> None:
    found = twins(libraries().paths)
    assert found[1] == found[2] == found[3] == 0
    assert found[28] == found[29] == 28
    # These deviate, or change what a function does.
    assert all(found[step] == step for step in (19, 27, 30, 34, 36, 37, 38, 39))


def segments() -> Iterator[tuple[int, int]]:
    """(offset, length) of what is loaded."""
    table, size, count = struct.unpack_from("<32xQ14x2H", DATA)
    for at in range(table, table + size * count, size):
        kind, _, offset, _, _, length, _, _ = struct.unpack_from("<2I6Q", DATA, at)
        if kind == 1:
            yield offset, length


def test_a_byte_that_is_loaded_counts(tmp_path: Path) -> None:
    assert written(tmp_path, DATA) == code_of(PATHS[28])
    found = list(segments())
    assert len(found) > 2
    for offset, length in found:
        for at in (offset + length // 2, offset + length - 1):
            changed = bytearray(DATA)
            changed[at] ^= 1
            assert written(tmp_path, bytes(changed)) != code_of(PATHS[28])


def test_the_build_id_and_what_is_not_loaded_do_not_count(tmp_path: Path) -> None:
    changed = bytearray(DATA) + b"more debug information"
    at = changed.index(BUILD_ID) + len(BUILD_ID)
    changed[at : at + 20] = bytes(range(20))
    struct.pack_into("<Q", changed, 40, 12345)
    assert written(tmp_path, bytes(changed)) == code_of(PATHS[28])
    # Where a segment goes does count.
    (table,) = struct.unpack_from("<Q", changed, 32)
    changed[table + 16] ^= 1
    assert written(tmp_path, bytes(changed)) != code_of(PATHS[28])


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02\x01\x01", DATA[:3000], b"text" + DATA])
def test_a_file_that_is_not_understood_is_the_same_as_its_copy_only(
    data: bytes, tmp_path: Path
) -> None:
    first = written(tmp_path, data)
    assert written(tmp_path, data) == first
    assert written(tmp_path, data + b"\0") != first


def test_a_file_that_cannot_be_read_is_only_itself(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert twins([(0, one), (1, two), (2, one)]) == {0: 0, 1: 1, 2: 0}


def test_a_death_is_that_of_all_steps_that_are_the_same_code() -> None:
    flush = "    tlb_flush_range(0, (ram_addr_t)tlb_pages << TARGET_PAGE_BITS);\n"
    dying = Fault("dies", 20, "cputlb.c", flush, "    __builtin_trap();\n", 22).libraries()
    held = session(dying)
    assert held.alike(range(19, 24)) == {19: [19], 20: [20, 21, 22], 23: [23]}
    found = held.digests(encode([Trace((Op("tlb_flush"),)), Trace(())]), range(19, 24))
    assert set(found.deaths) == {(20, 0), (21, 0), (22, 0)}
    assert [found.steps[step][0] == 0 for step in range(19, 24)] == [False, True, True, True, False]
    assert found.steps[21][1] == found.steps[19][1] != 0
