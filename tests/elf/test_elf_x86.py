from __future__ import annotations

import re

import pytest
from elf_builds import Build, run
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.elf.image import Image
from replay.elf.x86 import Instruction, UnknownInstructionError, decode

KNOWN = [
    ("c3", 1, None, False),
    ("e8 04 03 02 01", 5, 0x01020304, True),
    ("eb fe", 2, -2, True),
    ("0f 84 10 00 00 00", 6, 16, True),
    ("66 66 48 e8 ff ff ff ff", 8, -1, True),
    ("48 8d 05 00 01 00 00", 7, 256, False),
    ("8b 15 fc ff ff ff", 6, -4, False),
    ("c7 05 08 00 00 00 01 00 00 00", 10, 8, False),
    ("66 c7 05 08 00 00 00 01 00", 9, 8, False),
    ("48 b8 01 02 03 04 05 06 07 08", 10, None, False),
    ("f6 c1 01", 3, None, False),
    ("f6 d1", 2, None, False),
    ("f7 05 00 00 00 00 01 00 00 00", 10, 0, False),
    ("64 48 8b 04 25 28 00 00 00", 9, None, False),
    ("c5 f8 77", 3, None, False),
    ("c4 e3 79 0f c1 08", 6, None, False),
    ("62 f1 7c 48 10 05 40 00 00 00", 10, 64, False),
    ("0f 1f 84 00 00 00 00 00", 8, None, False),
    ("f3 0f 1e fa", 4, None, False),
    ("a1 08 07 06 05 04 03 02 01", 9, None, False),
    ("c8 10 00 01", 4, None, False),
    ("c7 f8 20 00 00 00", 6, 32, True),
]


@pytest.mark.parametrize(("code", "length", "relative", "branch"), KNOWN)
def test_an_instruction_is_as_long_as_it_is_and_refers_where_it_does(
    code: str, length: int, relative: int | None, branch: bool
) -> None:
    found = decode(bytes.fromhex(code) + b"\xcc" * 8, 0)
    assert found.length == length
    assert (found.relative.value if found.relative else None) == relative
    assert found.branch == branch


def test_numbers_that_may_be_addresses_and_segments_are_told() -> None:
    guard = decode(bytes.fromhex("64488b042528000000"), 0)
    assert guard.segment
    assert [f.value for f in guard.absolute] == [0x28]
    assert [f.value for f in decode(bytes.fromhex("bf10204000"), 0).absolute] == [0x402010]
    assert [f.size for f in decode(bytes.fromhex("48b8" + "00" * 8), 0).absolute] == [8]


@pytest.mark.parametrize(
    "code", ["06", "9a", "62 f4 00 00", "8f e8 78 c2", "0f 04", "40", "48 66 90"]
)
def test_what_is_no_known_instruction_is_refused(code: str) -> None:
    with pytest.raises(UnknownInstructionError):
        decode(bytes.fromhex(code), 0)


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(st.binary(min_size=0, max_size=20))
def test_any_bytes_are_an_instruction_or_refused(code: bytes) -> None:
    try:
        found = decode(code, 0)
    except UnknownInstructionError:
        return
    assert isinstance(found, Instruction)
    assert 1 <= found.length <= min(15, len(code))
    for field in (*found.absolute, *([found.relative] if found.relative else [])):
        assert 0 < field.at < field.at + field.size <= found.length


SOURCE = """
extern int ext(int, ...);
extern double table[64];
int sw(int a) { switch (a) { case 0: return ext(9); case 1: return 7; case 2: return ext(1, 2);
    case 3: return 12; case 4: return ext(a) * 3; case 5: return 99; } return 0; }
void loops(double *a, float *b, int n) { for (int i = 0; i < n; i++) { a[i] = a[i] * 3.25 + b[i];
    table[i & 63] += a[i]; } }
unsigned long bits(unsigned long x, long y) { return __builtin_popcountl(x) + x / y
    + __builtin_ctzl(y) + (x << (y & 63)) + __builtin_bswap64(x) + (unsigned __int128)x * y / 3; }
_Thread_local int counter;
int tls(void) { return counter++; }
long double x87(long double a) { return a * 2.5L + (long)a; }
void copy(char *d, const char *s)
{ __builtin_memcpy(d, s, 200); __builtin_memset(d + 200, 0x5a, 300); }
_Complex double c(_Complex double z) { return z * z; }
short small(short a, char b) { return (short)(a * 31 + b) ^ 0x7abc; }
int cas(int *p) { return __sync_val_compare_and_swap(p, 1, 2) + __atomic_fetch_add(p, 3, 5); }
"""


@pytest.mark.parametrize(
    "flags",
    [
        ["-O0"],
        ["-O2", "-fPIC"],
        ["-O3", "-mavx2", "-mfma", "-mbmi2"],
        ["-O3", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512"],
        ["-Os", "-fcf-protection=full", "-mcmodel=large"],
    ],
)
def test_instructions_are_as_long_as_objdump_says(
    build: Build, compiler: str, flags: list[str]
) -> None:
    made = build(SOURCE, "-c", *flags, compiler=compiler)
    with Image(made) as image:
        text = image.find(".text")
        assert text is not None
        code = image.bytes_of(text)
    shown = run(["objdump", "-d", "-w", "-j", ".text", "--insn-width=16", str(made)], made.parent)
    checked = 0
    for line in shown.splitlines():
        match = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t(.*)", line)
        if match:
            found = decode(code, int(match[1], 16))
            assert found.length == len(bytes.fromhex(match[2])), line
            assert (found.relative is not None and not found.branch) == ("(%rip)" in line), line
            checked += 1
    assert checked > 120
