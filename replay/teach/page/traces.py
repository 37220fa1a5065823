"""The traces that the player offers: of the lessons, of the check's findings, of a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from replay.dirty.language.files import trace_to_text
from replay.dirty.language.trace import State, Trace
from replay.dirty.machine.run import ALL_PAGES, PythonModel, block_mask, end_of_ram, start
from replay.teach.lessons.shortest import shortest_trace
from replay.teach.page.verdicts import CheckReport, ExampleReport

MOST_PAGES: Final = 1024
"""Pages that the player draws; as ``LIMITS`` in ``static/trace.js``."""


USUAL: Final[dict[str, Any]] = {"ret": None, "status": "ok", "events": []}
"""What most operations give: left out of a recorded run, as ``static/run.js`` knows."""


@dataclass(frozen=True, slots=True)
class Playable:
    """A trace with the two steps to play it at. A step with a ``!`` is one with a mistake."""

    id: str
    title: str
    note: str
    trace: Trace
    a: str
    b: str
    recorded: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As the player reads it."""
        return {
            "id": self.id,
            "title": self.title,
            "note": self.note,
            "text": trace_to_text(self.trace),
            "a": self.a,
            "b": self.b,
            "recorded": self.recorded,
        }


def found_traces(report: CheckReport) -> Iterator[Playable]:
    """A trace of each deviation, broken property and failure of a check.

    Of a deviation the shortest that there is; of others what the check made of its own.
    """
    for step in report.steps:
        found: list[tuple[str, str, ExampleReport | None]] = [
            *((d.id, d.text, d.example) for d in step.deviations),
            *((f"breaks {p.property}", p.text, p.example) for p in step.breaks),
            *((f"not declared: {f.what}", f.text, f.example) for f in step.failures),
        ]
        for what, text, example in found:
            if example is None:
                continue
            trace = shortest_trace(step.step, what) or example.trace()
            if trace.most_pages <= MOST_PAGES:
                yield Playable(
                    trace_id(step.step, what),
                    f"step {step.step}: {what}",
                    text,
                    trace,
                    str(step.step - 1),
                    str(step.step),
                )


def trace_id(step: int, what: str) -> str:
    """What a finding's trace is called in links."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in what)
    return f"found-{step:02d}-{plain}"


def record(machine: type[Any], trace: Trace, step: str) -> dict[str, Any]:
    """A run of a changed model, with what the player draws of it.

    The page translates the models as they are; a mistake may be written in any Python,
    so that its run on the lesson's trace is recorded here.
    """
    run = PythonModel(0, machine).run(trace)
    observations: list[dict[str, Any] | None] = []
    state = State().to_json()
    for seen in run.observations():
        if seen is None:
            observations.append(None)
            continue
        said = {key: value for key, value in seen.to_json().items() if value != USUAL.get(key, "")}
        if seen.state is not None:
            # Most operations leave most as it was: what is as before is not said again.
            now = said["state"]
            said["state"] = {k: v for k, v in now.items() if state[k] != v}
            state = now
        observations.append(said)
    return {
        "step": step,
        "observations": observations,
        "memories": _changes(_memories(machine, trace)),
    }


def _changes(memories: list[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
    before: dict[str, Any] = {}
    shorter: list[dict[str, Any] | None] = []
    for memory in memories:
        if memory is None:
            shorter.append(None)
            continue
        shorter.append({k: v for k, v in memory.items() if before.get(k) != v})
        before = memory
    return shorter


def _memories(machine: type[Any], trace: Trace) -> list[dict[str, Any] | None]:
    vm = start(machine, trace)
    memories: list[dict[str, Any] | None] = []
    for name, args in trace.program:
        try:
            getattr(vm, name)(*args)
        except Exception:
            # An abort, or the mistake's own failure: what it left behind is the last there is.
            memories.append(_memory(vm))
            break
        memories.append(_memory(vm))
    return memories + [None] * (len(trace.ops) - len(memories))


def _memory(vm: Any) -> dict[str, Any]:
    bits = vm.TARGET_PAGE_BITS
    bitmap = vm.migration_bitmap
    return {
        "store": _store(vm),
        "clients": list(vm.clients),
        "mask": f"{block_mask(vm):x}",
        "end": end_of_ram(vm).bit_length() if vm.blocks else 0,
        "blocks": [[block.offset >> bits, block.length >> bits] for block in vm.blocks],
        "hidden": f"{vm.bits_of(bitmap, 0, ALL_PAGES) if bitmap is not None else 0:x}",
    }


def _store(vm: Any) -> dict[str, Any]:
    if "phys_dirty" in vm.FIELDS:
        content = bytes(vm.phys_dirty)
        planes = [
            sum((byte >> bit & 1) << page for page, byte in enumerate(content)) for bit in range(8)
        ]
        return {"kind": "bytes", "planes": [f"{p:x}" for p in planes], "pages": len(content)}
    maps = vm.dirty_memory
    planes = [vm.bits_of(words, 0, ALL_PAGES) for words in maps]
    pages = len(maps[0]) * vm.BITS_PER_LONG
    return {"kind": "bitmaps", "planes": [f"{p:x}" for p in planes], "pages": pages}
