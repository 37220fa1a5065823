"""Where the addresses that aarch64 code forms lead, followed through its registers.

An address is formed by several instructions: ``adrp`` gives a page, another one adds what
is left. Between them may be anything, and one page may serve several. So for every
instruction it is worked out which instructions may have written the registers that it
reads. Of what is reached from an address by a number in the code, such as what lies behind
the anchor of a section, the place is told as well.

What is assumed: calls keep the registers that the ABI says they keep; and a case of a
switch that another one falls into finds in the registers what it finds there then.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from replay.elf.a64 import ADR_BITS, FRAME, LOW_BITS, NONE, Kind, Word, decode
from replay.elf.image import Relocation
from replay.elf.x86 import UnknownInstructionError

Target: TypeAlias = tuple[int, int]
"""An area of the atlas, and an address in it."""

FIELDS: Final = {
    **dict.fromkeys((274, 275, 276, 311, 513, 541, 562), ADR_BITS),
    **dict.fromkeys(
        (277, 278, 284, 285, 286, 299, 312, 313, 514, 542, 549, 550, 551, 563, 564), LOW_BITS
    ),
    273: 0x00FFFFE0, 280: 0x00FFFFE0, 279: 0x0007FFE0, 282: 0x03FFFFFF, 283: 0x03FFFFFF,
    **dict.fromkeys(range(263, 270), 0x001FFFE0),
    569: 0,
}  # fmt: skip
"""The bits that a relocation of code fills in, by its number; R_AARCH64_TLSDESC_CALL none."""

_LOW: Final = frozenset((277, 278, 284, 285, 286, 299))
_PAGE: Final = frozenset((275, 276))
_PLAIN: Final = _LOW | _PAGE | {273, 274, 279, 280, 282, 283}
"""Those that mean the address of the symbol itself."""
_KEPT: Final = range(19, 30)
"""The registers that a call keeps."""
_OTHER: Final = -1
"""The instruction that is written for any that forms no address."""
_MOST: Final = 8
"""Addresses that one instruction may form, and that are told apart."""
_UNKNOWN: Final = frozenset((_OTHER,))

State: TypeAlias = dict[int, frozenset[int]]
"""By register the instructions that may have written it; without those that none did that
forms an address."""


@dataclass(frozen=True, slots=True)
class Item:
    """A reference in a function.

    Attributes:
        offset: of the instruction.
        bits: those of it that are to be masked.
        how: as of :class:`replay.elf.forms.Reference`.
        target: where it leads, or the relocation that says so; None if it is not known.
        loaded: bytes that are loaded or stored there, 0 if none, and whether floating.
        goes: a branch or call, or an access: no end of an object is meant.
        spilled: an address goes to the stack, from where it may be used in a way that is
            not followed here.
    """

    offset: int
    bits: int
    how: int
    target: Target | Relocation | None
    loaded: tuple[int, bool] = (0, False)
    goes: bool = False
    spilled: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A function's references, and how many uses of addresses could not be followed."""

    items: tuple[Item, ...]
    doubtful: int
    jumps: bool


REACHED: Final = 2000
"""``how`` of what is reached from an address by a number that stands in the code."""


class Follower:
    """Follows the addresses of one function.

    Args:
        code: its bytes.
        area: of the atlas, in which it lies.
        start: its address there.
        filled: what the linker fills in, by offset; of an object only.
        linked: whether the file is linked.
    """

    def __init__(
        self, code: bytes, area: int, start: int, filled: Mapping[int, Relocation], linked: bool
    ) -> None:
        if len(code) % 4 or start % 4:
            raise UnknownInstructionError("the code ends inside an instruction")
        self.words: list[Word] = [decode(word) for (word,) in struct.iter_unpack("<I", code)]
        self.size, self.area, self.start = len(code), area, start
        self.filled, self.linked = filled, linked
        for at, entry in filled.items():
            bits = FIELDS.get(entry.type)
            if bits is None or at % 4 or entry.symbol is None or entry.addend is None:
                raise UnknownInstructionError(f"relocation {entry.type}")
            if bits and entry.type < 512 and entry.type not in range(263, 270):
                _refuse_unfit(self.words[at // 4], bits)
        self.before: dict[int, State] = {}
        self._jumped: State | None = None
        self.formed: dict[int, tuple[Target, ...]] = {}
        self.served: dict[int, int] = {}
        self.misused: set[int] = set()
        self.doubtful = 0

    def run(self) -> Flow:
        """The references of the function."""
        if any(word.kind in (Kind.PAGE, Kind.NEAR) for word in self.words):
            self._follow()
        items = [item for at in range(0, self.size, 4) for item in self._items(at)]
        if self.linked:
            pages = [at for at in range(0, self.size, 4) if self._is_page(at)]
            bad = [at for at in pages if at in self.misused or not self.served.get(at)]
            items += [Item(at, ADR_BITS, 0, None) for at in bad]
            self.doubtful += sum(word.kind is Kind.THREAD for word in self.words)
        items.sort(key=lambda item: item.offset)
        jumps = any(word.kind is Kind.COMPUTED_JUMP for word in self.words)
        return Flow(tuple(items), self.doubtful, jumps)

    def _is_page(self, at: int) -> bool:
        return at >= 0 and self.words[at // 4].kind is Kind.PAGE

    # --- which instruction wrote a register ---------------------------------------------

    def _inside(self, at: int) -> int | None:
        """Where in the function an instruction leads, if it leads into it."""
        word = self.words[at // 4]
        to = at + word.value
        led = at not in self.filled and 0 <= to < self.size
        return to if led and word.kind in _LEADING else None

    def _follow(self) -> None:
        leaders = {0}
        for at in range(0, self.size, 4):
            to = self._inside(at)
            if to is not None:
                leaders.add(to)
            if self.words[at // 4].kind in (*_ENDING, Kind.BRANCH):
                leaders.add(at + 4)
        leaders.discard(self.size)
        self._reach(leaders, [(0, State())])
        landed: set[int] = set()
        while True:
            # Where nothing leads, a switch may, or what unwinds the stack.
            rest = {at for at in leaders if at not in self.before}
            jumped = self._jumped
            if not rest and (
                jumped is None or all(_covers(self.before[at], jumped) for at in landed)
            ):
                return
            landed |= rest if jumped is not None else {min(rest)}
            self._reach(leaders, [(at, jumped or State()) for at in sorted(landed)])

    def _reach(self, leaders: set[int], pending: list[tuple[int, State]]) -> None:
        while pending:
            at, state = pending.pop()
            known = self.before.get(at)
            joined = state if known is None else _join(known, state)
            if joined != known:
                pending += self._block(at, joined, leaders)

    def _block(self, at: int, state: State, leaders: set[int]) -> Iterator[tuple[int, State]]:
        """Go through a block; where it leads, and what the registers hold then."""
        while True:
            self.before[at] = state
            word = self.words[at // 4]
            state = self._step(at, word, state)
            to = self._inside(at)
            if to is not None and word.kind in (Kind.JUMP, Kind.BRANCH):
                yield to, state
            if word.kind is Kind.COMPUTED_JUMP:
                self._jumped = state if self._jumped is None else _join(self._jumped, state)
            at += 4
            if word.kind in _ENDING or at >= self.size:
                return
            if at in leaders:
                yield at, state
                return

    def _step(self, at: int, word: Word, state: State) -> State:
        found = self._written(at, word, state)
        if not found:
            return state
        after = dict(state)
        for register, sites in found.items():
            if sites == _UNKNOWN or register == NONE:
                after.pop(register, None)
            else:
                after[register] = sites
        return after

    def _written(self, at: int, word: Word, state: State) -> State:
        if word.kind in (Kind.CALL, Kind.COMPUTED_CALL):
            return {r: _UNKNOWN for r in state if r not in _KEPT}
        if word.kind is Kind.VAGUE:
            return {r: state[r] | _UNKNOWN for r in word.writes if r in state}
        own = frozenset((at,))
        if word.kind is Kind.PAGE or (word.kind is Kind.NEAR and self._inside(at) is None):
            return {word.writes[0]: own}
        based = state.get(word.base, _UNKNOWN) - _UNKNOWN
        found: State = dict.fromkeys(word.writes, _UNKNOWN)
        if word.kind is Kind.ADD and (based or at in self.filled):
            found[word.writes[0]] = own
        elif word.kind is Kind.MOVE:
            sites = frozenset[int]().union(*(state.get(r, _UNKNOWN) for r in word.reads))
            found[word.writes[0]] = sites | _UNKNOWN
        if word.changes and based:
            found[word.base] = own
        return found

    # --- where it leads -----------------------------------------------------------------

    def _items(self, at: int) -> Iterator[Item]:
        word, state = self.words[at // 4], self.before.get(at, {})
        for register in word.reads:
            self._misuse(state.get(register, frozenset()))
        entry = self.filled.get(at)
        if entry is not None:
            yield from self._filled(at, word, entry, state)
            return
        if word.kind in _LEADING:
            if self._inside(at) is None:
                goes = word.kind is not Kind.NEAR
                target = self.area, self.start + at + word.value
                self.formed[at] = (target,)
                yield Item(at, word.bits, 0, target, (word.loaded, word.floating), goes)
            return
        if word.kind is Kind.PAGE and not self.linked:
            self.doubtful += 1
        yield from self._based(at, word, state)

    def _misuse(self, sites: frozenset[int]) -> None:
        self.misused |= {site for site in sites if self._is_page(site)}

    def _filled(self, at: int, word: Word, entry: Relocation, state: State) -> Iterator[Item]:
        """What the linker fills in; a page that only serves the same place is that place."""
        bits, how = FIELDS[entry.type], 0 if entry.type in _PLAIN else entry.type
        if entry.type in _PAGE and self._only_serves(at, entry):
            yield Item(at, bits, -1, None)
            return
        label = label_of(entry)
        if label is not None:
            self.formed[at] = (label,)
        access = word.kind in (Kind.OFFSET, *_LEADING) and word.kind is not Kind.NEAR
        yield Item(at, bits, how, entry, (word.loaded, word.floating), access)

    def _only_serves(self, page: int, entry: Relocation) -> bool:
        used = 0
        for at in range(0, self.size, 4):
            word, state = self.words[at // 4], self.before.get(at, {})
            if any(page in state.get(r, ()) for r in word.reads):
                return False
            if page in state.get(word.base, ()):
                low = self.filled.get(at)
                if low is None or low.type not in _LOW or _key(low) != _key(entry):
                    return False
                used += 1
        return used > 0

    def _based(self, at: int, word: Word, state: State) -> Iterator[Item]:
        """What is reached by way of a register."""
        sites = state.get(word.base, frozenset())
        pages = {site for site in sites if self._is_page(site)}
        formed = sites - pages - _UNKNOWN
        if word.kind is Kind.VAGUE:
            self._misuse(sites)
            named = [r for r in word.reads if state.get(r, _UNKNOWN) - _UNKNOWN]
            self.doubtful += bool(named)
            return
        if pages and self.linked:
            yield from self._completed(at, word, sites, pages)
        elif pages:
            self.doubtful += 1
        if formed:
            yield from self._reached(at, word, formed)
        if word.kind in (Kind.OFFSET, Kind.MEMORY) and word.base in (NONE, FRAME):
            for register in word.reads:
                for site in sorted(state.get(register, _UNKNOWN) - _UNKNOWN):
                    for target in self._values(site):
                        yield Item(at, 0, REACHED, target, spilled=True)

    def _completed(
        self, at: int, word: Word, sites: frozenset[int], pages: set[int]
    ) -> Iterator[Item]:
        """What an instruction adds to a page."""
        if not word.bits or pages != sites:
            self._misuse(sites)
            return
        for page in pages:
            self.served[page] = self.served.get(page, 0) + 1
        led = {
            (self.start + page & ~0xFFF) + self.words[page // 4].value + word.value
            for page in pages
        }
        target = (self.area, led.pop()) if len(led) == 1 else None
        if target is not None and word.kind is Kind.ADD:
            self.formed[at] = (target,)
        access = word.kind is Kind.OFFSET
        yield Item(at, word.bits, 0, target, (word.loaded, word.floating), access)

    def _reached(self, at: int, word: Word, sites: frozenset[int]) -> Iterator[Item]:
        if not word.value and (word.kind is Kind.ADD or not word.loaded):
            return
        access = word.kind is not Kind.ADD
        for site in sorted(sites):
            for area, address in self._values(site):
                target = area, address + word.value
                yield Item(at, 0, REACHED, target, (word.loaded, word.floating), access)

    def _values(self, site: int, seen: frozenset[int] = frozenset()) -> tuple[Target, ...]:
        """The addresses that an instruction forms, as far as they are places to follow."""
        if site in self.formed:
            return self.formed[site]
        if site in seen or len(seen) > _MOST:
            return ()
        state, word = self.before.get(site, {}), self.words[site // 4]
        sites = state.get(word.base, _UNKNOWN) - _UNKNOWN
        if any(map(self._is_page, sites)) and self.linked:
            led = {
                (self.start + page & ~0xFFF) + self.words[page // 4].value + word.value
                for page in sites
            }
            return ((self.area, led.pop()),) if len(led) == 1 else ()
        entry = self.filled.get(site)
        if entry is not None:
            label = label_of(entry)
            return () if label is None else (label,)
        if word.kind is Kind.NEAR:
            return ((self.area, self.start + site + word.value),)
        found = [
            (area, address + word.value)
            for base in sorted(sites)
            for area, address in self._values(base, seen | {site})
        ]
        self.doubtful += len(found) > _MOST
        return tuple(found[:_MOST])


_LEADING: Final = (Kind.JUMP, Kind.CALL, Kind.BRANCH, Kind.LITERAL, Kind.NEAR)
_ENDING: Final = (Kind.JUMP, Kind.COMPUTED_JUMP, Kind.RETURN)


def _join(a: State, b: State) -> State:
    if a == b:
        return a
    return {r: a.get(r, _UNKNOWN) | b.get(r, _UNKNOWN) for r in a.keys() | b.keys()}


def _covers(state: State, other: State) -> bool:
    """Whether another state adds nothing to one."""
    return _join(state, other) == state


def _key(entry: Relocation) -> tuple[object, ...]:
    return entry.symbol, entry.addend


def label_of(entry: Relocation) -> Target | None:
    """The place that a relocation means, where it is told by section and offset."""
    symbol = entry.symbol
    if entry.type not in _PLAIN or symbol is None or symbol.section is None:
        return None
    return (symbol.section, symbol.value + (entry.addend or 0)) if symbol.is_label else None


def _refuse_unfit(word: Word, bits: int) -> None:
    """Refuse a relocation that fills in what is no part of an address."""
    if word.bits != bits:
        raise UnknownInstructionError("a relocation where no operand is")
