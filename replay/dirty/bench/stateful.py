"""The other side of the lockstep ratio: Hypothesis driving two adjacent models.

Written as one would write a test that is meant to be quick: a rule for each operation;
all arguments from plain integer strategies that are folded onto what is there, so that
nothing is filtered out or drawn in vain; a precondition only where an operation may not
be made; and the cheapest comparison of two whole machines there is, with no walk over
pages. Every operation is valid and none aborts. What was done is written down, so that
the other side can do exactly the same.

This module needs Hypothesis (the extra ``bench``): import it inside a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from replay.dirty.language.addresses import Address, Aligned, OfBlock, OfSection
from replay.dirty.language.kind import Kind
from replay.dirty.language.kinds import Client, HostPages, Length, Size, Start, Words
from replay.dirty.language.operations import OPS, RUNNING, Operation
from replay.dirty.language.trace import CLIENTS, Argument, Config, Op, Trace
from replay.dirty.machine.moment import execute
from replay.dirty.machine.run import start

PAGE = 1 << Config().page_bits
MOST_BLOCKS = 6
MOST_WORDS = 3
"""RAM spans at most so many words' worth of pages, about as in generated traces."""

number = st.integers(0, (1 << 24) - 1)
client = st.integers(0, len(CLIENTS) - 1)
sizes = st.sampled_from((1, 2, 4))
logs = st.integers(0, (1 << 64 * MOST_WORDS) - 1)


class Differs(AssertionError):
    """The two models did not do the same; with a pair that should, a bug."""


def do_both(a: Any, b: Any, name: str, args: tuple[Any, ...]) -> None:
    """Execute an operation on two machines; compare answer, events and the whole state.

    Raises:
        Differs: they did not do the same.

    """
    one, other = execute(a, name, args), execute(b, name, args)
    if (
        one != other
        or type(one[0]) is not type(other[0])
        or a.store_content() != b.store_content()
        or a.tlb != b.tlb
        or a.has_code != b.has_code
        or a.migration_bitmap != b.migration_bitmap
        or a.migration_dirty_pages != b.migration_dirty_pages
        or a.in_migration != b.in_migration
    ):
        raise Differs(f"{name}{args}: {one} and {other}")


class Pair(RuleBasedStateMachine):
    """Two models, one operation after the other, compared whole after each."""

    old: type[Any]
    new: type[Any]
    made: list[tuple[Config, list[tuple[str, tuple[Any, ...]]]]]

    def do(self, name: str, *args: Any) -> None:
        """Execute an operation on both and compare."""
        self.done.append((name, args))
        do_both(self.a, self.b, name, args)

    def spot(self, where: int) -> tuple[int, int]:
        """An address, and the bytes from there to its block's end."""
        block = self.a.blocks[where % len(self.a.blocks)]
        inside = where % block.length if where & 1 else where % block.length & -PAGE
        return block.offset + inside, block.length - inside

    def room(self) -> int:
        """Pages that a new block may have."""
        blocks = self.a.blocks
        if len(blocks) == MOST_BLOCKS:
            return 0
        end: int = max(block.offset + block.length for block in blocks) // PAGE
        return (self.bitmap_pages if self.a.in_migration else self.limit) - end

    def rest(self, addr: int) -> int:
        """The bytes from an address to its block's end."""
        block = next(b for b in self.a.blocks if b.offset <= addr < b.offset + b.length)
        return int(block.offset + block.length - addr)

    # --- rules for operations whose kinds do not say it all ---

    @initialize(
        word_bits=st.sampled_from((8, 64)),
        hpratio=st.sampled_from((1, 1, 1, 1, 16)),
        tcg=st.sampled_from((True,) * 7 + (False,)),
        pages=number,
    )
    def first_block(self, word_bits: int, hpratio: int, tcg: bool, pages: int) -> None:
        """The machine, and a block."""
        self.config = Config(hpratio=hpratio, tcg=tcg, word_bits=word_bits)
        trace = Trace((), self.config)
        self.a, self.b = start(self.old, trace), start(self.new, trace)
        self.limit = MOST_WORDS * word_bits
        self.bitmap_pages = 0
        self.done: list[tuple[str, tuple[Any, ...]]] = []
        self.made.append((self.config, self.done))
        self.do("ram_alloc", 1 + pages % (2 * word_bits))

    @precondition(lambda self: self.room() > 0)
    @rule(pages=number)
    def ram_alloc(self, pages: int) -> None:
        """Place a block where there is room."""
        self.do("ram_alloc", 1 + pages % self.room())

    @precondition(lambda self: len(self.a.blocks) > 1)
    @rule(where=number)
    def ram_free(self, where: int) -> None:
        """Any block but the last one."""
        self.do("ram_free", self.a.blocks[where % len(self.a.blocks)].offset)

    @rule(where=number, size=sizes)
    def store(self, where: int, size: int) -> None:
        """A CPU store, aligned."""
        self.do("store", self.spot(where)[0] & -size, size)

    @precondition(lambda self: not self.a.in_migration)
    @rule()
    def migration_start(self) -> None:
        """Only outside a migration."""
        blocks = self.a.blocks
        self.bitmap_pages = max(block.offset + block.length for block in blocks) // PAGE
        self.do("migration_start")


# --- a rule for each other operation, by the kinds of its parameters --------------------


class Fold(NamedTuple):
    """How a kind is made of a plain draw.

    Attributes:
        drawn: the name of the draw; kinds with one name share it.
        strategy: what it is drawn from.
        value: the argument, given the pair, the draw and the arguments before.

    """

    drawn: str
    strategy: Any
    value: Callable[[Pair, int, Sequence[Any]], Argument]


def _words(pair: Pair, log: int, before: Sequence[Any]) -> Argument:
    bits, pages = pair.config.word_bits, before[-1]
    return tuple(log >> i & (1 << min(bits, pages - i)) - 1 for i in range(0, pages, bits))


FOLDS: Final[Mapping[type[Kind], Fold]] = {
    Address: Fold("where", number, lambda pair, n, _: pair.spot(n)[0]),
    Aligned: Fold("where", number, lambda pair, n, _: pair.spot(n)[0] & -4),
    OfBlock: Fold("where", number, lambda pair, n, _: pair.a.blocks[n % len(pair.a.blocks)].offset),
    OfSection: Fold("where", number, lambda pair, n, _: pair.spot(n)[0] & -PAGE),
    Length: Fold("length", number, lambda pair, n, before: n % (pair.rest(before[0]) + 1)),
    Size: Fold("size", sizes, lambda pair, n, before: n if before[0] % n == 0 else 1),
    Start: Fold("where", number, lambda pair, n, before: n % pair.rest(before[0])),
    HostPages: Fold(
        "where", number,
        lambda pair, _, before: -(-pair.rest(before[0]) // (PAGE * pair.config.hpratio)),
    ),
    Words: Fold("log", logs, _words),
    Client: Fold("who", client, lambda pair, n, _: n),
}  # fmt: skip
"""Pages of a block are not here: where a block is placed is a rule of its own."""


def rule_of(operation: Operation) -> Any:
    """The rule that makes an operation."""
    folds = [FOLDS[type(kind)] for kind in operation.kinds]

    def make(self: Pair, **drawn: int) -> None:
        args: list[Any] = []
        for fold in folds:
            args.append(fold.value(self, drawn[fold.drawn], args))
        self.do(operation.name, *args)

    make.__name__ = operation.name
    made = rule(**{fold.drawn: fold.strategy for fold in folds})(make)
    when = operation.when
    if when is None:
        return made
    return precondition(lambda self: self.a.in_migration is (when is RUNNING))(made)


for _operation in OPS.values():
    if not hasattr(Pair, _operation.name):
        setattr(Pair, _operation.name, rule_of(_operation))


def repeat(old: type[Any], new: type[Any], traces: list[Trace]) -> None:
    """Do what Hypothesis did once more without it: what the two models cost in there."""
    for trace in traces:
        a, b = start(old, trace), start(new, trace)
        for name, args in trace.program:
            do_both(a, b, name, args)


def drive(old: type[Any], new: type[Any], examples: int, steps: int, seed: int) -> list[Trace]:
    """Let Hypothesis drive two machine classes; gives what it did, a trace an example.

    Generation only: no database, no shrinking, no deadline, no health checks.

    Raises:
        Differs: the two did not do the same.

    """
    made: list[tuple[Config, list[tuple[str, tuple[Any, ...]]]]] = []
    machine = type("Pair", (Pair,), {"old": old, "new": new, "made": made})
    run_state_machine_as_test(
        with_seed(seed)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            database=None,
            phases=[Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return [_trace(config, done) for config, done in made]


def _trace(config: Config, done: list[tuple[str, tuple[Any, ...]]]) -> Trace:
    return Trace(tuple(_op(name, args) for name, args in done), config, "hypothesis")


def _op(name: str, args: tuple[Any, ...]) -> Op:
    """As the trace language says it: clients by name."""
    shown: tuple[Argument, ...] = args
    if OPS[name].position(Client) is not None:
        shown = (*args[:-1], CLIENTS[args[-1]])
    return Op(name, shown)
