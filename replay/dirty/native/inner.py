"""The inner API of a step as operations of its driver, so that it can be called directly.

A tree gets one more operation for each function that series.toml declares, and some that
tell what no function does: the clients' numbers, how long the store is, what a bitmap
holds that was extended. The code of the series stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from replay.build.errors import BuildError
from replay.dirty.rules.api import PREFIX
from replay.series.declared import Series, name_of

DRIVER: Final = "driver.c"
ALLOCATOR: Final = "util/alloc.c"
FIRST: Final = 1000
"""The number of the first operation that is such a call."""

HOOK: Final = "    /* These have no address. */\n"
RUN: Final = "/* Run one operation;"
EXTEND: Final = "bitmap_zero_extend"
EXTENDED: Final = "zero_extended"
"""The call that makes a bitmap, extends it with the former, and tells what is in it."""

SPLIT: Final = 19
"""The step from which on the store is three bitmaps."""

OWN: Final = ("store_room", "clients_are", EXTENDED)
"""Calls that are no function's: how long the store is, the clients' numbers, the above."""

ARGUMENT: Final = {
    "addr": "addr", "start": "addr", "length": "length", "end": "addr + length",
    "dirty_flag": "(int)(1u << about[0])", "dirty_flags": "(int)(1u << about[0])",
    "client": "about[0]", "enable": "about[1]", "pages": "about[2]",
    "bitmap": "(unsigned long *)(about + 3)",
}  # fmt: skip
"""What a parameter gets, by its name."""

CODE: Final = """
static int64_t call_inner(const int64_t op[4], const uint64_t *words)
{{
    const uint64_t *about = words + op[3];
    const ram_addr_t addr = op[1];
    const ram_addr_t length = op[2];
    int64_t ret = DIRTY_NONE;

    switch (op[0] - {first}) {{
{cases}
    default:
        return REFUSED;
    }}
    (void)about;
    (void)addr;
    (void)length;
    guard_wipe(GUARD_SIZE);
    return ret;
}}
"""

CONSTANTS: Final = """\
        ret = DIRTY_MEMORY_VGA | DIRTY_MEMORY_CODE << 8 | DIRTY_MEMORY_MIGRATION << 16;
#ifdef DIRTY_MEMORY_NUM
        ret |= DIRTY_MEMORY_NUM << 24;
#endif"""

EXTENDING: Final = """\
    {
        size_t had = DIV_ROUND_UP(addr, 64);
        unsigned long *map = g_renew(unsigned long, NULL, had);

        for (size_t i = 0; i < had; i++) {
            map[i] = about[3 + i];
        }
        map = bitmap_zero_extend(map, addr, length);
        ret = array_size(map);
        for (size_t i = 0; i < array_size(map) / 8; i++) {
            ret = mix(ret, map[i]);
        }
        ret &= INT64_MAX;
        map = g_renew(unsigned long, map, 0);
    }"""

SIZE: Final = """
/* What an array was asked to hold, in bytes. */
size_t array_size(const void *mem);

size_t array_size(const void *mem)
{
    const unsigned char *data = mem;

    return mem ? ((const Array *)(data - offsetof(Array, data)))->size : 0;
}
"""


@dataclass(frozen=True, slots=True)
class Inner:
    """A function of the inner API at one step.

    ``valued``: whether it returns something; ``parameters`` by their names.
    """

    name: str
    parameters: tuple[str, ...]
    valued: bool

    @property
    def new(self) -> tuple[str, ...]:
        """The parameters, as drawing a call wants them."""
        return self.parameters

    @property
    def takes_client(self) -> bool:
        """Whether a client's number is one of its parameters."""
        return "client" in self.parameters


@dataclass(frozen=True, slots=True)
class InnerApi:
    """What can be called directly at a step.

    ``names`` are all calls in the order of their numbers: two of OWN, the functions, and
    the third of OWN where there is bitmap_zero_extend.
    """

    step: int
    functions: tuple[Inner, ...]
    names: tuple[str, ...]


def inner_api(series: Series, step: int) -> InnerApi:
    """The declared API of a step, as far as its functions can be called by themselves."""
    declared = {name_of(prototype): prototype for prototype in series.api(step)}
    functions = []
    for name, prototype in sorted(declared.items()):
        names = tuple(re.findall(r"(\w+)\s*[,)]", prototype.partition("(")[2]))
        if name.startswith(PREFIX) and set(names) <= set(ARGUMENT):
            functions.append(Inner(name, names, not prototype.startswith("void ")))
    last = (EXTENDED,) if EXTEND in declared else ()
    return InnerApi(step, tuple(functions), (*OWN[:2], *(f.name for f in functions), *last))


def with_calls(files: Mapping[str, bytes], series: Series, step: int) -> dict[str, bytes]:
    """A step's tree whose driver can call the inner API.

    Raises:
        BuildError: the tree has another driver.
    """
    driver = files.get(DRIVER, b"").decode("utf-8", "replace")
    if driver.count(HOOK) != 1 or driver.count(RUN) != 1 or ALLOCATOR not in files:
        raise BuildError(f"the tree's {DRIVER} is not this version's: no calls can be added to it")
    hook = f"    if (op[0] >= {FIRST}) {{\n        return call_inner(op, words);\n    }}\n"
    declared = "static int64_t call_inner(const int64_t op[4], const uint64_t *words);\n"
    text = driver.replace(RUN, declared + RUN).replace(HOOK, hook + HOOK)
    headers = sorted(path for path in files if path.startswith("include/exec/"))
    includes = "".join(f'#include "{path.removeprefix("include/")}"\n' for path in headers)
    includes += '#include "qemu/bitmap.h"\nsize_t array_size(const void *mem);\n'
    text += includes + CODE.format(first=FIRST, cases="\n".join(_cases(inner_api(series, step))))
    return {
        **files,
        DRIVER: text.encode(),
        ALLOCATOR: files[ALLOCATOR] + SIZE.encode(),
    }


def _cases(api: InnerApi) -> list[str]:
    store = "dirty_memory[DIRTY_MEMORY_VGA]" if api.step >= SPLIT else "phys_dirty"
    room, clients, extended = OWN
    bodies = {
        room: f"        ret = array_size(ram_list.{store});",
        clients: CONSTANTS,
        extended: EXTENDING,
    }
    for function in api.functions:
        arguments = ", ".join(ARGUMENT[name] for name in function.parameters)
        value = "ret = " if function.valued else ""
        bodies[function.name] = f"        {value}{function.name}({arguments});"
    return [f"    case {i}:\n{bodies[n]}\n        break;" for i, n in enumerate(api.names)]
