"""Rung two: all arguments, or all states that calls lead to, run on the two libraries.

A function that keeps nothing from one call to the next, has numbers for arguments and leads
to no other library is called with all of them, as many as :data:`MOST`. Where functions keep
something in variables of the library, they are called in every state of these that calls lead
to, from that behind loading on, until no new state comes: then the two libraries do the same
on call sequences of any length. Sequences up to a length alone are no proof here.

What is run are the libraries of the user's build, so nothing is taken for granted of C. The
ranges are those of the types, or where these are too large, those of the binding, and they are
part of the proof. Room for results holds the same on both sides before a call. A process of
its own runs all: what ends it, or takes too long, means no proof. What lies on the stack
behind a call differs between the sides, so that one who reads what nobody wrote is seen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from replay.build.command import Commands
from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.build.output import Kept
from replay.repo.calls import Call, CallTrace
from replay.repo.prove.called import NUMBERS, Called
from replay.repo.prove.leading import Leading, Reached
from replay.repo.prove.plans import MOST, ROOM, Plan, Regions
from replay.repo.prove.proof import NotProved, Proved, Rung

STATEFUL: Final = 4096
"""Values of an argument, all of its type, where there are states; of more, the binding's."""
LIMIT: Final = 90.0
"""Seconds that all calls may take."""
SPACE: Final = 4 << 30
"""Bytes of address space."""
PURE: Final = frozenset((
    "memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "strncmp", "strcpy", "abs",
    "labs", "__stack_chk_fail", "__memcpy_chk", "__memset_chk", "__memmove_chk", "fabs", "fabsf",
    "floor", "floorf", "ceil", "ceilf", "trunc", "truncf", "round", "roundf",
))  # fmt: skip
"""Functions of other libraries that keep nothing, errno neither."""
EQUAL: Final = 40
_LOADER: Final = frozenset(("frame_dummy", "__do_global_dtors_aux"))
"""Functions that every library has, which the loader calls."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """The two sides of a pair.

    Attributes:
        paths: their files.
        leading: what their functions lead to.
        setup: the functions that set them up.
        commands: runs what calls them.

    """

    paths: tuple[Path, Path]
    leading: tuple[Leading, Leading]
    setup: tuple[str, ...] = ()
    commands: Commands = field(default_factory=Commands, compare=False)

    def reached(self, function: str) -> tuple[Reached, Reached] | str:
        """What a function leads to on both sides; a text says why that is not known."""
        found = [side.reached(function) for side in self.leading]
        old, new = found
        if old is None or new is None:
            return "it is not on both sides"
        unknown = old.unknown or new.unknown
        return unknown or (old, new)


def enumerated(
    called: Sequence[Called], others: Mapping[str, Sequence[Called] | str], both: Libraries
) -> Proved | NotProved:  # fmt: skip
    """Prove a function by running it.

    Args:
        called: the ways to call it.
        others: those of all functions that both libraries export, itself with them; a text
            says why one is not known.
        both: the libraries.

    """
    reached = both.reached(called[0].function)
    if isinstance(reached, str):
        return NotProved(reached)
    outside = (reached[0].outside | reached[1].outside) - PURE
    if outside:
        return NotProved(f"it leads to {', '.join(sorted(outside))} of other libraries")
    if not reached[0].written and not reached[1].written:
        return _run(Plan(called, MOST, both.setup), both, called[0].function)
    return _stateful(called, others, both)


def _stateful(
    called: Sequence[Called], others: Mapping[str, Sequence[Called] | str], both: Libraries
) -> Proved | NotProved:  # fmt: skip
    """Explore the states of the variables that a function leads to, with all who write them."""
    sharing = _sharing(called[0].function, both)
    if isinstance(sharing, str):
        return NotProved(sharing)
    names, regions = sharing
    ways: list[Called] = []
    for name in names:
        known = others.get(name, "it is not on both sides")
        if isinstance(known, str):
            return NotProved(f"{name} uses the same variables, and {known}")
        ways += known
    return _run(Plan(ways, STATEFUL, both.setup, regions), both, called[0].function)


def _sharing(function: str, both: Libraries) -> tuple[list[str], Regions] | str:
    """The exported functions that share variables with one, and where these are on each side."""
    uses = _uses(both)
    if isinstance(uses, str):
        return uses
    names, more = {function}, {function}
    while more:
        old, new = (_variables(uses, names, side) for side in (0, 1))
        more = {
            name for name, (one, other) in uses.items()
            if one.written.keys() & old or other.written.keys() & new
        } - names  # fmt: skip
        names |= more
    for name in sorted(names):
        outside = (uses[name][0].outside | uses[name][1].outside) - PURE
        if outside:
            return f"{name} leads to {', '.join(sorted(outside))} of other libraries"
    if old & both.leading[0].exported or new & both.leading[1].exported:
        return "a variable of it is exported: whoever uses the library may write it"
    first, second = (
        sorted({place for name in names for place in uses[name][side].written.values()})
        for side in (0, 1)
    )
    every = [size for one in (first, second) for _, size in one]
    if not all(every) or sum(every) > ROOM:
        return "a variable of it has no name, or is too large"
    return sorted(names), (first, second)


def _uses(both: Libraries) -> dict[str, tuple[Reached, Reached]] | str:
    """What each function leads to that both libraries export."""
    for side in both.leading:
        hidden = side.pointed & side.local - _LOADER
        if hidden:
            return f"{min(hidden)} may be called by its address"
    uses = {}
    for name in sorted(both.leading[0].public & both.leading[1].public):
        reached = both.reached(name)
        if isinstance(reached, str):
            return f"what {name} writes is not known: {reached}"
        uses[name] = reached
    return uses


def _variables(
    uses: Mapping[str, tuple[Reached, Reached]], names: Iterable[str], side: int
) -> frozenset[str]:
    return frozenset(variable for name in names for variable in uses[name][side].written)


def _run(plan: Plan, both: Libraries, function: str) -> Proved | NotProved:
    """Compile the program of a plan, and run it."""
    if plan.problem:
        return NotProved(plan.problem)
    source = resources.files(__package__).joinpath("enumerate.c").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="replay-prove-") as folder:
        place = Path(folder)
        (place / "enumerate.c").write_text(source, encoding="utf-8")
        room = f"#define ROOM {_room(plan.ways)}\n"
        (place / "plan.h").write_text(plan.text(), encoding="utf-8")
        (place / "room.h").write_text(room, encoding="utf-8")
        try:
            compiler = find_compiler().path
        except BuildError as error:
            return NotProved(str(error))
        words = [compiler, "-O2", "-w", "-std=gnu11", "-include", "room.h", "-o", "run",
                 "enumerate.c", "-ldl"]  # fmt: skip
        made = both.commands.run(words, place, environment(), LIMIT, Kept(1 << 12))
        if made.status:
            return NotProved(f"the program that runs it does not compile: {made.output[:200]}")
        paths = [os.fspath(path.resolve()) for path in both.paths]
        keep = Kept(0, 400)
        words = ["./run", *paths]
        ended = both.commands.run(words, place, environment(), LIMIT, keep, SPACE)
    last = ended.output.strip().rpartition("\n")[2].split()
    return _verdict(plan, function, ended.status, last, ended.in_time)


def _room(ways: Sequence[Called]) -> int:
    """Bytes of results of one call."""
    outs = max(
        sum((arg.param.high + 15) // 16 * 16 for arg in way.args if arg.role == "out" and arg.param)
        for way in ways
    )
    texts = any(way.returns.kind == "pointer" for way in ways)
    return 16 + outs + (1040 if texts else 0)


def _verdict(
    plan: Plan, function: str, status: int, last: Sequence[str], in_time: bool
) -> Proved | NotProved:  # fmt: skip
    if not in_time:
        return NotProved(f"the calls did not end within {LIMIT:g} s")
    if status == EQUAL and last[:1] == ["equal"]:
        calls, states = map(int, last[1:])
        if plan.regions is None:
            return Proved(Rung.RANGES, f"proved on these ranges: {plan.ranges} ({calls} calls)")
        said = f"proved on these ranges: {plan.ranges}; in all {states} states that calls lead to"
        return Proved(Rung.RANGES, f"{said} ({calls} calls)")
    if status == EQUAL + 1 and len(last) == 4:
        way, index = int(last[1]), int(last[2])
        return NotProved("a call differs", None if plan.regions else _trace(plan, way, index))
    why = " ".join(last) or f"the process ended with status {status}"
    if status == EQUAL + 2:
        why = f"{last[1]} calls lead to {last[2]} states, and to more"
    elif status < 0:
        why = f"a call of {function} ended the process by signal {-status}"
    return NotProved(why)


def _trace(plan: Plan, number: int, index: int) -> CallTrace | None:
    """The one call of a number, as a trace; None where the binding knows no such call."""
    way = plan.ways[number]
    if way.operation is None or way.operation.draft.observer:
        return None
    left = iter(plan.domains[number])
    values: dict[str, int] = {}
    for arg in way.args:
        if arg.shape.kind in NUMBERS:
            domain = next(left)
            values[arg.name] = domain[index % len(domain)]
            index //= len(domain)
    given = way.operation.given
    if any(one.name not in values for one in given):
        return None
    return (Call(way.operation.name, tuple(values[one.name] for one in given)),)
