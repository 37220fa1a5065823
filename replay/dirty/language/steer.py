"""Traces that are led to paths: a wanted path gets a plan among random operations.

The target operation is drawn until its arguments fit the path, and before it stand
operations that bring the pages it touches into the state that the path asks for. What comes
of that is a valid trace; whether it reaches the path is seen when it is run.

A steered trace is a function of (seed, index) and of the paths wanted, and of nothing else.
"""

from __future__ import annotations

import random
from typing import Final

from replay.dirty.language.domain import check_op, follow
from replay.dirty.language.features import Before
from replay.dirty.language.generate import Generator, Profile, generate
from replay.dirty.language.paths import Path, shapes
from replay.dirty.language.trace import CLIENTS, Op, Trace

TRIES: Final = 120
"""Draws of the target operation before a plan is given up."""

SEEN_BEFORE: Final = frozenset({"tlb", "code", "dirty", "armed", "pending", "found", "left",
                                "entries"})  # fmt: skip
"""The features that only a run can tell: operations before the target see to them."""

CHANCE: Final = 0.2
"""That a plan begins at an operation."""


def steered(seed: int, index: int, profile: Profile, wanted: tuple[Path, ...]) -> Trace:
    """A valid trace of ``profile.ops`` operations that is led to some of the paths wanted."""
    rng = random.Random(f"replay/steer/1/{seed}/{index}")
    return Steered(rng, profile, wanted).trace(f"steered-{seed}-{index}")


class Steered(Generator):
    """The making of one steered trace."""

    def __init__(self, rng: random.Random, profile: Profile, wanted: tuple[Path, ...]) -> None:
        super().__init__(rng, profile)
        self.wanted = [wanted[self.pick(len(wanted))] for _ in range(4)] if wanted else []
        if self.wanted:
            self._suit(dict(self.wanted[0].labels))
        self.leaving, self.beyond = max(self.leaving, 0.3), 0.1
        self.before = Before(self.config, self.layout)

    def _suit(self, labels: dict[str, str]) -> None:
        """Make the machine one on which a path can be."""
        config = self.config
        tcg, hpratio = config.tcg, config.hpratio
        if "tcg" in labels:
            tcg = labels["tcg"] == "on"
        elif labels.get("tlb") == "direct" and labels.get("dirty") in ("clean", "some"):
            tcg = False  # nothing re-arms an entry there
        if labels.get("hpratio") == "one":
            hpratio = 1
        elif labels.get("hpratio") == "more":
            hpratio = max(hpratio, 2)
        self.config = config.__class__(config.page_bits, hpratio, tcg, config.word_bits)

    def trace(self, name: str) -> Trace:
        """The trace."""
        ops: list[Op] = []
        while len(ops) < self.profile.ops:
            if not self.layout.blocks:
                made = [self.made("ram_alloc")]
            elif self.wanted and self.random() < CHANCE:
                made = self.plan(self.wanted[self.pick(len(self.wanted))])
            else:
                made = [self.made(self.name())]
            for op in made:
                if op is None or check_op(op, self.layout, self.config):
                    break
                follow(op, self.layout, self.config)
                if op.name == "ram_alloc":
                    self.before.room = self.layout.end
                ops.append(op)
        return Trace(tuple(ops[: self.profile.ops]), self.config, name)

    def plan(self, path: Path) -> list[Op | None]:
        """Operations that end on a path, if they do what they are meant to."""
        labels = dict(path.labels)
        first: list[Op | None] = []
        if "migration" in labels and (labels["migration"] == "running") != self.layout.migrating:
            running = labels["migration"] == "running"
            first = [Op("migration_start" if running else "migration_stop")]
        target = self.target(path)
        if target is None:
            return [*first, self.made("ram_alloc")] if self.random() < 0.5 else [
                *first, self.made("ram_free")]  # fmt: skip
        return [*first, *self.prepared(labels), target]

    def target(self, path: Path) -> Op | None:
        """The operation, with arguments that fit a path as far as the layout tells."""
        shape = shapes()[path.op]
        names = [feature.name for feature in shape.features]
        asked = [(names.index(name), label) for name, label in path.labels
                 if name in names and name not in SEEN_BEFORE and name != "migration"]  # fmt: skip
        # A migration that is begun before it cannot be seen here.
        for _ in range(TRIES):
            op = self.made(path.op)
            if op is None or op.name != path.op:
                if not self.layout.migrating and path.op.startswith("migration_"):
                    return Op(path.op) if path.op != "migration_next" else None
                continue
            program = Trace((op,), self.config).program[0][1]
            found = shape.look(self.before, program)
            if all(found[place] == label for place, label in asked):
                return op
        return None

    def prepared(self, labels: dict[str, str]) -> list[Op | None]:
        """What brings the pages of the target, seen last, into the state of a path."""
        block = self.before.block
        stop = min(self.before.end, sum(block))
        pages = list(range(self.before.first, stop))[:3]
        ops: list[Op | None] = []
        for page in pages:
            at = page << self.config.page_bits
            ops += self._page(at, labels, page == pages[0])
        return ops

    def _page(self, at: int, labels: dict[str, str], first: bool) -> list[Op]:
        size = self.config.page_size
        mark = Op("region_set_dirty", (at, size))
        clear = [Op("region_reset_dirty", (at, size, client)) for client in CLIENTS]
        ops: list[Op] = []
        if labels.get("code") == "code":
            ops.append(Op("translate", (at,)))
        tlb, dirty = labels.get("tlb", labels.get("armed")), labels.get("dirty")
        if tlb == "direct":
            ops += [mark, Op("tlb_fill", (at,))]
        elif tlb == "notdirty":
            ops += [clear[0], Op("tlb_fill", (at,))]
        elif tlb == "none":
            ops.append(Op("tlb_flush"))
        if dirty == "clean":
            ops += clear
        elif dirty == "all":
            ops.append(mark)
        elif dirty == "some":
            ops += [mark, *clear[1:]] if first else [mark]
        return ops


def drawing(seed: int, index: int, profile: Profile, wanted: tuple[Path, ...]) -> Trace:
    """Every STEER_EVERY-th trace is steered, where anything is wanted; the others are drawn."""
    if wanted and index % STEER_EVERY == STEER_EVERY - 1:
        return steered(seed, index, profile, wanted)
    return generate(seed, index, profile)


STEER_EVERY: Final = 4
"""Of so many traces of a campaign one is steered."""
