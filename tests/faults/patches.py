"""Faults put by hand into single patches of the C series, one at a time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from replay.series.declared import data_path


@dataclass(frozen=True, slots=True)
class PatchFault:
    step: int
    kind: str
    old: str
    new: str

    @property
    def name(self) -> str:
        return f"{self.step:02d}-{self.kind}"

    def write(self, folder: Path) -> Path:
        """A copy of the series with the fault in one patch."""
        copy = folder / "series"
        for part in ("tree", "patches"):
            shutil.copytree(data_path() / part, copy / part)
        shutil.copy(data_path() / "series.toml", copy)
        (patch,) = (copy / "patches").glob(f"{self.step:04d}-*.patch")
        text = patch.read_text(encoding="utf-8")
        head, mark, diff = text.partition("\ndiff --git")
        lines = diff.split("\n")
        at = next(
            (i for i, line in enumerate(lines)
             if line.startswith("+") and not line.startswith("+++") and self.old in line),
            None,
        )  # fmt: skip
        assert at is not None, f"{self.name}: no added line holds {self.old!r}"
        lines[at] = lines[at].replace(self.old, self.new, 1)
        patch.write_text(head + mark + "\n".join(lines), encoding="utf-8")
        return copy


FAULTS = (
    PatchFault(2, "assigns-instead-of-or", "|= dirty_flags", "= dirty_flags"),
    PatchFault(3, "forgets-a-client", "size, -1)", "size, ~CODE_DIRTY_FLAG)"),
    PatchFault(4, "next-page", "is_dirty(ram_addr)", "is_dirty(ram_addr + TARGET_PAGE_SIZE)"),
    PatchFault(5, "wrong-client", "ram_addr, CODE_DIRTY_FLAG", "ram_addr, VGA_DIRTY_FLAG"),
    PatchFault(6, "wrong-polarity", "if (!cpu_physical", "if (cpu_physical"),
    PatchFault(7, "or-instead-of-and", "code && migration", "(code || migration)"),
    PatchFault(8, "wrong-client", "ram_addr, VGA_DIRTY_FLAG", "ram_addr, CODE_DIRTY_FLAG"),
    PatchFault(9, "last-page-only", "found |= cpu", "found = cpu"),
    PatchFault(10, "wrong-client", "addr, VGA_DIRTY_FLAG", "addr, CODE_DIRTY_FLAG"),
    PatchFault(11, "half-the-range", "new_block->offset, size)", "new_block->offset, size / 2)"),
    PatchFault(12, "clears-the-rest", "&= ~dirty_flag", "&= dirty_flag"),
    PatchFault(13, "wrong-client", "DIRTY_MEMORY_CODE);", "DIRTY_MEMORY_VGA);"),
    PatchFault(14, "two-clients-one-bit", "MIGRATION 2", "MIGRATION 1"),
    PatchFault(15, "assertion-off-by-one", "client < DIRTY_MEMORY_NUM", "client < 2"),
    PatchFault(16, "never-grows", "new_ram_size > old_ram_size", "old_ram_size == 0"),
    PatchFault(17, "clears-the-others", "&= ~(1 << client)", "&= (1 << client)"),
    PatchFault(19, "clears-the-old", "old_ram_size, new_ram_size);", "0, new_ram_size);"),
    PatchFault(20, "sets-instead-of-clears", "clear_bit(addr", "set_bit(addr"),
    PatchFault(21, "forgets-a-client", "DIRTY_MEMORY_CODE)", "DIRTY_MEMORY_VGA)"),
    PatchFault(22, "same-client-twice", "[DIRTY_MEMORY_VGA]", "[DIRTY_MEMORY_CODE]"),
    PatchFault(23, "asks-about-nothing", "addr, 1, client", "addr & TARGET_PAGE_MASK, 0, client"),
    PatchFault(24, "never-true", "return true", "return false"),
    PatchFault(26, "off-by-one", "page) < end", "page) <= end"),
    PatchFault(27, "end-for-length", "[DIRTY_MEMORY_VGA], page, end - page", "[DIRTY_MEMORY_VGA], page, end"),
    PatchFault(28, "misses-the-last-page", "page, end - page", "page, end - page - 1"),
    PatchFault(29, "de-morgan", "!(vga && code && migration)", "!vga && !code && !migration"),
    PatchFault(30, "rearms-all", "range_all(start, length);", "range_all(start, length + TARGET_PAGE_SIZE);"),
    PatchFault(31, "swapped", "tracking(true)", "tracking(false)"),
    PatchFault(33, "wrong-client", "DIRTY_MEMORY_MIGRATION);", "DIRTY_MEMORY_VGA);"),
    PatchFault(34, "forgets-the-page", "+ nr * host_page, host_page", "+ nr * host_page, 1"),
    PatchFault(35, "start-twice", "range(start + nr", "range(start + start + nr"),
    PatchFault(36, "forgets-a-word", "i < words", "i + 1 < words"),
    PatchFault(37, "wrong-word", "dirty[DIRTY_MEMORY_CODE][first + i]", "dirty[DIRTY_MEMORY_CODE][first]"),
    PatchFault(38, "skips-a-page", "addr += TARGET_PAGE_SIZE", "addr += 2 * TARGET_PAGE_SIZE"),
    PatchFault(39, "keeps-the-source", "dirty[word] = 0", "dirty[word] &= 1"),
)  # fmt: skip
