"""Direct calls of the inner API in C, against the model of the same step.

What no trace can see - which number a function gives where its callers take a truth
value, whether it checks its arguments, what a function does that nobody calls yet, how
long the store is - is asked of the C as ``replay.dirty.rules.api`` asks it of the models. The model
is the other side here, not the C of the step before, and the prototypes are those of
series.toml.

A case is the head of a random trace and some calls behind it, in the process apart.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from refmodels import FOLD
from refmodels.machine import RAMBlock
from replay.dirty.language.domain import Layout, follow, is_valid
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.model import Record, Run, Visible
from replay.dirty.machine.run import PythonModel
from replay.dirty.native.encode import Batch, encode
from replay.dirty.native.inner import EXTENDED, FIRST, OWN, InnerApi, inner_api
from replay.dirty.native.session import Session
from replay.dirty.rules.api import draw_call
from replay.series.declared import Series

CASE: Final = Profile(ops=12, leaving=0.0, small_words=0.0)
MOST_CALLS: Final = 6


# --- cases --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallCase:
    """The head of a trace with calls behind it.

    Attributes:
        trace: as the model runs it: calls are operations named as the function.
        head: the operations before the first call.
        rows: (number of the call, two numbers, words) of each call, for the C.
    """

    trace: Trace
    head: int
    rows: tuple[tuple[int, int, int, tuple[int, ...]], ...]


def draw_case(api: InnerApi, machine: type[Any], seed: int, number: int) -> CallCase:
    """The case with this number; the same seed and number give the same case."""
    rng = random.Random(f"calls/{seed}/{api.step}/{number}")
    trace = generate(rng.getrandbits(32), 0, CASE)
    head = rng.randrange(1, len(trace.ops) + 1)
    ops = trace.ops[:head] if rng.random() < 0.7 else _blocks_come_and_go(rng, trace)
    trace, head = trace.with_ops(ops), len(ops)
    names = api.names
    functions = {function.name: function for function in api.functions}
    vm = machine(trace.config.page_bits, trace.config.hpratio, trace.config.tcg, 64, False)
    vm.blocks = _blocks(trace)
    calls, rows = list(trace.ops), []
    wanted = list(OWN[:2])
    wanted += [names[rng.randrange(2, len(names))] for _ in range(MOST_CALLS)]
    for name in wanted:
        numbers: tuple[int, int, tuple[int, ...]] = (0, 0, (0, 0, 0))
        args: tuple[Any, ...] = ()
        if name == EXTENDED:
            args = _extension(rng)
            numbers = (args[0], args[1], (0, 0, 0, *args[2]))
        elif name in functions:
            function = functions[name]
            call = draw_call(rng, function, trace, vm, vm.DIRTY_MEMORY_MIGRATION != 3)
            who = call.wrong if call.client is None else vm.clients[call.client]
            args = tuple(call.arguments(vm, function.parameters))
            numbers = (
                call.addr,
                call.length,
                (who, call.enable, len(call.words) * 64, *call.words),
            )
        calls.append(Op(name, args))
        rows.append((FIRST + names.index(name), *numbers))
    return CallCase(
        replace(trace, ops=tuple(calls), name=f"calls-{api.step}-{number}"), head, tuple(rows)
    )


def _blocks_come_and_go(rng: random.Random, trace: Trace) -> tuple[Op, ...]:
    """Blocks that are placed and removed, and placed again where some were removed."""
    page = trace.config.page_size
    if rng.random() < 0.3:
        # The last block goes, and then one is placed in a hole: RAM does not grow by it.
        a, b, c, d = (rng.randrange(1, 80) for _ in range(4))
        return (
            *(Op("ram_alloc", (pages,)) for pages in (a, b, c, d)),
            Op("ram_free", ((a + b + c) * page,)),
            Op("ram_free", (a * page,)),
            Op("ram_alloc", (rng.randrange(1, b + 1),)),
        )
    layout = Layout()
    ops: list[Op] = []
    freed: list[int] = []
    for turn in range(rng.randrange(4, 12)):
        if len(layout.blocks) > 1 and turn % 3 and rng.random() < 0.7:
            first, pages = layout.blocks[rng.randrange(len(layout.blocks))]
            freed.append(pages)
            op = Op("ram_free", (first * trace.config.page_size,))
        else:
            op = Op("ram_alloc", (rng.randrange(1, 80),))
        follow(op, layout, trace.config)
        ops.append(op)
    return (*ops, Op("ram_alloc", (rng.choice([*freed, 9]),)))


def _blocks(trace: Trace) -> list[RAMBlock]:
    """The blocks there are after a trace; whatever the model does, which may be faulty."""
    layout, size = Layout(), trace.config.page_size
    for op in trace.ops:
        follow(op, layout, trace.config)
    return [RAMBlock(first * size, pages * size) for first, pages in layout.blocks]


def _extension(rng: random.Random) -> tuple[int, int, tuple[int, ...]]:
    old = rng.randrange(0, 192)
    words = tuple(rng.getrandbits(64) for _ in range(-(-old // 64)))
    return old, old + rng.randrange(1, 128), words


# --- the two sides ------------------------------------------------------------------


def _mix(digest: int, value: int) -> int:
    digest = (digest ^ value) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    return digest ^ digest >> 32


def _callable(machine: type[Any]) -> type[Any]:
    """A machine that can also be asked what the C's added operations tell."""

    def store_room(vm: Any) -> int:
        return int(vm.store_bytes() // (vm.DIRTY_MEMORY_NUM if hasattr(vm, "dirty_memory") else 1))

    def clients_are(vm: Any) -> int:
        vga, code, migration = vm.clients
        count = getattr(vm, "DIRTY_MEMORY_NUM", 0)
        return int(vga | code << 8 | migration << 16 | count << 24)

    def zero_extended(vm: Any, old: int, new: int, words: tuple[int, ...]) -> int:
        bitmap = vm.new_words(len(words))
        for index, word in enumerate(words):
            bitmap[index] = word
        made = vm.bitmap_zero_extend(bitmap, old, new)
        digest = 8 * len(made)
        for word in made:
            digest = _mix(digest, word)
        return digest & (1 << 63) - 1

    added = {"store_room": store_room, "clients_are": clients_are, EXTENDED: zero_extended}
    return type("Callable", (machine,), {"__slots__": (), **added})


def encode_cases(cases: Sequence[CallCase]) -> Batch:
    """Cases as a batch for the C."""
    heads = encode([case.trace.with_ops(case.trace.ops[: case.head]) for case in cases])
    table, rows, words = array("q"), array("q"), array("Q", heads.words)
    for place, case in enumerate(cases):
        first, count, hpratio, tcg = heads.table[4 * place : 4 * place + 4]
        table.extend((len(rows) // 4, count + len(case.rows), hpratio, tcg))
        rows.extend(heads.rows[4 * first : 4 * (first + count)])
        for number, a, b, about in case.rows:
            rows.extend((number, a, b, len(words)))
            words.extend(about)
    traces = tuple(case.trace for case in cases)
    return Batch(traces, table, rows, words, heads.limit)


@dataclass(frozen=True, slots=True)
class WrongCall:
    """A case in which C and model part: ``index`` the operation, ``text`` what differs."""

    case: CallCase
    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """How many calls were made, and the first case with one that differs."""

    calls: int
    wrong: WrongCall | None = None


def compare_calls(
    series: Series,
    step: int,
    session: Session,
    seed: int,
    numbers: Sequence[int],
    machine: type[Any] | None = None,
) -> Compared:
    """Run cases on the C of a step, built :func:`with_calls`, and on its model.

    Args:
        series: whose API is called.
        step: which of the session's libraries, and which model.
        session: holds the library.
        seed: of the cases.
        numbers: which cases.
        machine: the model's class, if not the step's own.

    Returns how many calls were made, up to the first case in which the two part; and that.

    Raises:
        DomainError: the library was not built with these calls.
    """
    machine = _callable(machine or FOLD.build(step))
    api = inner_api(series, step)
    cases = [draw_case(api, machine, seed, number) for number in numbers]
    which = [(step, place) for place in range(len(cases))]
    runs = session.records(encode_cases(cases), which, in_domain=True)
    made = 0
    for case, run in zip(cases, runs, strict=True):
        model = PythonModel(step, machine).run(case.trace)
        made += max(len(model.records) - case.head, 0)
        parted = _parted(case, model, run)
        if parted:
            return Compared(made, _shortened(step, session, machine, parted))
    return Compared(made)


def _parted(case: CallCase, model: Run, run: Run) -> WrongCall | None:
    heads = case.head
    if model.records[:heads] != run.records[:heads]:
        return None  # no call's doing: what lane "both" is for
    for index, op in list(enumerate(case.trace.ops))[heads:]:
        wanted, got = _record(model, index), _record(run, index)
        if wanted != got:
            said = _said(wanted, got)
            return WrongCall(case, index, f"{op.name}{op.args!r}: {said}")
    return None


LABELS: Final = ("ret", "status", "events", "store", "tlb", "code", "bitmap", "count", "log")
"""The fields of a record, and of what is visible, for a message."""

DEAD: Final = (None,) * len(Visible._fields)


def _said(wanted: Record | None, got: Record | None) -> str:
    """In what C and model part, C first."""
    if wanted is None or got is None:
        return "one of the two had ended before"
    flat = [
        (record.ret, record.status, record.events, *(record.visible or DEAD))
        for record in (wanted, got)
    ]
    pairs = zip(LABELS, *flat, strict=True)
    return "; ".join(f"{n} is {b!r}, {a!r} in the model" for n, a, b in pairs if a != b)


def _record(run: Run, index: int) -> Record | None:
    """A record in which a bool is a number: the C has no third between them."""
    if index >= len(run.records):
        return None
    record = run.records[index]
    return record._replace(ret=int(record.ret)) if isinstance(record.ret, bool) else record


def _shortened(step: int, session: Session, machine: type[Any], found: WrongCall) -> WrongCall:
    """Without the calls and operations that it does not need, as far as that goes."""
    best = _cut(found)
    at = best.index - 1
    while at >= 0:
        case = _without(best.case, at)
        again = _tried(step, session, machine, case) if _valid(case) else None
        best = _cut(again) if again else best
        at = min(at, best.index) - 1
    return best


def _cut(found: WrongCall) -> WrongCall:
    """Without what comes after the operation that differs."""
    case = found.case
    ops = case.trace.ops[: found.index + 1]
    head = min(case.head, len(ops))
    return replace(
        found, case=CallCase(case.trace.with_ops(ops), head, case.rows[: len(ops) - head])
    )


def _without(case: CallCase, at: int) -> CallCase:
    trace = case.trace.with_ops(case.trace.ops[:at] + case.trace.ops[at + 1 :])
    if at < case.head:
        return CallCase(trace, case.head - 1, case.rows)
    place = at - case.head
    return CallCase(trace, case.head, case.rows[:place] + case.rows[place + 1 :])


def _valid(case: CallCase) -> bool:
    """Whether the head is valid, and every call inside a block that is there."""
    head = case.trace.with_ops(case.trace.ops[: case.head])
    if not is_valid(head):
        return False
    blocks = _blocks(head)
    return all(
        op.name in OWN
        or any(b.offset <= addr and addr + size <= b.offset + b.length for b in blocks)
        for op, (_, addr, size, _) in zip(case.trace.ops[case.head :], case.rows, strict=True)
    )


def _tried(step: int, session: Session, machine: type[Any], case: CallCase) -> WrongCall | None:
    (run,) = session.records(encode_cases([case]), [(step, 0)], in_domain=True)
    return _parted(case, PythonModel(step, machine).run(case.trace), run)
