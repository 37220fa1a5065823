"""The same search written plainly: machines are copied, and each operation is executed.

It shares nothing with the tables and their engine but the alphabet and the models. The
tests hold the numbers of states of the two against each other, the bench their speed.
"""

from __future__ import annotations

import copy
import time
from typing import Any, NamedTuple

from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.state import Shape
from replay.dirty.language.trace import Config, Op, Trace
from replay.dirty.machine.model import Record, Visible
from replay.dirty.machine.moment import execute, look
from replay.dirty.machine.run import block_mask, end_of_ram
from replay.dirty.rules.monitors import Monitor


class Plain(NamedTuple):
    """What a plain search met.

    Attributes:
        layers: how many states by how many operations lead to them.
        transitions: operations that were executed.
        seconds: that it took.
        broken: how many operations lead to where a property is first broken, that one
            counted; None where none was.

    """

    layers: tuple[int, ...]
    transitions: int
    seconds: float
    broken: int | None = None


def searched(
    machine: type[Any], scope: Scope, most: int = 1 << 62, monitor: type[Monitor] = Monitor
) -> Plain:
    """All states that a step reaches, or as many as ``most`` transitions lead to.

    With a property the search ends where it is broken.
    """
    begin = time.perf_counter()
    config = scope.config
    vm = machine(config.page_bits, config.hpratio, config.tcg, config.word_bits)
    first = _State(vm, 0, (0,) * len(monitor.BOOKS))
    for op, call in zip(scope.prefix, Trace(scope.prefix, config).program, strict=True):
        after = _next(first, op, call, monitor, config)
        assert after is not None, "a machine of a scope can be made"
        first = after
    layer, met, layers, transitions = [first], {_identity(first)}, [], 0
    while layer and transitions < most:
        layers.append(len(layer))
        following = []
        for one in layer:
            ops = tuple(scope.operations(_shape(one.vm, one.nominal).layout))
            for op, call in zip(ops, Trace(ops, config).program, strict=True):
                transitions += 1
                if transitions > most:
                    break
                try:
                    after = _next(one, op, call, monitor, config)
                except _Broken:
                    took = time.perf_counter() - begin
                    return Plain(tuple(layers), transitions, took, len(layers))
                if after is not None and (identity := _identity(after)) not in met:
                    met.add(identity)
                    following.append(after)
        layer = following
    return Plain(tuple(layers), transitions, time.perf_counter() - begin)


class _State(NamedTuple):
    vm: Any
    nominal: int
    books: tuple[int, ...]


class _Broken(Exception):
    """A property is."""


def _next(
    one: _State, op: Op, call: tuple[str, Any], monitor: type[Monitor], config: Config
) -> _State | None:
    """What an operation makes of a state; None where the machine dies of it."""
    vm = copy.deepcopy(one.vm)
    reply = execute(vm, *call)
    if reply.status != "ok":
        return None
    nominal = _bits(one.vm, vm, one.nominal)
    if monitor is Monitor:
        return _State(vm, nominal, ())
    books = monitor(config)
    books.books = list(one.books)
    seen = _visible(vm, nominal)
    if books.follow(op, _visible(one.vm, one.nominal), Record(*reply, seen), block_mask(vm)):
        raise _Broken
    return _State(vm, nominal, tuple(books.books))


def _visible(vm: Any, nominal: int) -> Visible:
    moment, mask = look(vm), block_mask(vm)
    vga, code, migration = moment.dirty
    bitmap = None if moment.bitmap is None else moment.bitmap & (1 << nominal) - 1
    return Visible(
        (vga & mask, code & mask, migration & mask), moment.tlb, moment.has_code, bitmap,
        moment.migration_dirty_pages, moment.logging,
    )  # fmt: skip


def _bits(before: Any, after: Any, nominal: int) -> int:
    """The pages of the migration bitmap; it is made for those that there are."""
    if after.migration_bitmap is None:
        return 0
    return end_of_ram(after).bit_length() if before.migration_bitmap is None else nominal


def _shape(vm: Any, nominal: int) -> Shape:
    page = vm.TARGET_PAGE_SIZE
    blocks = tuple((block.offset // page, block.length // page) for block in vm.blocks)
    bitmap = None if vm.migration_bitmap is None else len(vm.migration_bitmap) * vm.BITS_PER_LONG
    return Shape(blocks, vm.store_pages(), bitmap, nominal, vm.in_migration)


def _identity(state: _State) -> Any:
    """All of a machine but for what no function reads, and the books."""
    vm, nominal, books = state
    bitmap = vm.migration_bitmap
    return (
        books, _shape(vm, nominal), vm.store_content(), frozenset(vm.tlb.items()),
        frozenset(vm.has_code), frozenset(vm.page_descs), bitmap and bitmap.tobytes(),
    )  # fmt: skip
