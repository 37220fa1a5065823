"""Seeded random traces, biased to where such code breaks.

Word and block edges, empty and partial-page ranges, unaligned starts, freed and reused
blocks, logs with bits past their section, large host pages, TCG off, stores between
sync and sync. Half of the machines have words of 8 bits: the same code, with its word
edges eight times as close together. Each trace has its own mix of operations, so that
some do much of one thing; and it comes back to the pages it used before.

A trace is a function of (seed, index) alone: not of the process, the machine or the
order in which traces are asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from replay.dirty.language.domain import follow
from replay.dirty.language.draws import Draws
from replay.dirty.language.operations import OPS, Operation
from replay.dirty.language.plans import Plan, a_plan
from replay.dirty.language.trace import Config, Op, Trace


@dataclass(frozen=True, slots=True)
class Profile:
    """What the generator draws from.

    Attributes:
        ops: operations a trace.
        small_words: the share of machines with words of 8 bits.
        no_tcg: the share of machines without TCG.
        large_host_pages: the share of machines whose host pages are larger.
        leaving: the chance that a reset range may leave its block (and often abort).
        plans: the chance, at an operation, to begin a plan: a few operations that only
            together show something, with others in between.

    """

    ops: int = 50
    small_words: float = 0.5
    no_tcg: float = 0.12
    large_host_pages: float = 0.2
    leaving: float = 0.05
    plans: float = 0.05


DEFAULT: Final = Profile()


def traces(seed: int, count: int, profile: Profile = DEFAULT, first: int = 0) -> Iterator[Trace]:
    """``count`` traces of a seed, from index ``first`` on."""
    for index in range(first, first + count):
        yield generate(seed, index, profile)


def generate(seed: int, index: int, profile: Profile = DEFAULT) -> Trace:
    """The trace with this index of a seed: a valid trace of ``profile.ops`` operations."""
    return Generator(random.Random(f"replay/1/{seed}/{index}"), profile).trace(
        f"seed-{seed}-{index}"
    )


def _a_config(rng: random.Random, profile: Profile) -> Config:
    word_bits = 8 if rng.random() < profile.small_words else 64
    hpratio = 1
    if rng.random() < profile.large_host_pages:
        hpratio = 16 if word_bits == 64 else (2, 4, 16)[int(rng.random() * 3)]
    return Config(12, hpratio, rng.random() >= profile.no_tcg, word_bits)


# --- operations -----------------------------------------------------------------------

_Maker: TypeAlias = Callable[[Draws], Op | None]


def _maker(spec: Operation) -> _Maker:
    """How an operation is drawn: by its hook, or by its kinds when it may be made."""
    draw, when = spec.draw, spec.when
    make = _by_hook(spec.name, draw) if draw else _by_kinds(spec)
    if draw or when is None:
        return make

    def make_when(draws: Draws) -> Op | None:
        return when.otherwise(draws) if when.problem(draws.layout) else make(draws)

    return make_when


def _by_hook(name: str, draw: Callable[[Draws], tuple[Any, ...] | None]) -> _Maker:
    def make(draws: Draws) -> Op | None:
        args = draw(draws)
        return None if args is None else Op(name, args)

    return make


def _by_kinds(spec: Operation) -> _Maker:
    name = spec.name
    values = [kind.draw for kind in spec.kinds]
    if len(values) == 1:
        (value,) = values
        return lambda draws: Op(name, (value(draws, ()),))

    def make(draws: Draws) -> Op | None:
        args: tuple[Any, ...] = ()
        for value in values:
            args = (*args, value(draws, args))
        return Op(name, args)

    return make


_MAKERS: Final = {name: _maker(spec) for name, spec in OPS.items()}
_NAMES: Final = list(OPS)
_WEIGHTS: Final = [spec.weight for spec in OPS.values()]


class Generator(Draws):
    """The making of one trace."""

    def __init__(self, rng: random.Random, profile: Profile) -> None:
        config = _a_config(rng, profile)
        # Where a reset does not re-arm the TLB, it is no worse to leave the block.
        super().__init__(rng, config, profile.leaving if config.tcg else 0.15)
        self.profile = profile

    def made(self, name: str) -> Op | None:
        """An operation of this name, or what stands in for it now; None for not now."""
        return _MAKERS[name](self)

    def name(self) -> str:
        """The name of an operation, as often as the table says."""
        return self.rng.choices(_NAMES, _WEIGHTS)[0]

    def trace(self, name: str) -> Trace:
        """The trace."""
        weights = [weight * (0.15, 0.6, 1.0, 1.0, 2.0, 4.0)[self.pick(6)] for weight in _WEIGHTS]
        chosen = self.rng.choices(_NAMES, weights, k=self.profile.ops * 3)
        ops: list[Op] = []
        plan: Plan = []
        while len(ops) < self.profile.ops:
            wanted = chosen.pop() if chosen else "store"
            if not self.layout.blocks:
                wanted = "ram_alloc"
                plan.clear()
            if plan and self.random() < 0.75:
                op = plan.pop(0)()
            else:
                if not plan and self.layout.blocks and self.random() < self.profile.plans:
                    plan = a_plan(self)
                op = _MAKERS[wanted](self)
            if op is None:
                continue
            follow(op, self.layout, self.config)
            ops.append(op)
        return Trace(tuple(ops), self.config, name)
