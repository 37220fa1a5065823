"""The operations of the trace language, as the page reads and checks them.

``static/trace.js`` is written by hand, with two lines that stand for what follows from the
table of operations: their parameters, and the checks of those operations that have none of
their own there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from replay.dirty.language.addresses import Aligned, OfBlock
from replay.dirty.language.kind import Kind
from replay.dirty.language.kinds import BlockPages, HostPages, Length, Size, Words
from replay.dirty.language.operations import IDLE, OPS, RUNNING, Operation

OPERATIONS: Final = "  //@operations\n"
CHECKS: Final = "  //@checks\n"

_CHECK: Final[Mapping[type[Kind], str]] = {
    OfBlock: "startsBlock",
    Aligned: "CHECKS.store_notdirty",
    Size: "CHECKS.store",
    BlockPages: "CHECKS.ram_alloc",
    HostPages: "CHECKS.kvm_log_sync",
    Words: "CHECKS.kvm_log_sync",
}
"""The function of ``trace.js`` that checks a kind; for most there is nothing to check."""

_LENGTH: Final = {"block": "CHECKS.dma_write", "ram": "insideRam", "": ""}


def with_operations(script: str, operations: Mapping[str, Operation] = OPS) -> str:
    """``trace.js`` with its two lines filled in."""
    by_hand = set(re.findall(r"^  (\w+)[:(]", script, re.MULTILINE))
    parameters = "".join(
        f"  {name}: {json.dumps(operation.parameters)},\n" for name, operation in operations.items()
    )
    checks = "".join(
        f"  {name}: (named, layout, block, limits) => {' || '.join(calls)} || null,\n"
        for name, operation in operations.items()
        if name not in by_hand and (calls := _calls(operation))
    )
    return script.replace(OPERATIONS, parameters).replace(CHECKS, checks)


def _calls(operation: Operation) -> list[str]:
    found = [{RUNNING: "running", IDLE: "CHECKS.migration_start", None: ""}[operation.when]]
    for kind in operation.kinds:
        check = _LENGTH[kind.within] if isinstance(kind, Length) else _CHECK.get(type(kind), "")
        if check not in found:
            found.append(check)
    return [f"{name}(named, layout, block, limits)" for name in found if name]
