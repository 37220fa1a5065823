"""A Hypothesis state machine over two libraries of the C lane, through cffi.

The rules are those of ``stateful``, where a pair of models is driven; here they drive the
driver of two libraries, an operation at a time, and after each compare the digest into which
all that is observed enters, as the native lane does. Half of the lengths are whole pages.
What aborts ends an example, and what dies ends the process.

This module needs Hypothesis and cffi (the extra ``bench``): import it inside a function.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from replay.dirty.bench.stateful import MOST_WORDS, PAGE, Pair, number
from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.kinds import Length
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Config, Op
from replay.dirty.native.encode import OPCODES, WORD_BITS, WORDS_AT

STEPS: Final = 50
"""Operations an example."""

HANG: Final = 0.25
"""Seconds of processor time that no sound operation needs, by far; more end the process."""

EXAMPLES: Final = 1 << 30
SELDOM: Final = 1 << 40
"""Operations after which the state enters by itself: it does so after each call anyway."""

DECLARATIONS: Final = """
    int64_t dirty_run(int64_t *ops, size_t n, uint64_t *words, uint64_t *digests, void *results);
    int dirty_reset(int64_t hpratio, int tcg);
    int dirty_digest_every(int64_t ops);
"""

FFI: Final = importlib.import_module("cffi").FFI()
FFI.cdef(DECLARATIONS)  # once, as imports are: it takes as long as they do

LENGTH_AT: Final = {name: spec.position(Length) for name, spec in OPS.items()}


class Memory:
    """What the rules ask of a machine: where its blocks are, and whether it migrates."""

    def __init__(self) -> None:
        self.layout = Layout()

    @property
    def blocks(self) -> list[SimpleNamespace]:
        """The blocks, in bytes."""
        return [
            SimpleNamespace(offset=first * PAGE, length=pages * PAGE)
            for first, pages in self.layout.blocks
        ]

    @property
    def in_migration(self) -> bool:
        """Whether a migration runs."""
        return self.layout.migrating


class Libraries(Pair):
    """Two libraries, one operation after the other."""

    opened: Sequence[Any]
    found: Callable[[], None]
    dead = False

    @initialize(
        word_bits=st.just(WORD_BITS),
        hpratio=st.sampled_from((1, 1, 1, 1, 16)),
        tcg=st.sampled_from((True,) * 7 + (False,)),
        pages=number,
    )
    def first_block(self, word_bits: int, hpratio: int, tcg: bool, pages: int) -> None:
        """Both machines, and a block."""
        self.config = Config(hpratio=hpratio, tcg=tcg, word_bits=word_bits)
        self.a = Memory()
        self.limit, self.bitmap_pages = MOST_WORDS * word_bits, 0
        for library in self.opened:
            library.dirty_reset(hpratio, tcg)
        self.do("ram_alloc", 1 + pages % (2 * word_bits))

    def do(self, name: str, *args: Any) -> None:
        """Execute an operation on both and compare."""
        if self.dead:
            return
        at = LENGTH_AT[name]
        if at is not None and not args[at] & 1:
            args = (*args[:at], args[at] & -PAGE, *args[at + 1 :])
        row, words = [OPCODES[name], *args, 0, 0, 0][:4], ()
        if name in WORDS_AT:
            at = WORDS_AT[name]
            row[1 + at], words = 0, args[at]
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
        told = [self._run(library, row, words) for library in self.opened]
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        assert told[0][0] == 1, f"{name}{args} is not valid"
        if told[0] != told[1]:
            self.found()
        self.dead = told[0][2] != 0
        follow(Op(name, args), self.a.layout, self.config)

    def _run(self, library: Any, row: list[int], words: Sequence[int]) -> tuple[int, int, int]:
        """How many operations ran, the digest, and whether it was aborted."""
        new = FFI.new
        digest, result = new("uint64_t[1]"), new("uint32_t[4]")
        done = library.dirty_run(
            new("int64_t[4]", row), 1, new("uint64_t[]", words), digest, result
        )
        return done, digest[0], result[2]


def prepare(paths: Sequence[str], found: Callable[[], None]) -> type[Libraries]:
    """A machine over the libraries of two paths; ``found`` is called at a difference."""
    opened = [FFI.dlopen(path) for path in paths]
    for library in opened:
        library.dirty_digest_every(SELDOM)
    told = staticmethod(found)
    return type("Libraries", (Libraries,), {"opened": opened, "found": told})


def search(machine: type[Libraries], seed: int, examples: int = EXAMPLES) -> None:
    """Draw examples until so many are done; generation only, no database, no deadline."""
    run_state_machine_as_test(
        with_seed(seed)(machine),
        settings=settings(
            max_examples=examples, stateful_step_count=STEPS, database=None, deadline=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
