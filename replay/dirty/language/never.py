"""Paths that no trace reaches: each is argued, none is dropped without a word.

A path that is neither reached nor argued is *not reached*, and named as such. One that is
argued and yet reached shows that the argument is wrong: a report says so.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from replay.dirty.language.paths import WAYS, Path

ALWAYS: Final = 1 << 30


class Never(NamedTuple):
    """Paths that cannot be, and why.

    Attributes:
        ops: the operations, "" for all.
        labels: what the path has among its labels, as a path is written.
        why: the argument.
        before: the first step at which it is no longer so.

    """

    ops: str
    labels: str
    why: str
    before: int = ALWAYS

    def fits(self, path: Path) -> bool:
        """Whether a path is one of these."""
        wanted = {tuple(pair.split("=")) for pair in self.labels.split()}
        return (not self.ops or path.op in self.ops.split()) and wanted <= set(path.labels)


_SYNCS: Final = "migration_start migration_sync"

NEVER: Final = (
    Never("", "start=inside extent=one", "a range that begins inside a page holds no single whole"),
    Never("", "start=inside extent=whole", "a block begins where a page does"),
    Never("dma_write", "extent=out", "the domain keeps a device write in its block"),
    Never("ram_alloc", "store=new ram=kept", "the first block is the first RAM that there is"),
    Never("ram_alloc", "store=grows ram=kept",
          "the store of step 0 ends where RAM ended last, or past it: what grows it raises RAM"),
    Never("ram_alloc", "store=new place=page", "the first block is placed at page 0"),
    Never("ram_alloc", "store=new migration=running", "a migration needs RAM to begin"),
    Never("page_get_flag", "dirty=some", "one page is dirty for one client, or it is not"),
    Never("kvm_log_sync", "start=inside", "the kernel logs whole pages: a section begins with one"),
    Never(_SYNCS, "pending=none armed=notdirty", "armed is the entry of a page that is pending"),
    Never(_SYNCS, "pending=none armed=direct", "armed is the entry of a page that is pending"),
    Never("migration_next", "from=past found=here", "past its end a block has no page"),
    Never("migration_next", "from=past found=later", "past its end a block has no page"),
    *(
        Never(op, f"way={label}", f"before step {way.since} the code goes by pages alone",
              way.since)
        for op, way in WAYS.items()
        for label in dict.fromkeys(way.label.values())
        if label != "bits"
    ),
)  # fmt: skip
"""The paths that cannot be."""


@cache
def arguments(path: Path) -> tuple[Never, ...]:
    """The entries that say of a path that it cannot be reached, at some steps at least."""
    return tuple(entry for entry in NEVER if entry.fits(path))


def never(path: Path, step: int) -> str:
    """Why a path cannot be reached at a step; "" where it can."""
    return next((entry.why for entry in arguments(path) if step < entry.before), "")
