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
from replay.dirty.language.trace import Trace
from replay.dirty.machine.moment import execute
from replay.dirty.machine.run import end_of_ram


class Plain(NamedTuple):
    """What a plain search met.

    Attributes:
        layers: how many states by how many operations lead to them.
        transitions: operations that were executed.
        seconds: that it took.

    """

    layers: tuple[int, ...]
    transitions: int
    seconds: float


def searched(machine: type[Any], scope: Scope, most: int = 1 << 62) -> Plain:
    """All states that a step reaches, or as many as ``most`` transitions lead to."""
    begin = time.perf_counter()
    config = scope.config
    vm = machine(config.page_bits, config.hpratio, config.tcg, config.word_bits)
    for name, args in Trace(scope.prefix, config).program:
        execute(vm, name, args)
    layer, met, layers, transitions = [(vm, 0)], {_identity(vm, 0)}, [], 0
    while layer and transitions < most:
        layers.append(len(layer))
        following = []
        for one, nominal in layer:
            shape = _shape(one, nominal)
            ops = tuple(scope.operations(shape.layout))
            for name, args in Trace(ops, config).program:
                transitions += 1
                if transitions > most:
                    break
                after = copy.deepcopy(one)
                if execute(after, name, args).status != "ok":
                    continue
                bits = _bits(one, after, nominal)
                identity = _identity(after, bits)
                if identity not in met:
                    met.add(identity)
                    following.append((after, bits))
        layer = following
    return Plain(tuple(layers), transitions, time.perf_counter() - begin)


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


def _identity(vm: Any, nominal: int) -> Any:
    """All of a machine but for what no function reads."""
    bitmap = vm.migration_bitmap
    return (
        _shape(vm, nominal), vm.store_content(), frozenset(vm.tlb.items()),
        frozenset(vm.has_code), frozenset(vm.page_descs), bitmap and bitmap.tobytes(),
    )  # fmt: skip
