"""What must hold inside a machine at a step: its store and its functions, unseen by a run.

An observation tells which pages are dirty. It does not tell what else lies in a byte, how
long the store is, or what a function does that nobody calls yet; later steps rest on these
all the same. Such a property is given a machine and a trace and works the machine itself:
through the trace, through the part of it that matters, or by calls of its own that are
drawn from the trace's name. As in ``replay.dirty.rules.properties``, texts and the steps at which a
property holds stand in series.toml.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from refmodels.machine import OutOfDomain, RAMBlock
from replay.dirty.language.trace import CLIENTS, Trace
from replay.dirty.machine.moment import execute
from replay.dirty.machine.pagesets import span
from replay.dirty.machine.run import ALL_PAGES, crash, run_small, start
from replay.series.subject import Violation

InnerCheck: TypeAlias = Callable[[type[Any], Trace], Violation | None]
"""A property of what lies in a machine, unseen by any observation."""

INNER_PROPERTIES: Final[dict[str, InnerCheck]] = {}


def inside(name: str) -> Callable[[InnerCheck], InnerCheck]:
    """Enter a property of a machine's inside under its name."""

    def enter(check: InnerCheck) -> InnerCheck:
        INNER_PROPERTIES[name] = check
        return check

    return enter


def look_inside(name: str, machine: type[Any], trace: Trace) -> Violation | None:
    """Ask a property of a machine; a model that fails with an error of its own breaks it."""
    try:
        return INNER_PROPERTIES[name](machine, trace)
    except (Exception, SystemExit) as error:
        return Violation(0, f"the model fails: {crash(error)}")


# --- how long the store is ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Allocation:
    """What one ram_alloc did to the end of RAM and to the store, all in pages.

    ``room`` is what each part of the store has room for: the byte map, or each bitmap.
    ``strayed`` is whether it wrote outside of the store.
    """

    index: int
    old_end: int
    end: int
    old_room: tuple[int, ...]
    room: tuple[int, ...]
    unit: int
    strayed: bool

    def wrong(self, wanted: Sequence[int], why: str) -> Violation | None:
        """Compare the room with what it has to be, and the writes with the room."""
        if self.room != tuple(wanted):
            rooms = f"{_pages(self.room)}, not for {_pages(wanted)}"
            return Violation(self.index, f"the store has room for {rooms}: {why}")
        if self.strayed:
            return Violation(self.index, "the allocation writes past the end of the store")
        return None

    @property
    def exact(self) -> list[int]:
        """Room for the pages up to the end of RAM, in whole words, and no more."""
        return [-(-self.end // self.unit) * self.unit] * len(self.room)


def _pages(rooms: Sequence[int]) -> str:
    counts = sorted(set(rooms))
    return " or ".join(str(count) for count in counts) + " pages"


def _allocations(machine: type[Any], trace: Trace) -> Iterator[_Allocation]:
    """The allocations of a trace, with its frees between them and nothing else.

    Nothing else decides how long a store is: what lies in it is left out, for speed.
    """
    vm = start(machine, trace)
    for index, (name, args) in enumerate(trace.program):
        if name not in ("ram_alloc", "ram_free"):
            continue
        end, room, stray = _end(vm), _room(vm), vm.stray
        if execute(vm, name, args).status != "ok":
            return
        if name == "ram_alloc":
            unit = 1 if "phys_dirty" in vm.FIELDS else vm.BITS_PER_LONG
            yield _Allocation(index, end, _end(vm), room, _room(vm), unit, vm.stray != stray)


def _end(vm: Any) -> int:
    """The first page after the block that ends last: not asked of the model's own function."""
    ends = (block.offset + block.length for block in vm.blocks)
    return int(max(ends, default=0) >> vm.TARGET_PAGE_BITS)


def _room(vm: Any) -> tuple[int, ...]:
    if "phys_dirty" in vm.FIELDS:
        return (len(vm.phys_dirty),)
    return tuple([len(words) * vm.BITS_PER_LONG for words in vm.dirty_memory])


@inside("store-fits-ram")
def store_fits_ram(machine: type[Any], trace: Trace) -> Violation | None:
    """After each allocation the store is as long as RAM: a byte for each page."""
    for made in _allocations(machine, trace):
        wrong = made.wrong(made.exact, f"RAM ends at page {made.end}")
        if wrong:
            return wrong
    return None


@inside("store-grows-with-ram")
def store_grows_with_ram(machine: type[Any], trace: Trace) -> Violation | None:
    """An allocation that raises the end of RAM fits the store to it; no other touches it."""
    for made in _allocations(machine, trace):
        if made.end > made.old_end:
            wrong = made.wrong(made.exact, f"the end of RAM rises to page {made.end}")
        else:
            wrong = made.wrong(made.old_room, f"the end of RAM stays at page {made.end}")
        if wrong:
            return wrong
    return None


class _Accepted(Exception):
    """An allocation has come to where the store grows."""


@inside("page-numbers-fit-int")
def page_numbers_fit_int(machine: type[Any], trace: Trace) -> Violation | None:
    """RAM may have a page with the largest number that an int holds, and none after it."""
    bits = trace.config.page_bits
    rng = random.Random(f"int/{trace.name}")
    for end in (1 << 31, (1 << 31) + 1, (1 << 31) + rng.randrange(-99, 99)):
        pages = rng.randrange(1, 9)
        vm = start(_never_growing(machine), trace)
        vm.blocks.append(RAMBlock(0, (end - pages) << bits))
        try:
            vm.ram_alloc(pages)
            accepted = True
        except _Accepted:
            accepted = True
        except OutOfDomain:
            accepted = False
        if accepted != (end <= 1 << 31):
            word = "accepted" if accepted else "refused"
            return Violation(0, f"a block whose last page has the number {end - 1} is {word}")
    return None


def _never_growing(machine: type[Any]) -> type[Any]:
    """A machine that stops where it would make room for its pages: here, 3 times 256 MiB."""

    def bitmap_zero_extend(vm: Any, old: Any, old_nbits: int, new_nbits: int) -> Any:
        raise _Accepted

    entries = {"__slots__": (), "bitmap_zero_extend": bitmap_zero_extend}
    return type("NeverGrowing", (machine,), entries)


# --- what lies in the bytes ---------------------------------------------------------


def unused_bits(machine: type[Any]) -> int:
    """The bits of a page's byte that stand for no client at this step."""
    used: int = 1 << machine.DIRTY_MEMORY_VGA | 1 << machine.DIRTY_MEMORY_CODE
    used |= 1 << machine.DIRTY_MEMORY_MIGRATION
    return ~used & 0xFF


@inside("unused-bits-set")
def unused_bits_set(machine: type[Any], trace: Trace) -> Violation | None:
    """The five unused bits of every page of RAM stay 1."""
    vm = start(machine, trace)
    unused = unused_bits(machine)
    for index, (name, args) in enumerate(trace.program):
        if execute(vm, name, args).status != "ok":
            return None
        for block in vm.blocks:
            first = block.offset >> vm.TARGET_PAGE_BITS
            pages = vm.phys_dirty[first : first + (block.length >> vm.TARGET_PAGE_BITS)]
            for page, byte in enumerate(pages, first):
                if byte & unused != unused:
                    return Violation(index, f"page {page} has the byte {byte:#04x}")
    return None


@inside("unused-bits-unread")
def unused_bits_unread(machine: type[Any], trace: Trace) -> Violation | None:
    """Scrambling the unused bits after every operation changes no observation."""
    plain = run_small(machine, trace)
    unused = unused_bits(machine)
    scrambled = run_small(_scrambling(machine, unused, trace.name), trace)
    for index, (a, b) in enumerate(zip(plain, scrambled, strict=False)):
        if a != b:
            return Violation(index, "another answer when the unused bits differ")
    return None if len(plain) == len(scrambled) else Violation(len(plain) - 1, "another end")


def _scrambling(machine: type[Any], unused: int, seed: str) -> type[Any]:
    """A machine that flips unused bits whenever its store is looked at."""
    observe = machine.store_content
    rng = random.Random(f"scramble/{seed}")

    def store_content(vm: Any) -> bytes:
        for page in range(len(vm.phys_dirty)):
            vm.phys_dirty[page] ^= rng.getrandbits(8) & unused
        content: bytes = observe(vm)
        return content

    return type("Scrambling", (machine,), {"__slots__": (), "store_content": store_content})


# --- what a function promises before anyone calls it ---------------------------------


@inside("zero-extend-contract")
def zero_extend_contract(machine: type[Any], trace: Trace) -> Violation | None:
    """Old bits stay, those between the ends are clear, the rest of old words is untouched."""
    rng = random.Random(f"extend/{trace.name}")
    vm = start(machine, trace)
    word = trace.config.word_bits
    for _ in range(4):
        old_nbits = rng.randrange(0, 3 * word)
        new_nbits = old_nbits + rng.randrange(1, 2 * word)
        bitmap = vm.new_words(-(-old_nbits // word))
        for index in range(len(bitmap)):
            bitmap[index] = rng.getrandbits(word)
        whole = vm.bits_of(bitmap, 0, len(bitmap) * word)
        wanted = whole & ~span(old_nbits, new_nbits - old_nbits)
        made = vm.bitmap_zero_extend(bitmap, old_nbits, new_nbits)
        if len(made) != -(-new_nbits // word):
            return Violation(0, f"{new_nbits} bits are kept in {len(made)} words of {word}")
        if vm.bits_of(made, 0, len(made) * word) != wanted:
            return Violation(0, f"from {old_nbits} bits to {new_nbits}: bits lost or left over")
    return None


@inside("clients-are-indices")
def clients_are_indices(machine: type[Any], trace: Trace) -> Violation | None:
    """The clients are numbered from 0 and DIRTY_MEMORY_NUM is how many there are."""
    clients = sorted(start(machine, trace).clients)
    if clients != list(range(machine.DIRTY_MEMORY_NUM)):
        return Violation(
            0, f"clients are {clients}, DIRTY_MEMORY_NUM is {machine.DIRTY_MEMORY_NUM}"
        )
    return None


@inside("one-flag-contract")
def one_flag_contract(machine: type[Any], trace: Trace) -> Violation | None:
    """Setting one flag of a page sets that one and leaves the others, and other pages, alone."""
    rng = random.Random(f"flag/{trace.name}")
    vm = start(machine, trace)
    flags = "dirty_flag" in machine.cpu_physical_memory_set_dirty_flag.__code__.co_varnames
    vm.ram_alloc(9)
    for client in range(3):
        for page in range(9):
            if rng.random() < 0.6:
                vm.region_reset_dirty(page * trace.config.page_size, 1, client)
    for _ in range(8):
        client, page = rng.randrange(3), rng.randrange(9)
        wanted = list(vm.dirty_pages(0, ALL_PAGES))
        wanted[client] |= span(page, 1)
        number = vm.clients[client]
        addr = page * trace.config.page_size
        vm.cpu_physical_memory_set_dirty_flag(addr, 1 << number if flags else number)
        if list(vm.dirty_pages(0, ALL_PAGES)) != wanted:
            return Violation(0, f"setting {CLIENTS[client]} of page {page} did something else")
    return None
