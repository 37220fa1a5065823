"""A defect written up for whoever maintains the code: as Markdown, or as a plain mail.

What the report claims is what its commands show: the tests run them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from replay.dirty.gallery.defects import Defect, explore_command
from replay.dirty.language.pages import run_text
from replay.dirty.language.values import op_text
from replay.dirty.machine.run import run_small
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.series.declared import EPILOGUE_FOLDER

MARKDOWN: Final = "markdown"
MAIL: Final = "mail"
WIDTH: Final = 72
"""Of a line of a mail."""

LIMITS: Final = (
    "The models and the C beside them are of 2013, with each later fix put on top by itself. "
    "What else changed since is not in them.",
)
"""What the models leave out, whatever the defect."""


class Claim(NamedTuple):
    """A command, and what it says of a step: that it ``holds`` the property, or is ``broken``."""

    step: str
    command: str
    says: str


def claims(defect: Defect) -> list[Claim]:
    """What the report claims; that a step holds, with all operations, too."""
    found = []
    for step, says in defect.data.claims.items():
        found.append(Claim(step, explore_command(defect, step), says))
        if says == "holds" and defect.data.scope.without:
            found.append(Claim(step, explore_command(defect, step, whole=True), says))
    return found


def report(defect: Defect, form: str = MARKDOWN) -> str:
    """The report; a mail is wrapped, and has a subject."""
    if form == MAIL:
        lines = [f"Subject: {defect.data.title}", ""]
        for head, body in _sections(defect):
            lines += [head, "-" * len(head), "", *_mailed(body), ""]
    else:
        lines = [f"# {defect.data.title}", ""]
        for head, body in _sections(defect):
            lines += [f"## {head}", "", *body, ""]
    return "\n".join(lines).rstrip() + "\n"


def _mailed(body: list[str]) -> Iterator[str]:
    for line in body:
        if line.startswith(("    ", "- ", "|")) or not line:
            yield from (
                textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
                if line.startswith("- ") else [line]
            )  # fmt: skip
        else:
            yield from textwrap.wrap(line, WIDTH, break_on_hyphens=False)


def _sections(defect: Defect) -> Iterator[tuple[str, list[str]]]:
    data = defect.data
    yield "What happens", [*_paragraphs(data.cause), "", *_paragraphs(data.seen)]
    yield "The shortest trace", _trace(defect)
    yield "What was searched", _searched(defect)
    yield "What mends it", _mends(defect)
    yield "What this leaves out", [f"- {limit}" for limit in (*data.limits, *LIMITS)]


def _paragraphs(text: str) -> list[str]:
    """A text as paragraphs of one line each, with empty lines between them."""
    found = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    return [line for part in found for line in (part, "")][:-1]


def _trace(defect: Defect) -> list[str]:
    machine = defect.subject.machines()[defect.step]
    trace = defect.trace
    records = run_small(machine, trace)
    config = trace.config
    lines = [
        f"At step {defect.step}{_mended_there(defect)}, on a machine with words of "
        f"{config.word_bits} bits"
        + (f" and host pages of {config.hpratio} target pages" if config.hpratio != 1 else "")
        + ("" if config.tcg else ", without TCG")
        + ". No shorter trace of the operations searched shows it.",
        "",
    ]
    width = max(len(op_text(op)) for op in trace.ops)
    after = [_after(record) for record in records]
    told = [
        name for name in after[0]
        if len({one[name] for one in after}) > 1 or (name == "events" and after[0][name])
    ]  # fmt: skip
    for at, (op, seen) in enumerate(zip(trace.ops, after, strict=False)):
        shown = "; ".join(f"{name} {seen[name]}" for name in told if seen[name])
        lines.append(f"    {at}. {op_text(op):{width}}  {shown}".rstrip())
    if defect.data.property:
        broken = RUN_PROPERTIES[defect.data.property](trace, records)
        assert broken is not None, "the trace of a defect shows it"
        lines += ["", f"Then {defect.data.property} is broken: {broken.text}."]
    lines += ["", *_paragraphs(f"{defect.data.property or defect.data.deviation}: {defect.text}")]
    return lines


def _mended_there(defect: Defect) -> str:
    """Where the trace is shown at the step that mends it."""
    data = defect.data
    mends = bool(data.shown) and data.shown == data.healed
    return ", which mends it and so differs from the step before" if mends else ""


def _after(record: Any) -> dict[str, str]:
    """What an operation gave and left, as far as a defect may show in it."""
    seen = record.visible
    direct = sum(1 << page for page, fast in seen.tlb.items() if fast)
    return {
        "gave": "" if record.ret is None else str(record.ret),
        "direct": run_text(direct),
        "VGA": run_text(seen.dirty[0]),
        "MIGRATION": run_text(seen.dirty[2]),
        "code": run_text(sum(1 << page for page in seen.has_code)),
        "to send": "" if seen.bitmap is None else run_text(seen.bitmap),
        "events": ", ".join(f"{kind}({a:#x}, {b})" for kind, a, b in record.events),
    }


def _searched(defect: Defect) -> list[str]:
    lines = [
        "All states of a small machine, with the property's books as part of a state, under all "
        "operations of the scope. A step that holds is proved to, for traces of every length at "
        "this scope; one that is broken comes with a shortest trace."
        if defect.data.claims
        else "All states of a small machine; the trace above is the shortest that shows it.",
        "",
    ]
    if defect.data.why_without:
        lines += [*_paragraphs(defect.data.why_without), ""]
    for claim in claims(defect):
        verdict = "proved to hold" if claim.says == "holds" else "broken"
        lines += [f"- step {claim.step}: {verdict}", "", f"    {claim.command}", ""]
    if not defect.data.claims:
        lines += [f"    {explore_command(defect)}", ""]
    return lines[:-1]


def _mends(defect: Defect) -> list[str]:
    data = defect.data
    lines = [f"By: {data.fix or 'nothing'}."]
    if data.proposal:
        lines += ["", *_paragraphs(data.proposal)]
    if data.patch:
        text = (defect.subject.file.parent / EPILOGUE_FOLDER / data.patch).read_text("utf-8")
        diff = text[text.index("--- a/") :].rstrip()
        lines += ["", *(f"    {line}".rstrip() for line in diff.splitlines())]
    if data.notes:
        lines += ["", *_paragraphs(data.notes)]
    return lines
