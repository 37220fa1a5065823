"""Generated libraries to compare: many functions, or many bytes.

Each comes twice, the second time with one unit that differs.
"""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.build.compiler import environment, find_compiler
from replay.errors import UsageError

PER_UNIT: Final = 100
"""Functions of a unit."""
STRUCTS: Final = 20
"""Structs of a unit, each with an enum."""
CHANGED: Final = 1
"""The unit that differs."""
FLAGS: Final = ("-O1", "-g", "-fPIC", "-w")

HEADER: Final = "long helper(const char *, unsigned);\nextern long shared[50];\n"
MAIN: Final = """#include "all.h"
long shared[50];
long helper(const char *s, unsigned k) { return s[k & 1]; }
"""
_FUNCTION: Final = """
long u{n}_f{i}(struct u{n}_s{s} *p, enum u{n}_e{s} e, unsigned k)
{{
    if (!p) return helper("u{n}_f{i} %u", k);
    switch (k) {{
    case 0: p->a += {i}; break;
    case 1: p->b[0] -= e * {seed}; break;
    case 2: return u{n}_f{next}((void *)p->next, 0, k - 1) + shared[{i} % 50];
    case 3: p->d *= c{n}[e & 3] + {i}.5; break;
    case 4: p->v.x = helper(p->name, k); break;
    case 5: p->g = k; break;
    default: shared[{i} % 50] += k;
    }}
    return p->a + {i};
}}
"""
_BYTES: Final = '__asm__(".section .rodata\\n.incbin \\"blob\\"\\n.previous");\n'


@dataclass(frozen=True, slots=True)
class Size:
    """What a library is made of.

    Attributes:
        units: of ``PER_UNIT`` functions each.
        bytes: of constant data, beside them.
    """

    units: int
    bytes: int = 0

    @property
    def functions(self) -> int:
        """How many, ``helper`` aside."""
        return self.units * PER_UNIT


def made(folder: Path, size: Size) -> tuple[Path, Path]:
    """Two libraries of a size, built in a folder that is there and empty.

    Raises:
        UsageError: the compiler fails.
        BuildError: there is none.
    """
    (folder / "all.h").write_text(HEADER, encoding="utf-8")
    (folder / "main.c").write_text(MAIN + (_BYTES if size.bytes else ""), encoding="utf-8")
    drawn = random.Random(1)
    with (folder / "blob").open("wb") as blob:
        for at in range(0, size.bytes, 1 << 20):
            blob.write(drawn.randbytes(min(1 << 20, size.bytes - at)))
    for number in range(size.units):
        (folder / f"u{number}.c").write_text(unit(number, 3), encoding="utf-8")
    (folder / "other.c").write_text(unit(CHANGED, 4), encoding="utf-8")
    names = ["main", "other", *(f"u{number}" for number in range(size.units))]
    for at in range(0, len(names), 50):
        _run(folder, *FLAGS, "-c", *(f"{name}.c" for name in names[at : at + 50]))
    paths = []
    for name, left_out in (("before.so", "other"), ("after.so", f"u{CHANGED}")):
        _run(folder, "-shared", "-o", name, *(f"{n}.o" for n in names if n != left_out))
        paths.append(folder / name)
    return paths[0], paths[1]


def unit(number: int, seed: int) -> str:
    """The text of a unit; ``seed`` is a factor in all its functions."""
    text = ['#include "all.h"\n', f"static const double c{number}[4] = {{1.5, 2.5, 3.25, 4}};\n"]
    for s in range(STRUCTS):
        kept = f"u{number}_s{(s + 1) % STRUCTS}"
        text.append(
            f"struct u{number}_s{s} {{ int a; long b[{s % 7 + 1}]; struct {kept} *next; "
            f"char name[{s % 16 + 1}]; double d; union {{ int x; float y; }} v; "
            f"unsigned f : 3, g : 5; }};\n"
            f"enum u{number}_e{s} {{ U{number}_A{s}, U{number}_B{s} = {s + 3} }};\n"
        )
    for i in range(PER_UNIT):
        s = i % STRUCTS
        text.append(
            f"long u{number}_f{i}(struct u{number}_s{s} *, enum u{number}_e{s}, unsigned);\n"
        )
    for i in range(PER_UNIT):
        told = {"n": number, "i": i, "s": i % STRUCTS, "next": (i + 1) % PER_UNIT, "seed": seed}
        text.append(_FUNCTION.format(**told))
    return "".join(text)


def _run(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [find_compiler().path, *words],
        cwd=folder, env=environment(), check=False, text=True, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        first = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise UsageError(f"the compiler failed with {done.returncode}: {first}")
