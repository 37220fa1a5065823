"""Direct calls of the inner API, step against step: what no trace can see.

The callers take an answer as a truth value and never name a client that does not exist,
so a trace cannot tell whether a function gives 4 or 1, or whether it checks its
arguments. Here the functions that two adjacent steps both have are called directly, on
equal machines, with equal meaning: a flag for one is a client for the other, an end is
a start and a length. Answers are compared unless one of the two returns void.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import CLIENTS, Op, Trace
from replay.dirty.machine.moment import Moment, adopt, execute, look
from replay.dirty.machine.run import start
from replay.dirty.rules.laws import LAW_OPS, LAWS
from replay.series.declared import Deviation, Series, StepData, name_of
from replay.series.names import before

PREFIX: Final = "cpu_physical_memory_"

SMALLEST_WRONG: Final = 3
"""DIRTY_MEMORY_NUM from step 14 on: the wrong client that an assertion off by one lets pass."""

WRONG_CLIENTS: Final = (4, 5, 7, 8, 31)
"""Numbers that stand for no client at any step; 8 and 31 are outside a byte."""

AS_OP: Final = {
    f"{PREFIX}set_dirty_range": "region_set_dirty",
    f"{PREFIX}reset_dirty": "region_reset_dirty",
    f"{PREFIX}set_dirty_lebitmap": "kvm_log_sync",
}
"""Functions that do what an operation of the trace language does: its laws hold for them."""


@dataclass(frozen=True, slots=True)
class DirectCall:
    """One call, by meaning: what each role of a parameter stands for.

    ``client`` is a place in CLIENTS, or None with ``wrong`` a number that is no client.
    """

    function: str
    addr: int
    length: int
    client: int | None
    wrong: int
    words: tuple[int, ...]
    enable: bool

    def arguments(self, vm: Any, names: Sequence[str]) -> list[Any]:
        """The arguments as this step's parameters want them."""
        number = self.wrong if self.client is None else vm.clients[self.client]
        roles = {
            "addr": self.addr,
            "start": self.addr,
            "length": self.length,
            "end": self.addr + self.length,
            "dirty_flag": 1 << number,
            "dirty_flags": 1 << number,
            "client": number,
            "enable": self.enable,
            "bitmap": self.words,
            "pages": len(self.words) * vm.BITS_PER_LONG,
        }
        return [roles[name] for name in names]

    def __str__(self) -> str:
        who = f"client {self.wrong}" if self.client is None else CLIENTS[self.client]
        return f"{self.function}(start {self.addr:#x}, length {self.length}, {who})"


ApiLaw: TypeAlias = Callable[[DirectCall, Moment], Moment]
API_LAWS: Final[dict[str, ApiLaw]] = {}


def _law(law: ApiLaw) -> ApiLaw:
    API_LAWS[law.__name__] = law
    return law


@_law
def truth_value(call: DirectCall, made: Moment) -> Moment:
    """Step 9: get_dirty gives 1 for any dirty page, not the mask."""
    if call.function != f"{PREFIX}get_dirty":
        return made
    return replace(made, ret=int(bool(made.ret)))


@_law
def unused_bits_clear(call: DirectCall, made: Moment) -> Moment:
    """Step 11: where a byte is given, only the three clients' bits are set in it."""
    return replace(made, ret=made.ret & 0x0B) if call.function.endswith("_flags") else made


def _aborts(made: Moment) -> Moment:
    return replace(made, ret=None, status="abort")


@_law
def client_asserted(call: DirectCall, made: Moment) -> Moment:
    """Step 15: a number that is no client aborts as soon as one page is looked at."""
    page = 1 << 12
    empty = -(-(call.addr + call.length) // page) <= call.addr // page
    ranged = not call.function.endswith("_flag")
    return made if call.client is not None or (ranged and empty) else _aborts(made)


@_law
def clear_asserts_first(call: DirectCall, made: Moment) -> Moment:
    """Step 20: mask_dirty_range aborts for no client also when the range is empty."""
    wrong = call.client is None and call.function == f"{PREFIX}mask_dirty_range"
    return _aborts(made) if wrong else made


@_law
def get_asserts_first(call: DirectCall, made: Moment) -> Moment:
    """Step 23: get_dirty aborts for no client also when the range is empty."""
    wrong = call.client is None and call.function == f"{PREFIX}get_dirty"
    return _aborts(made) if wrong else made


@_law
def migration_bit_moves(call: DirectCall, made: Moment) -> Moment:
    """Step 14: where a byte is given, bit 3 of it is bit 2."""
    if call.function != f"{PREFIX}clear_dirty_flag":
        return made
    return replace(made, ret=made.ret & ~0x0C | (made.ret >> 3 & 1) << 2)


@dataclass(slots=True)
class ApiResult:
    """What direct calls showed at one step: calls made, deviations shown, first wrong call."""

    calls: int = 0
    shown: dict[str, tuple[int, str]] = field(default_factory=dict)
    wrong: str = ""

    def merge(self, other: ApiResult) -> None:
        """Add what another share of the calls showed."""
        self.calls += other.calls
        for name, (count, example) in other.shown.items():
            have, first = self.shown.get(name, (0, example))
            self.shown[name] = (have + count, first)
        self.wrong = self.wrong or other.wrong


class Callee(Protocol):
    """What drawing a call has to know of a function."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def new(self) -> tuple[str, ...]:
        """Its parameters' names."""
        ...

    @property
    def takes_client(self) -> bool:
        """Whether a client's number is one of them."""
        ...


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    old_name: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    valued: bool

    @property
    def takes_client(self) -> bool:
        return "client" in self.old and "client" in self.new


def common_functions(series: Series, step: int, old: type[Any], new: type[Any]) -> list[_Function]:
    """The functions of the declared API that both steps have, by name.

    Where the step is a rename, the old name and the new one are the same function.
    """
    held = _COMMON.get(new)
    if held is None or (held[0], held[1]) != (step, old) or held[2] is not series:
        held = step, old, series, _common_functions(series, step, old, new)
        _COMMON[new] = held
    return held[3]


_COMMON: WeakKeyDictionary[type[Any], tuple[int, type[Any], Series, Any]] = WeakKeyDictionary()
"""What :func:`common_functions` found last of a machine: it is asked for each trace anew."""


def _common_functions(series: Series, step: int, old: type[Any], new: type[Any]) -> list[_Function]:
    names = {name_of(p) for p in series.api(before(step))} & {name_of(p) for p in series.api(step)}
    pairs = {name: name for name in names} | _renamed(series.step(step))
    found = []
    for name, old_name in sorted(pairs.items()):
        if not name.startswith(PREFIX):
            continue
        a = inspect.signature(getattr(old, old_name))
        b = inspect.signature(getattr(new, name))
        valued = "None" not in (str(a.return_annotation), str(b.return_annotation))
        valued = valued and None not in (a.return_annotation, b.return_annotation)
        found.append(
            _Function(name, old_name, tuple(a.parameters)[1:], tuple(b.parameters)[1:], valued)
        )
    return found


def _renamed(step: StepData) -> dict[str, str]:
    """New name to old name, where a step that says it renames changes nothing else.

    An equal prototype alone is not enough: is_dirty and is_clean have one too.
    """
    if step.kind != "rename":
        return {}
    gone = {_nameless(prototype): name_of(prototype) for prototype in step.removes}
    return {name_of(p): gone[_nameless(p)] for p in step.adds if _nameless(p) in gone}


def _nameless(prototype: str) -> str:
    return prototype.replace(name_of(prototype), "", 1)


def compare_calls(
    series: Series,
    step: int,
    old: type[Any],
    new: type[Any],
    deviations: Sequence[Deviation],
    seed: str,
    calls: int = 12,
) -> ApiResult:
    """DirectCall both steps' functions on equal machines, in the state some trace leaves."""
    result = ApiResult()
    rng = random.Random(f"api/{seed}")
    trace = generate(rng.getrandbits(32), 0, Profile(ops=12, leaving=0.0))
    functions = common_functions(series, step, old, new)
    renumbered = 3 not in (old.DIRTY_MEMORY_MIGRATION, new.DIRTY_MEMORY_MIGRATION)
    while calls > 0 and functions:
        pair = _equal_machines(old, new, trace, rng.randrange(1, 13))
        if pair is None:
            break
        while calls > 0:
            calls -= 1
            function = functions[rng.randrange(len(functions))]
            call = draw_call(rng, function, trace, pair[0], renumbered)
            if not _one_call(pair, function, call, deviations, result):
                break
            if result.wrong:
                return result
    return result


def _equal_machines(
    old: type[Any], new: type[Any], trace: Trace, length: int
) -> tuple[Any, Any] | None:
    a, b = start(old, trace), start(new, trace)
    for name, args in trace.program[:length]:
        if any(execute(vm, name, args).status != "ok" for vm in (a, b)):
            return None
    if look(a).differences(look(b)):
        if old.FIELDS.keys() != new.FIELDS.keys():
            return None
        adopt(a, b)
    return a, b


def draw_call(
    rng: random.Random, function: Callee, trace: Trace, vm: Any, renumbered: bool
) -> DirectCall:
    """A call of a function that fits a machine; its client may be none.

    ``renumbered``: whether number 3 is no client's any more.
    """
    page = trace.config.page_size
    addr, length = _draw_range(rng, page, vm.blocks)
    wrong = function.takes_client and rng.random() < 0.35
    if wrong and rng.random() < 0.4:
        addr, length = addr // page * page, 0
    words = tuple(
        rng.getrandbits(trace.config.word_bits) & rng.getrandbits(trace.config.word_bits)
        for _ in range(rng.randrange(1, 3))
    )
    # Number 3 was MIGRATION once: it is wrong only where both steps have left that behind.
    number = WRONG_CLIENTS[rng.randrange(len(WRONG_CLIENTS))]
    if renumbered and rng.random() < 0.5:
        number = SMALLEST_WRONG
    if "bitmap" in function.new:
        addr = addr // page * page
    return DirectCall(
        function.name,
        addr,
        length,
        None if wrong else rng.randrange(3),
        number,
        words,
        rng.random() < 0.5,
    )


def _draw_range(rng: random.Random, page: int, blocks: Sequence[Any]) -> tuple[int, int]:
    """A range inside a block: (address, length); the empty one where there is no block."""
    if not blocks:
        addr = room = 0
    else:
        block = blocks[rng.randrange(len(blocks))]
        at = rng.randrange(block.length)
        at = at // page * page if rng.random() < 0.5 else at
        addr, room = block.offset + at, block.length - at
    kinds = (0, rng.randrange(1, page), page * rng.randrange(1, 4), room)
    length = min(kinds[rng.randrange(4)], room)
    if rng.random() < 0.3:
        length = page * rng.randrange(3) + 1 - addr % page  # ends one byte into a page
        length = min(length + (page if length <= 0 else 0), room)
    return addr, length


def _one_call(
    pair: tuple[Any, Any],
    function: _Function,
    call: DirectCall,
    deviations: Sequence[Deviation],
    result: ApiResult,
) -> bool:
    """Make one call on both machines; False when they are of no use afterwards."""
    a, b = pair
    before = look(a)
    made = execute(a, function.old_name, tuple(_arguments(call, a, function.old, function.new)))
    did = execute(b, function.name, tuple(_arguments(call, b, function.new, function.old)))
    result.calls += 1
    # An int and a bool of the same truth are the same answer here: C has no third.
    made, did = (
        reply._replace(ret=_plain(reply.ret) if function.valued else None) for reply in (made, did)
    )
    expected, got = look(a, *made), look(b, *did)
    for deviation in deviations:
        stage = _apply(deviation, call, a, before, expected)
        if expected.differences(stage):
            count, example = result.shown.get(deviation.id, (0, str(call)))
            result.shown[deviation.id] = (count + 1, example)
        expected = stage
    wrong = expected.differences(got)
    if wrong:
        result.wrong = (
            f"{call}: {', '.join(wrong)} differ: the step before, with what is declared, "
            f"gives {expected.ret!r} ({expected.status}), this step {got.ret!r} ({got.status})"
        )
    if "abort" in (made.status, did.status) or wrong:
        return False
    if a.FIELDS.keys() == b.FIELDS.keys() and look(a).differences(look(b)):
        adopt(a, b)
    return True


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _arguments(
    call: DirectCall, vm: Any, mine: tuple[str, ...], theirs: tuple[str, ...]
) -> list[Any]:
    """As the call says; flags that the other step no longer takes are all flags."""
    values = call.arguments(vm, mine)
    flags = {"dirty_flag", "dirty_flags", "client"}
    if not flags & set(theirs):
        values = [0xFF if name in flags else v for name, v in zip(mine, values, strict=True)]
    return values


def _apply(deviation: Deviation, call: DirectCall, vm: Any, before: Moment, made: Moment) -> Moment:
    if deviation.scope == "api":
        return API_LAWS[deviation.law](call, made)
    name = AS_OP.get(call.function)
    if name is None or name not in LAW_OPS[deviation.law]:
        return made
    config = Trace(()).config
    config = replace(
        config,
        page_bits=vm.TARGET_PAGE_BITS,
        hpratio=vm.hpratio,
        tcg=vm.tcg,
        word_bits=vm.BITS_PER_LONG,
    )
    args: dict[str, tuple[Any, ...]] = {
        "region_set_dirty": (call.addr, call.length),
        "region_reset_dirty": (call.addr, call.length, CLIENTS[call.client or 0]),
        "kvm_log_sync": (call.addr, len(call.words) * vm.BITS_PER_LONG, call.words),
    }
    return LAWS[deviation.law](config, before, Op(name, args[name]), made)
