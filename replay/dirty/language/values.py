"""Single values as text: what an operation returned, whom it told, what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.dirty.language.operations import OPS
from replay.dirty.language.pages import run_text
from replay.dirty.language.trace import PAGE_SETS, Config, Event, Op, Trace

EVENTS_SHOWN: Final = 4


def trace_name(trace: Trace) -> str:
    """A trace's name, fit for a terminal."""
    return printable(trace.name) or "(no name)"


def op_text(op: Op) -> str:
    """An operation as a call; a long log is cut."""
    text = str(op)
    return text if len(text) <= 200 else text[:200] + "…)"


def ret_text(ret: Any, op: Op) -> str:
    """What an operation returned; offsets in hexadecimal."""
    if ret is None:
        return "null"
    if isinstance(ret, bool):
        return "true" if ret else "false"
    if isinstance(ret, int):
        return f"{ret:#x}" if OPS[op.name].result.hexadecimal else str(ret)
    return printable(str(ret))


def event_text(event: Event) -> str:
    """One event: addresses in hexadecimal."""
    if event.kind == "xen_modified":
        return f"xen_modified {event.first:#x} length {event.second:#x}"
    return f"{event.kind} {event.first:#x} to {event.second:#x}"


def event_texts(events: Sequence[Event], shown: int = EVENTS_SHOWN) -> list[str]:
    """Events, one a text; past ``shown`` of them only their number."""
    texts = [event_text(event) for event in events[:shown]]
    rest = len(events) - shown
    return [*texts, f"and {rest} more event{'s' if rest > 1 else ''}"] if rest > 0 else texts


def field_text(name: str, value: Any, op: Op) -> str:
    """A field of an observation, on one line."""
    if name == "ret":
        return ret_text(value, op)
    if name == "status" and value is None:
        return "(the run had ended)"
    if name == "events":
        return "; ".join(event_texts(value)) or "none"
    if name in PAGE_SETS and value is not None:
        return set_text(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "null" if value is None else str(value)


def set_text(pages: int) -> str:
    """A page set in words."""
    count = pages.bit_count()
    return f"page{'' if count == 1 else 's'} {run_text(pages)}" if count else "no page"


def machine_text(config: Config) -> str:
    """The machine of a trace in words."""
    text = f"pages of {config.page_size} bytes, hpratio {config.hpratio}, "
    text += "TCG" if config.tcg else "no TCG"
    return text if config.word_bits == 64 else f"{text}, words of {config.word_bits} bits"
