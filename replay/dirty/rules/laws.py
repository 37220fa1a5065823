"""The laws: what a step must show where it deviates, exactly.

A law takes the moment before an operation and what the step before made of it, and
gives what the deviating step must make of it. Laws are written as set algebra over
whole page sets, with none of the models' loops and words: where law and model agree,
two different texts agree. All laws of a step apply one after the other.

"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from replay.dirty.language.trace import CLIENTS, Config, Op
from replay.dirty.machine.moment import Moment
from replay.dirty.machine.pagesets import numbers, span

Law: TypeAlias = Callable[[Config, Moment, Op, Moment], Moment]
"""(config, before, operation, what the step before made of it) → what this step must."""

LAWS: Final[dict[str, Law]] = {}
LAW_OPS: Final[dict[str, frozenset[str]]] = {}
"""Which operations a law has something to say about."""


def law(*ops: str) -> Callable[[Law], Law]:
    """Enter a law under its name, for some operations."""

    def enter(function: Law) -> Law:
        LAWS[function.__name__] = function
        LAW_OPS[function.__name__] = frozenset(ops)
        return function

    return enter


def _xen(first: int, length: int) -> tuple[str, int, int]:
    return ("xen_modified", first, length)


def log_bits(op: Op, config: Config) -> int:
    """The log of a kvm_log_sync as one integer, bit i for the i-th host page."""
    words: Any = op.args[2]
    log = 0
    for i, word in enumerate(words):
        log |= word << (i * config.word_bits)
    return log


def on_word(op: Op, config: Config) -> bool:
    """Whether the operation's address is the first page of a word."""
    addr: Any = op.args[0]
    return addr % (config.page_size * config.word_bits) == 0  # type: ignore[no-any-return]


@law("ram_alloc", "region_set_dirty", "kvm_log_sync")
def xen_told_start(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 27: Xen is told the start of each range that is set, not its end."""
    a: Mapping[str, Any] = op.named()
    page = config.page_size
    if op.name == "ram_alloc":
        told = [_xen(made.ret, a["pages"] * page)]
    elif op.name == "region_set_dirty":
        told = [_xen(a["addr"], a["length"])]
    else:
        size = page * config.hpratio
        told = [_xen(a["addr"] + bit * size, size) for bit in numbers(log_bits(op, config))]
    return replace(made, events=tuple(told))


def _cleared(op: Op, made: Moment) -> bool:
    """Whether a reset was asked for: always, or because the range was dirty."""
    return op.name == "region_reset_dirty" or made.ret is True


@law("region_reset_dirty", "region_test_and_clear_dirty")
def empty_reset(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 30: a reset of length 0 leaves all as it was, not only at an aligned start."""
    if op.args[1] != 0 or not _cleared(op, made):
        return made
    return replace(made, status="ok", events=(), dirty=before.dirty, tlb=before.tlb)


@law("region_reset_dirty", "region_test_and_clear_dirty")
def last_page_not_rearmed(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 30: ceil(length / page) pages are re-armed, not all that the range touches."""
    if not config.tcg or made.status != "ok" or not _cleared(op, made) or op.args[1] == 0:
        return made
    a: Mapping[str, Any] = op.named()
    page = config.page_size
    first = a["addr"] // page
    rearmed = first + -(-a["length"] // page)
    end = -(-(a["addr"] + a["length"]) // page)
    tlb = dict(made.tlb)
    for left in range(rearmed, end):
        if left in before.tlb:
            tlb[left] = before.tlb[left]
    return replace(made, tlb=tlb)


@law("kvm_log_sync")
def log_bit_is_one_page(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 37: on the word path bit i of the log is a target page, not a host page.

    Bits past the last word of the store are lost.
    """
    if not on_word(op, config):
        return made
    addr: Any = op.args[0]
    marked = log_bits(op, config) << (addr // config.page_size) & span(0, before.room)
    vga, code, migration = before.dirty
    return replace(made, dirty=(vga | marked, code | marked, migration | marked))


@law("kvm_log_sync")
def xen_told_pages(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 37: on the word path Xen is told (start, pages) once, not (start, bytes) a bit."""
    addr: Any = op.args[0]
    pages: Any = op.args[1]
    if not on_word(op, config) or not log_bits(op, config):
        return made
    return replace(made, events=(_xen(addr, pages),))


@law("kvm_log_sync")
def xen_told_of_nothing(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 37: on the word path Xen is told of an empty log as of any, not left alone."""
    addr: Any = op.args[0]
    pages: Any = op.args[1]
    if not on_word(op, config) or log_bits(op, config):
        return made
    return replace(made, events=(_xen(addr, pages),))


def _word_spans(config: Config, moment: Moment) -> list[tuple[int, int, bool]]:
    """(block's pages, pages that its sync takes, whether by words), in list order."""
    spans = []
    for first, count in moment.blocks:
        own = span(first, count)
        words = first % config.word_bits == 0
        taken = span(first, -(-count // config.word_bits) * config.word_bits) if words else own
        spans.append((own, taken, words))
    return spans


def _arm(tlb: dict[int, bool], pages: int) -> None:
    """Make the entries of pages slow again."""
    for page in numbers(pages):
        if page in tlb:
            tlb[page] = False


@law("migration_start", "migration_sync")
def sync_does_not_rearm(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 39: a page that a word takes keeps its TLB entry; one taken alone is re-armed."""
    if not config.tcg:
        return made
    left = before.dirty[CLIENTS.index("migration")]
    tlb = dict(before.tlb)
    for own, taken, words in _word_spans(config, before):
        if not words:
            _arm(tlb, own & left)
        left &= ~taken
    return replace(made, tlb=tlb)


@law("migration_start", "migration_sync")
def sync_moves_ghosts(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """Step 39: dirty bits of no page, in a word that is moved, are moved and counted too."""
    vga, code, migration = made.dirty
    ghosts = 0
    for _, taken, words in _word_spans(config, before):
        if words:
            ghosts |= taken & migration & ~before.pages
    if not ghosts:
        return made
    assert made.bitmap is not None, "a sync leaves a migration bitmap"
    count = made.migration_dirty_pages + (ghosts & ~made.bitmap).bit_count()
    return replace(
        made,
        ret=count,
        dirty=(vga, code, migration & ~ghosts),
        bitmap=made.bitmap | ghosts,
        migration_dirty_pages=count,
    )


# --- what came after the series ------------------------------------------------------------


@law("kvm_log_sync")
def log_bit_is_host_page(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """f9ee9f9ac2: with larger host pages, bit i of the log marks the i-th host page.

    Of pages past the end of the store nothing is marked.
    """
    if not on_word(op, config) or config.hpratio == 1:
        return made
    addr: Any = op.args[0]
    marked = 0
    for bit in numbers(log_bits(op, config)):
        marked |= span(addr // config.page_size + bit * config.hpratio, config.hpratio)
    marked &= span(0, before.room)
    vga, code, migration = before.dirty
    return replace(made, dirty=(vga | marked, code | marked, migration | marked))


@law("kvm_log_sync")
def xen_told_host_pages(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """f9ee9f9ac2: with larger host pages, Xen is told (start, bytes) of each that is marked."""
    if not on_word(op, config) or config.hpratio == 1:
        return made
    addr: Any = op.args[0]
    size = config.page_size * config.hpratio
    told = [_xen(addr + bit * size, size) for bit in numbers(log_bits(op, config))]
    return replace(made, events=tuple(told))


@law("kvm_log_sync")
def xen_told_bytes(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """49dfcec403: on the word path Xen is told the bytes of the log's pages."""
    addr: Any = op.args[0]
    pages: Any = op.args[1]
    if not on_word(op, config):
        return made
    return replace(made, events=(_xen(addr, pages * config.page_size),))


@law("kvm_log_sync")
def xen_told_bytes_of_small_pages(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """49dfcec403 where the word path is taken only if host pages are target pages."""
    return xen_told_bytes(config, before, op, made) if config.hpratio == 1 else made


def _bitmap(before: Moment, op: Op) -> tuple[int, int]:
    """The migration bitmap that a sync starts from, and how many pages count as in it."""
    if op.name == "migration_start":
        ram = max((first + count for first, count in before.blocks), default=0)
        return span(0, ram), ram
    assert before.bitmap is not None, "a sync is one of a migration"
    return before.bitmap, before.migration_dirty_pages


@law("migration_start", "migration_sync")
def only_whole_words_unarmed(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """sync-length: a page that a block's last word shares is taken alone, and re-armed."""
    if not config.tcg:
        return made
    left = before.dirty[CLIENTS.index("migration")]
    tlb = dict(before.tlb)
    for first, count in before.blocks:
        own = span(first, count)
        if first % config.word_bits or count % config.word_bits:
            _arm(tlb, own & left)
        left &= ~own
    return replace(made, tlb=tlb)


@law("migration_start", "migration_sync")
def ghosts_stay(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """sync-length: dirty bits of no page are neither moved nor counted."""
    vga, code, migration = before.dirty
    bitmap, count = _bitmap(before, op)
    count += (migration & before.pages & ~bitmap).bit_count()
    return replace(
        made,
        ret=count,
        dirty=(vga, code, migration & ~before.pages),
        bitmap=bitmap | migration & before.pages,
        migration_dirty_pages=count,
    )


def _rearmed(
    config: Config, before: Moment, op: Op, made: Moment, whole: bool, new: bool = True
) -> Moment:
    """What made, with each block re-armed of which words brought new pages.

    ``whole``: whether a block has to end with a word for being synced by words; ``new``:
    whether the pages have to be new in the migration bitmap.
    """
    if not config.tcg:
        return made
    left = before.dirty[CLIENTS.index("migration")]
    bitmap, _ = _bitmap(before, op)
    tlb = dict(made.tlb)
    for own, taken, words in _word_spans(config, before):
        by_words = words and not (whole and taken != own)
        moved = left & (taken if by_words else own)
        if by_words and (moved & ~bitmap if new else moved):
            _arm(tlb, own)
        bitmap |= moved
        left &= ~moved
    return replace(made, tlb=tlb)


@law("migration_start", "migration_sync")
def new_pages_rearm(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """03bfc2188f: a block of which words brought a new page is re-armed as a whole."""
    return _rearmed(config, before, op, made, whole=False)


@law("migration_start", "migration_sync")
def new_pages_rearm_whole_words(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """03bfc2188f where only a block of whole words is synced by words."""
    return _rearmed(config, before, op, made, whole=True)


@law("migration_start", "migration_sync")
def taken_pages_rearm(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """rearm-taken: a block of which words brought any page is re-armed as a whole."""
    return _rearmed(config, before, op, made, whole=False, new=False)


@law("migration_start", "migration_sync")
def taken_pages_rearm_whole_words(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """rearm-taken where only a block of whole words is synced by words."""
    return _rearmed(config, before, op, made, whole=True, new=False)


@law("migration_start")
def start_drops_tlb(config: Config, before: Moment, op: Op, made: Moment) -> Moment:
    """log-start-flush: under TCG no TLB entry outlives the start of dirty logging."""
    return replace(made, tlb={}) if config.tcg and made.status == "ok" else made
