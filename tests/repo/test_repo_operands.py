"""What code compares while it runs is seen and drawn; and other differences that hide well."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from userrepo import UserRepo, cli

from replay.elf.compares import MEMORY, NONE, PLACE, REGISTER, Operand, compares
from replay.repo.binding import Interface
from replay.repo.bindingfile import parse_binding
from replay.repo.bound import bind
from replay.repo.calls import Call, CallTrace
from replay.repo.checking import Checker
from replay.repo.drafting import draft
from replay.repo.mining import Constants
from replay.repo.operands import operands
from replay.repo.resolving import resolve
from replay.repo.shapes import read_shape
from replay.repo.targets import Target

HIDDEN = """\
#include <stdint.h>
#include <stdlib.h>
static int64_t table8[3]; static int32_t table4[3]; static int16_t table2[3];
static int8_t table1[3]; static double table_d[3]; static float table_f[3];
static volatile uint64_t seed = 88172645463325252u; /* or a compiler works them out */
__attribute__((constructor)) static void fill(void)
{
    uint64_t v = seed;
    for (int i = 0; i < 3; i++) {
        v ^= v << 13; v ^= v >> 7; v ^= v << 17;
        table8[i] = (int64_t)v; table4[i] = (int32_t)v; table2[i] = (int16_t)v;
        table1[i] = (int8_t)(v | 64); table_d[i] = 0.5 + (double)(v >> 40);
        table_f[i] = 0.25f + (float)(v >> 50);
    }
}
#define FIND(T, t, name) \\
    int find_##name(T v) \\
    { for (int i = 0; i < 3; i++) if (t[i] == v) return i + 1; return 0; } \\
    T get_##name(int i) { return t[i]; }
FIND(int64_t, table8, long) FIND(int32_t, table4, int) FIND(int16_t, table2, short)
FIND(int8_t, table1, byte) FIND(double, table_d, double) FIND(float, table_f, float)
static int here;
int where(int v)
{
    intptr_t it = (intptr_t)&here;
    volatile intptr_t other = v;
    return it == other;
}
"""
KINDS = ("long", "int", "short", "byte", "double", "float")


def library(place: Path, compiler: str, level: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "x.c").write_text(HIDDEN)
    words = [compiler, "-g", level, "-fPIC", "-shared", "-o", "libx.so", "x.c"]
    subprocess.run(words, cwd=place, check=True, timeout=60)
    return place / "libx.so"


def target_of(path: Path) -> tuple[Interface, Target]:
    shape = read_shape(path)
    drafted = parse_binding(draft(shape, path.name), "drafted")
    interface = resolve(drafted, [shape], lambda rule, at: True)
    return interface, Target(bind(interface, shape, {}), path, "one")


def seen(path: Path, *names: str, trace: CallTrace) -> Constants:
    _, target = target_of(path)
    with Checker(1.0, 1) as checker:
        return operands(checker, target, names, [trace])


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-Os"])
@pytest.mark.parametrize("compiler", ["cc", "clang"])
def test_both_values_of_a_comparison_are_seen(compiler: str, level: str, tmp_path: Path) -> None:
    """Of each size, signed, in registers and in memory: what the library itself gives."""
    path = library(tmp_path, compiler, level)
    _, target = target_of(path)
    asked = tuple(Call(f"get_{kind}", (i,)) for kind in KINDS for i in range(3))
    with Checker(1.0, 1) as checker:
        with checker.opened(target) as runner:
            run = runner.run(asked)
        given = [json.loads(record)["ret"] for record in run.records]
        for number, kind in enumerate(KINDS):
            value = "0.0" if kind in ("double", "float") else 0
            trace = (Call(f"find_{kind}", (value,)),)
            found = operands(checker, target, [f"find_{kind}"], [trace])
            told = {*map(float, found.ints), *found.floats} - {0.0}  # what the call is given
            wanted = {float(one) for one in given[3 * number : 3 * number + 3]}
            # A vectorised or unrolled loop compares in another way, but what it shows is right.
            assert told, kind
            assert told <= wanted, kind


def test_an_address_is_no_value(tmp_path: Path) -> None:
    path = library(tmp_path, "cc", "-O1")
    assert seen(path, "where", trace=(Call("where", (999,)),)) == Constants((999,))


def test_functions_that_did_not_change_are_not_asked(tmp_path: Path) -> None:
    path = library(tmp_path, "cc", "-O1")
    trace = (Call("find_int", (0,)), Call("find_long", (0,)))
    whole = seen(path, "find_int", "find_long", trace=trace)
    part = seen(path, "find_int", trace=trace)
    assert set(part.ints) < set(whole.ints)


@pytest.mark.parametrize(
    ("code", "size", "one", "other"),
    [
        ("39 d0", 4, Operand(REGISTER, 2), Operand(REGISTER, 0)),
        ("4d 39 c8", 8, Operand(REGISTER, 9), Operand(REGISTER, 8)),
        ("66 3b 46 10", 2, Operand(REGISTER, 0), Operand(MEMORY, 6, offset=16)),
        ("40 38 f7", 1, Operand(REGISTER, 6), Operand(REGISTER, 7)),
        ("3b 05 00 01 00 00", 4, Operand(REGISTER, 0), Operand(MEMORY, PLACE, offset=0x1106)),
        ("48 3b 44 8b f8", 8, Operand(REGISTER, 0), Operand(MEMORY, 3, 1, 4, -8)),
        ("3b 04 25 10 00 00 00", 4, Operand(REGISTER, 0), Operand(MEMORY, NONE, offset=16)),
        ("43 3b 04 a7", 4, Operand(REGISTER, 0), Operand(MEMORY, 15, 12, 4)),
    ],
)
def test_operands_are_read_as_the_processor_does(
    code: str, size: int, one: Operand, other: Operand
) -> None:
    (found,) = compares(bytes.fromhex(code), 0x1000)
    assert (found.address, found.size, found.sides) == (0x1000, size, (one, other))


@pytest.mark.parametrize("code", ["38 fc", "83 f8 05", "85 c0", "c3"])
def test_what_is_not_read_is_left_out(code: str) -> None:
    assert not list(compares(bytes.fromhex(code), 0))


BUILD = "cc -w -g -O1 -shared -fPIC -o lib.so lib.c -lpthread"
BOX = """\
#include <stdlib.h>
struct box { int a, row; };
struct box *box_new(void) { return calloc(1, sizeof(struct box)); }
void box_free(struct box *b) { free(b); }
int box_put(struct box *b, int x) { b->row += b->row < 20; return x + (b->row == 20 ? %s : 0); }
""" + "\n".join(
    f"int box_{name}(struct box *b, int x) {{ b->row = 0; return b->a {how} x; }}"
    for name, how in zip("abcdefgh", ("+=", "-=", "^=", "|=", "&=", "=", "*=", "+"), strict=True)
)
PAIRS = {
    "a value that no code holds": (
        "static unsigned long t; static void fill(void) { for (int i = 0; i < 50; i++)"
        " t = t * 6364136223846793005u + 1442695040888963407u; }\n"
        "int f(unsigned long key) { if (!t) fill(); return key == t ? %s : 0; }", "1", "2",
    ),
    "a long string": (
        "#include <string.h>\nint f(const char *s) { return strlen(s) > 300 ? %s : 0; }",
        "1", "2",
    ),
    "a long buffer": (
        "int f(const unsigned char *p, unsigned n) { unsigned s = 0; for (unsigned i = 0; i < n;"
        " i++) s += p[i]; return n > 200 ? s ^ %s : s; }", "1", "2",
    ),
    "a thread that crashes behind the last call": (
        "#include <pthread.h>\n#include <unistd.h>\n"
        "static void *run(void *p) { usleep(2000); %s; return p; }\n"
        "int f(int n) { pthread_t t; pthread_create(&t, 0, run, 0); pthread_detach(t); return n; }",
        "", "*(volatile int *)0 = 1",
    ),
    "a number in a text": (
        "#include <stdlib.h>\nint f(const char *s) { return atoi(s) == 4711 ? %s : 0; }",
        "1", "2",
    ),
    "a text as a format has it": (
        "#include <stdio.h>\nint f(const char *s) { int y, m, d; return sscanf(s, "
        "\"%%d-%%d-%%d\", &y, &m, &d) == 3 && m > %s; }", "12", "13",
    ),
    "a setting": (
        "#include <stdlib.h>\n#include <string.h>\nint f(const char *s) { const char *e = "
        "strchr(s, '='); return e && !strncmp(s, \"mode\", 4) && atoi(e + 1) > 99 ? %s : 0; }",
        "1", "2",
    ),
    "many calls in a row among eight others": (BOX, "1", "2"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_what_hides_well_is_found(name: str, tmp_path: Path) -> None:
    source, old, new = PAIRS[name]
    repo = UserRepo(tmp_path / "repo")
    repo.commit("old", lib_c=source % old)
    repo.commit("new", lib_c=source % new)
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~1..main", "--library", "lib.so",
        "--build", BUILD, "--json", "--save", tmp_path / "examples",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr


def test_changed_lines_without_code_are_told(tmp_path: Path) -> None:
    """A macro of another file changed the code; of its line there is none to execute."""
    repo = UserRepo(tmp_path / "repo")
    text = '#include "n.h"\nint f(int x) { return x %s ADD; }'
    repo.commit("old", lib_c=text % "+", n_h="#define ADD 4 + 4\n")
    repo.commit("new", n_h="#define ADD 8 + (volatile int){0}\n")
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~1..main", "--library", "lib.so",
        "--build", BUILD.replace("-O1", "-O0"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "    no changed line has code in the library\n" in done.stdout
