"""Rung three: an engine for bounded model checking looks for calls that differ.

Both versions stand in one program (see ``harness``). *Proved at unwinding k* is said only where
the engine finds that all assertions hold and that no loop or recursion goes beyond k, that
no access is wild and nothing overflows that C leaves undefined, and where an assertion in their
place is found to fail. It is C as the engine reads it, for x86-64; buffers have few elements.

What the engine finds to differ is no difference: it is a trace that the libraries are asked.
"""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from replay.repo.calls import Call, CallTrace, Value
from replay.repo.prove.called import Called
from replay.repo.prove.engines import Answer, Engine, Program, Said
from replay.repo.prove.enumerating import Libraries
from replay.repo.prove.harness import Harness, Slot, Unfit, harness
from replay.repo.prove.proof import NotProved, Proved, Rung
from replay.repo.prove.sources import Sources

UNWINDINGS: Final = (10, 36, 70)
LIMIT: Final = 15.0
"""Seconds for one answer, and ``WHOLE`` for all of a function."""
WHOLE: Final = 45.0
MODELLED: Final = frozenset((
    "memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "strncmp", "strcpy", "strchr",
    "abs", "labs", "fabs", "fabsf", "__stack_chk_fail", "__memcpy_chk", "__memset_chk",
    "__memmove_chk", "__strcpy_chk",
))  # fmt: skip
"""Functions of the C library that engines know, and that do nothing but what they return."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a function is checked with."""

    engine: Engine
    sides: tuple[Sources, Sources]
    both: Libraries


def checked(called: Sequence[Called], bench: Bench) -> Proved | NotProved:
    """Prove a function by each way to call it."""
    reached = bench.both.reached(called[0].function)
    if isinstance(reached, str):
        return NotProved(reached)
    outside = (reached[0].outside | reached[1].outside) - MODELLED
    if outside:
        return NotProved(f"it leads to {', '.join(sorted(outside))} of other libraries")
    variables = sorted(reached[0].written.keys() | reached[1].written.keys())
    old, new = (side.contents for side in bench.both.leading)
    starts = [name for name in variables if old.get(name) != new.get(name)]
    if starts:
        return NotProved(f"{starts[0]} is not there on both sides, or starts as something else")
    proofs = []
    deadline = time.monotonic() + WHOLE
    for way in called:
        found = _way(way, bench, variables, deadline)
        if isinstance(found, NotProved):
            return found
        proofs.append(found)
    return proofs[-1]


def _way(
    way: Called, bench: Bench, variables: Sequence[str], deadline: float
) -> Proved | NotProved:  # fmt: skip
    """Any arguments first; those of the binding's ranges, where that is not enough."""
    found: Proved | NotProved = NotProved("no time is left")
    before: Harness | None = None
    for narrow in (False, True):
        try:
            made = harness(way, bench.sides, variables, narrow)
        except Unfit as error:
            return NotProved(str(error))
        if before is not None and made.files == before.files:
            break
        before = made
        found = _asked(way, bench, made, deadline)
        if isinstance(found, Proved):
            break
    return found


def _asked(way: Called, bench: Bench, made: Harness, deadline: float) -> Proved | NotProved:
    with tempfile.TemporaryDirectory(prefix="replay-prove-") as place:
        folder = Path(place)
        for name, text in made.files.items():
            (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
        said = Said(Answer.NONE, "no time is left")
        program = Program(folder, tuple(sorted(made.files)), 0)
        for unwind in UNWINDINGS:
            left = min(LIMIT, deadline - time.monotonic())
            if left <= 0:
                return NotProved("no time is left")
            program = replace(program, unwind=unwind)
            said = bench.engine.holds(program, left)
            if said.answer is not Answer.UNWIND:
                break
        if said.answer is Answer.FAILS:
            why = f"{bench.engine.text} finds a violation: {said.text}"
            return NotProved(why, _trace(way, made, dict(said.values)))
        if said.answer is Answer.UNWIND:
            return NotProved(f"a loop or recursion goes beyond {program.unwind} turns")
        if said.answer is Answer.NONE:
            return NotProved(f"{bench.engine.text} gives up: {said.text}")
        return _sure(way, bench, made, program, max(deadline - time.monotonic(), 1.0))


def _sure(
    way: Called, bench: Bench, made: Harness, program: Program, left: float
) -> Proved | NotProved:  # fmt: skip
    """The proof of what holds, if it says something and nothing in it is undefined."""
    wraps = all(side.wraps for side in bench.sides)
    said = bench.engine.reaches(program, min(LIMIT, left), wraps)
    if said.answer is Answer.FAILS:
        return NotProved(f"equal, unless where C leaves it undefined: {said.text}")
    if said.answer is not Answer.HOLDS:
        why = said.text or "what it compares is never reached"
        return NotProved(f"the harness asserts nothing: {why}")
    given = [*made.assumptions]
    if _converts(way, bench):
        given.append("no floating number is converted to an integer that cannot hold it")
    text = f"proved at unwinding {program.unwind} by {bench.engine.text}"
    return Proved(Rung.BOUNDED, text, tuple(dict.fromkeys(given)), made.bounded)


def _converts(way: Called, bench: Bench) -> bool:
    """Whether a floating number becomes an integer on either side."""
    reached = bench.both.reached(way.function)
    return not isinstance(reached, str) and any(one.converts for one in reached)


# --- from an engine's values to a trace -------------------------------------------------


def _trace(way: Called, made: Harness, values: Mapping[int, str]) -> CallTrace | None:
    """The call that an engine found, as a trace; None where the binding knows no such call."""
    op = way.operation
    if op is None or op.draft.observer or op.kind_made or any(p.kind for p in op.given):
        return None
    slots = {slot.name: slot for slot in made.slots}
    found: list[Value] = []
    for param in op.given:
        slot = slots.get(param.name)
        value = None if slot is None else _value(param.role, slot, made.codes, values)
        if value is None:
            return None
        found.append(value)
    return (Call(op.name, tuple(found)),)


def _value(
    role: str, slot: Slot, codes: Sequence[str], values: Mapping[int, str]
) -> Value | None:  # fmt: skip
    raw = [_bytes(values.get(number, "0"), codes[number]) for number in slot.values]
    if not slot.code:
        code = codes[slot.values[0]]
        if code[0] == "f":
            (number,) = struct.unpack("<f" if code == "f4" else "<d", raw[0])
            return repr(number)
        return int.from_bytes(raw[0], "little", signed=code[0] == "i")
    if slot.count is not None:
        raw = raw[: int(values.get(slot.count, "0").replace(" ", "").replace("?", "0"), 2)]
    data = b"".join(raw)
    return data.decode("latin-1") if role == "string" else data.hex()


def _bytes(bits: str, code: str) -> bytes:
    size = 1 if code == "c" else int(code[1:])
    plain = bits.replace(" ", "").replace("?", "0") or "0"
    return (int(plain, 2) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
