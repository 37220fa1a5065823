"""Faults put by hand into the models, one at a time: what a tired engineer would write.

Each names the step, the text of its module that is replaced, and what goes wrong. They
are spread over all steps that have code, and over the kinds of mistakes that refactorings
of this sort bring: off by one, wrong client, missed re-arm, missed count, wrong order of
events, wrong polarity, a lost or an added call.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import refmodels


@dataclass(frozen=True, slots=True)
class Fault:
    step: int
    kind: str
    old: str
    new: str
    times: int = 1
    """Which occurrence of ``old`` is replaced, counted from 1."""

    @property
    def name(self) -> str:
        return f"{self.step:02d}-{self.kind}"

    def write(self, folder: Path) -> Path:
        """A copy of the step's module with the fault in it."""
        (source,) = Path(refmodels.__path__[0]).glob(f"s{self.step:02d}_*.py")
        text = source.read_text(encoding="utf-8")
        at = -1
        for _ in range(self.times):
            at = text.find(self.old, at + 1)
            assert at >= 0, f"{self.name}: the module no longer holds {self.old!r}"
        copy = folder / f"{self.name}.py"
        copy.write_text(text[:at] + self.new + text[at + len(self.old) :], encoding="utf-8")
        return copy


FAULTS = (
    Fault(2, "wrong-mask", "dirty_flags & 0xFF", "dirty_flags & 0x7F"),
    Fault(2, "assigns-instead-of-or", "|= dirty_flags", "= dirty_flags"),
    Fault(3, "forgets-a-client", "size, -1)", "size, ~vm.CODE_DIRTY_FLAG)"),
    Fault(4, "asks-about-the-next-page", "    if vm.cpu_physical_memory_is_dirty(ram_addr):",
          "    if vm.cpu_physical_memory_is_dirty(ram_addr + vm.TARGET_PAGE_SIZE):"),
    Fault(5, "wrong-client", "ram_addr, vm.CODE_DIRTY_FLAG", "ram_addr, vm.VGA_DIRTY_FLAG"),
    Fault(5, "next-page", "addr >> vm.TARGET_PAGE_BITS] |= dirty_flag",
          "(addr >> vm.TARGET_PAGE_BITS) + 1] |= dirty_flag"),
    Fault(6, "wrong-polarity", "if not vm.cpu_physical_memory_get_dirty_flag",
          "if vm.cpu_physical_memory_get_dirty_flag"),
    Fault(6, "misses-the-invalidation", "        vm.tb_invalidate_phys_page_fast(ram_addr, size)\n", ""),
    Fault(7, "or-instead-of-and", "vga and code and migration", "vga and code or migration"),
    Fault(7, "forgets-a-client", "vga and code and migration", "vga and code"),
    Fault(8, "forgets-a-client",
          "    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.VGA_DIRTY_FLAG)\n", ""),
    Fault(8, "always-direct", "    if vm.cpu_physical_memory_is_dirty(ram_addr):\n        ", "    "),
    Fault(8, "sets-code", "vm.VGA_DIRTY_FLAG", "vm.CODE_DIRTY_FLAG"),
    Fault(9, "last-page-only", "ret |= vm", "ret = vm"),
    Fault(9, "rounds-down", "(start + length + vm.TARGET_PAGE_SIZE - 1)", "(start + length)"),
    Fault(10, "device-marks-code", "addr, vm.VGA_DIRTY_FLAG)\n        vm.cpu_physical_memory_set_dirty_flag(addr, vm.MIGRATION",
          "addr, vm.CODE_DIRTY_FLAG)\n        vm.cpu_physical_memory_set_dirty_flag(addr, vm.MIGRATION"),
    Fault(10, "wrong-order-of-events", "        vm.tb_invalidate_phys_page_range(addr, addr + length, False)\n",
          "        vm.xen_modified_memory(addr, length)\n        vm.tb_invalidate_phys_page_range(addr, addr + length, False)\n        return\n"),
    Fault(10, "store-always-logs", "vm.in_migration and not ", "not "),
    Fault(11, "misses-the-last-page", "while addr < end:", "while addr + vm.TARGET_PAGE_SIZE < end:"),
    Fault(11, "event-before-alignment", "vm.xen_modified_memory(addr, length)",
          "vm.xen_modified_memory(start, length)"),
    Fault(11, "store-not-grown",
          "    vm.renew(vm.phys_dirty, vm.last_ram_offset() >> vm.TARGET_PAGE_BITS)\n", ""),
    Fault(12, "clears-too-much", "mask = ~dirty_flag & 0xFF", "mask = 0"),
    Fault(12, "misses-the-rearm", "    if vm.tcg:\n        vm.tlb_reset_dirty_range_all(start, end, length)\n", ""),
    Fault(13, "wrong-client", "ram_addr + vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_CODE",
          "ram_addr + vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_VGA"),
    Fault(13, "flag-where-client-is-meant", "return bool(vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] & (1 << client))",
          "return bool(vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] & client)"),
    Fault(14, "two-clients-one-bit", "DIRTY_MEMORY_MIGRATION=2", "DIRTY_MEMORY_MIGRATION=1"),
    Fault(15, "assertion-off-by-one", "client < vm.DIRTY_MEMORY_NUM)\n    try:\n        return",
          "client < vm.DIRTY_MEMORY_NUM - 1)\n    try:\n        return"),
    Fault(16, "never-grows", "if new_ram_size > old_ram_size:", "if old_ram_size == 0:"),
    Fault(16, "marks-only-when-grown", "    vm.cpu_physical_memory_set_dirty_range(new",
          "        vm.cpu_physical_memory_set_dirty_range(new"),
    Fault(16, "store-not-grown", "        vm.renew(vm.phys_dirty, new_ram_size)\n", ""),
    Fault(17, "clears-the-others", "mask = ~(1 << client) & 0xFF", "mask = 1 << client"),
    Fault(19, "old-size-in-words", "vm.dirty_memory[i], old_ram_size, new_ram_size",
          "vm.dirty_memory[i], 0, new_ram_size"),
    Fault(19, "one-bitmap-not-grown", "for i in range(vm.DIRTY_MEMORY_NUM):",
          "for i in range(vm.DIRTY_MEMORY_NUM - 1):"),
    Fault(20, "off-by-one", "range(start, end, vm.TARGET_PAGE_SIZE)",
          "range(start, end - vm.TARGET_PAGE_SIZE, vm.TARGET_PAGE_SIZE)"),
    Fault(21, "forgets-a-client",
          "        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_CODE)\n", ""),
    Fault(22, "same-client-twice", "vm.dirty_memory[vm.DIRTY_MEMORY_VGA]",
          "vm.dirty_memory[vm.DIRTY_MEMORY_CODE]"),
    Fault(23, "asks-about-nothing", "vm.cpu_physical_memory_get_dirty(addr, 1, client)",
          "vm.cpu_physical_memory_get_dirty(addr, 0, client)"),
    Fault(23, "swapped-arguments", "vm.cpu_physical_memory_get_dirty(addr, 1, client)",
          "vm.cpu_physical_memory_get_dirty(addr, client, 1)"),
    Fault(24, "stops-at-the-first-clean-page", "            return True\n    return False",
          "            return True\n        return False\n    return False"),
    Fault(25, "sets-instead-of-clears", "vm.clear_bit(", "vm.set_bit("),
    Fault(25, "forgets-the-rename-of-an-argument", "cpu_physical_memory_clear_dirty_range(start, length, client)\n    if",
          "cpu_physical_memory_clear_dirty_range(start, end, client)\n    if"),
    Fault(26, "off-by-one", "return following < end", "return following <= end"),
    Fault(26, "rounds-down", "(start + length + vm.TARGET_PAGE_SIZE - 1) >>", "(start + length) >>"),
    Fault(27, "end-for-length", "_MIGRATION], page, end - page)", "_MIGRATION], page, end)"),
    Fault(27, "tells-xen-the-page", "vm.xen_modified_memory(start, length)",
          "vm.xen_modified_memory(page << vm.TARGET_PAGE_BITS, length)"),
    Fault(28, "misses-the-last-page", "page, end - page)", "page, end - page - 1)"),
    Fault(29, "forgets-to-flip", "= not vm.cpu_physical_memory_is_clean(addr)",
          "= vm.cpu_physical_memory_is_clean(addr)"),
    Fault(29, "de-morgan", "not (vga and code and migration)", "not vga and not code and not migration"),
    Fault(30, "rearms-with-end", "vm.cpu_tlb_reset_dirty_all(start, length)",
          "vm.cpu_tlb_reset_dirty_all(start, end)"),
    Fault(30, "misses-the-rearm", "    if vm.tcg:\n        vm.tlb_reset_dirty_range_all(start, length)\n", ""),
    Fault(30, "aligns-the-length-too", "    block = vm.qemu", "    length = end - start\n    block = vm.qemu"),
    Fault(30, "may-leave-the-block", "    vm.abort(block is vm.qemu_get_ram_block(end - 1))\n", ""),
    Fault(31, "swapped", "tracking(True)", "tracking(False)"),
    Fault(33, "counts-without-resetting", "                vm.cpu_physical_memory_reset_dirty(\n                    block.offset + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION\n                )\n", ""),
    Fault(33, "wrong-client", "vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION\n                )", "vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_VGA\n                )"),
    Fault(34, "forgets-hpratio", "vm.TARGET_PAGE_SIZE * hpratio", "vm.TARGET_PAGE_SIZE"),
    Fault(35, "adds-the-start-twice", "start + addr, ", "start + addr + i * start, "),
    Fault(36, "rounds-down", "(pages + vm.BITS_PER_LONG - 1)", "pages"),
    Fault(36, "swapped-arguments", "bitmap, section_addr, pages", "bitmap, pages, section_addr"),
    Fault(37, "wrong-word", "[vm.DIRTY_MEMORY_CODE][word + k]", "[vm.DIRTY_MEMORY_CODE][word]"),
    Fault(37, "assigns-instead-of-or", "[vm.DIRTY_MEMORY_VGA][word + k] |=", "[vm.DIRTY_MEMORY_VGA][word + k] ="),
    Fault(37, "alignment-to-pages-only", "if word << vm.LONG_SHIFT << vm.TARGET_PAGE_BITS == start:",
          "if start & ~vm.TARGET_PAGE_MASK == 0:"),
    Fault(38, "misses-the-count", "        vm.migration_dirty_pages += 1\n", "        pass\n"),
    Fault(38, "block-offset-lost", "vm.migration_bitmap_set_dirty(start + addr)",
          "vm.migration_bitmap_set_dirty(addr)"),
    Fault(39, "counts-all", "new_dirty = ~vm.migration_bitmap[k] & src[k]", "new_dirty = src[k]"),
    Fault(39, "keeps-the-source", "                src[k] = 0\n", ""),
    Fault(39, "assigns-instead-of-or", "vm.migration_bitmap[k] |= src[k]", "vm.migration_bitmap[k] = src[k]"),
    Fault(39, "rounds-down", "(pages + vm.BITS_PER_LONG - 1)", "pages"),
    Fault(39, "slow-path-misses-the-rearm", "            vm.cpu_physical_memory_reset_dirty(\n", "            vm.cpu_physical_memory_clear_dirty_range(\n"),
)  # fmt: skip

INSIDE = (
    Fault(11, "zeroes-past-the-store", "pages = size >>", "pages = size <<"),
    Fault(15, "assertion-too-wide", "client < vm.DIRTY_MEMORY_NUM", "client <= vm.DIRTY_MEMORY_NUM + 1", 2),
    Fault(16, "resizes-always", "new_ram_size > old_ram_size", "True"),
    Fault(16, "resizes-when-the-end-stays", "new_ram_size > old", "new_ram_size >= old"),
    Fault(16, "zeroes-elsewhere", "first = new_block.offset >>", "first = new_block.offset <<"),
    Fault(16, "zeroes-past-the-store", "pages = size >>", "pages = size <<"),
    Fault(18, "clears-the-old", "vm.bitmap_clear(old, old_nbits, new_nbits - old_nbits)",
          "vm.bitmap_clear(old, 0, new_nbits)"),
    Fault(19, "resizes-always", "new_ram_size > old_ram_size", "True"),
    Fault(19, "resizes-when-the-end-stays", "new_ram_size > old", "new_ram_size >= old"),
    Fault(19, "one-page-too-many", "vm.INT_MAX + 1", "vm.INT_MAX + 2"),
    Fault(19, "one-page-too-few", "> vm.INT_MAX + 1", ">= vm.INT_MAX + 1"),
    Fault(19, "limit-before-the-last-page", "vm.INT_MAX + 1", "vm.INT_MAX - 1"),
    Fault(19, "limit-of-the-wrong-end", "new_block.offset + size", "new_block.offset - size"),
    Fault(19, "assertion-off-by-one", "client < vm.DIRTY_MEMORY_NUM", "client <= vm.DIRTY_MEMORY_NUM", 2),
    Fault(25, "misses-a-last-byte", "vm.TARGET_PAGE_SIZE - 1", "vm.TARGET_PAGE_SIZE - 2"),
)  # fmt: skip
"""Faults that no trace shows by what it observes: how long the store is, which page number is
the last, what a function does that no caller asks of it. Properties and direct calls find them.
"""
