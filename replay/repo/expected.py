"""Differences that are declared of a pair: left out of its comparison where they show.

A declared difference of a call (its result, an out-parameter, what it wrote) is left out at
calls of the declared functions. One of what stays (an observer, data, memory) is left out from
the call on at which it begins until both sides show the same again; one that begins at a call
of another function is not declared. All that is left out is told, so that what was declared
and never shows is known too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from replay.repo.binding import Interface
from replay.repo.calls import Call, CallTrace
from replay.repo.expectfile import Entry, NewResult
from replay.repo.masks import Field, at_place, fields_of, without
from replay.repo.program.case import Case
from replay.repo.rules import Rules
from replay.repo.runner import Run

ENDS: Final = ("crash", "hang")
STAYING: Final = ("after", "data", "behind")
END: Final = "end"
"""The word for what comes after the last call, where what is left is destroyed."""
_WORDS: Final = {
    "ret": ("ret", "returns"), "made": ("made", "made an object"),
    "skipped": ("skipped", "not called"), "errno": ("errno",), "called": ("callbacks",),
}  # fmt: skip
_KINDS: Final = {
    "out": "out", "said": "", "after": "observer", "data": "data", "behind": "behind",
}  # fmt: skip


class Sighting(NamedTuple):
    """A declared difference, seen in a trace.

    Attributes:
        entry: its number.
        part: of the entry, in words: ``fee: ret``, or the call of a new result; of a program
            ``stdout``.
        call: at which; None for what comes after the last. Of a program the run's input.
        what: differs, ``before`` and ``after``.

    """

    entry: int
    part: str
    call: Call | Case | None
    what: str
    before: Any
    after: Any


@dataclass(slots=True)
class Declared:
    """What traces show of a declared difference.

    Attributes:
        traces: how many do.
        parts: what of it.
        call, what, before, after: where it was seen first.

    """

    traces: int = 0
    parts: set[str] = field(default_factory=set)
    call: Call | Case | None = None
    what: str = ""
    before: Any = None
    after: Any = None

    def merge(self, other: Declared) -> Declared:
        """The two together."""
        first = self if self.traces else other
        return replace(
            first, traces=self.traces + other.traces, parts=self.parts | other.parts
        )  # fmt: skip


def word(what: Field) -> str:
    """A field as a file names it: ``ret``, ``out rest``, ``observer count``."""
    if what.key in _WORDS:
        return _WORDS[what.key][0]
    return f"{_KINDS[what.key]} {what.name}".strip()


def names(what: Field) -> frozenset[str]:
    """All names by which a file may declare a field."""
    if what.key in _WORDS:
        return frozenset(_WORDS[what.key])
    plain = {what.name}
    if what.key == "data":  # an object with all its members
        plain |= {what.name[: found.start()] for found in re.finditer(r"[.\[+]", what.name)}
    kind = _KINDS[what.key]
    return frozenset((*plain, *(f"{kind} {name}" for name in plain if kind)))


def plain(name: str) -> str:
    """A name of the file without what a report has behind it: arguments, an index."""
    return re.sub(r"\(.*\)$|\[\d+\]|\+0x[0-9a-f]+$", "", name)


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What is declared of a pair.

    Attributes:
        interface: whose operations are called.
        entries: of the commits after the earlier one, up to the later.
        rules: to ask where an entry has one.

    """

    interface: Interface
    entries: tuple[Entry, ...]
    rules: Rules

    def applied(self, trace: CallTrace, before: Run, after: Run) -> tuple[Run, Run]:
        """Both runs without what is declared."""
        return self.looked(trace, before, after)[:2]

    def applied_to_all(
        self, traces: Sequence[CallTrace], before: Sequence[Run | None],
        after: Sequence[Run | None],
    ) -> tuple[list[Run | None], list[Run | None]]:  # fmt: skip
        """The same of several traces; what was not run stays so."""
        both = [
            (one, two) if one is None or two is None else self.applied(trace, one, two)
            for trace, one, two in zip(traces, before, after, strict=True)
        ]
        return [one for one, _ in both], [two for _, two in both]

    def looked(self, trace: CallTrace, before: Run, after: Run) -> tuple[Run, Run, list[Sighting]]:
        """The same, with all that was left out.

        Raises:
            ExpectError: a rule fails.

        """
        if before.records == after.records and before.end == after.end:
            return before, after, []
        looking = _Looking(self)
        rows = zip(trace, before.records, after.records, strict=False)
        both = [looking.call(call, one, two) for call, one, two in rows]
        olds, news = tuple(one for one, _ in both), tuple(two for _, two in both)
        common = len(both)
        if looking.ended(trace[common] if common < len(trace) else None, before, after, common):
            return Run(olds), Run(news), looking.seen
        return (
            replace(before, records=(*olds, *before.records[common:])),
            replace(after, records=(*news, *after.records[common:])),
            looking.seen,
        )

    def forgives(self, trace: CallTrace, run: Run) -> bool:
        """Whether the crash or hang with which a run ended is declared, whatever a rule says."""
        at = len(run.records)
        op = trace[at].op if at < len(trace) else ""
        return run.end in ENDS and any(
            run.end in entry.fields and self.concerns(entry, op) for entry in self.entries
        )

    def concerns(self, entry: Entry, op: str) -> bool:
        """Whether an entry speaks of calls of an operation."""
        if not entry.functions:
            return True
        known = self.interface.ops.get(op)
        called = (op, *known.draft.functions) if known is not None else (END,)
        return any(name in entry.functions for name in called)

    def covering(self, op: str, spoken: frozenset[str]) -> Iterator[Entry]:
        """The entries that declare, at calls of an operation, a field of one of these names."""
        for entry in self.entries:
            if self.concerns(entry, op) and any(plain(one) in spoken for one in entry.fields):
                yield entry

    def values(self, call: Call | None) -> dict[str, Any]:
        """The values of a call, by the names of its parameters."""
        if call is None:
            return {}
        given = self.interface.ops[call.op].given
        return {p.name: value for p, value in zip(given, call.values, strict=True)}

    def fitting(self, call: Call | None, new: Any, entry: Entry) -> NewResult | None:
        """The result of an entry that a call and its record show."""
        if call is None:
            return None
        values = self.values(call)
        kinds = {p.name: p.kind for p in self.interface.ops[call.op].given if p.role == "handle"}
        functions = (call.op, *self.interface.ops[call.op].draft.functions)
        for result in entry.results:
            alike = all(
                name in kinds or (name in values and _same(values[name], value))
                for name, value in result.values
            )
            if result.op in functions and alike and _same(new.get("ret"), result.now):
                return result
        return None


def _same(seen: Any, said: Any) -> bool:
    """Whether an observed value is one of the file; a float is observed as its text."""
    if seen == said:
        return True
    try:
        return not isinstance(said, str) and not isinstance(seen, bool) and float(seen) == said
    except (TypeError, ValueError, OverflowError):
        return False


@dataclass(slots=True)
class _Looking:
    """A look through two runs of one trace.

    Attributes:
        expected: what is declared; None to see what differs at all, as of an entry 0.
        going_on: (key, label) of what stays, where a declared difference goes on.
        lost: whether an object was made on one side alone, as declared.

    """

    expected: Expected | None = None
    seen: list[Sighting] = field(default_factory=list)
    going_on: set[tuple[str, str]] = field(default_factory=set)
    lost: bool = False

    def call(self, call: Call, one: bytes, two: bytes) -> tuple[bytes, bytes]:
        """Two records of a call, without what is declared."""
        if one == two and not self.going_on:
            return one, two
        old, new = json.loads(one), json.loads(two)
        if ("skipped" in old) != ("skipped" in new):
            granted = self.granted(call, Field("skipped", call.op), old, new)
            return (b"{}", b"{}") if granted or self.lost else (one, two)
        fields = dict.fromkeys((*fields_of(call.op, old), *fields_of(call.op, new)))
        gone = []
        for what, key, label in fields:
            sides = at_place(old, key, label), at_place(new, key, label)
            place = what.key, label
            if sides[0] == sides[1]:
                self.going_on.discard(place)
            elif what.key in STAYING and (self.goes_on(place) or (self.lost and None in sides)):
                gone.append((key, label))
            elif self.granted(call, what, old, new, (key, label)):
                gone.append((key, label))
                if what.key in STAYING:
                    self.going_on.add(place)
                self.lost = self.lost or what.key == "made" or "NULL" in sides
        return (without(old, gone), without(new, gone)) if gone else (one, two)

    def goes_on(self, place: tuple[str, str]) -> bool:
        """Whether a declared difference goes on there, in a part of it, or in the whole."""
        if place in self.going_on or place[0] != "data":
            return place in self.going_on
        return any(
            key == "data" and (_is_part(label, place[1]) or _is_part(place[1], label))
            for key, label in self.going_on
        )

    def granted(
        self, call: Call | None, what: Field, old: dict[str, Any], new: dict[str, Any],
        place: tuple[str, str] = ("skipped", ""),
    ) -> bool:  # fmt: skip
        """Whether a difference is declared; if so it is told."""
        op = call.op if call is not None else ""
        shown = at_place(old, *place), at_place(new, *place)
        if self.expected is None:
            self.seen.append(Sighting(0, f"{op or END}: {word(what)}", call, word(what), *shown))
            return True
        granted = False
        for entry in self.expected.covering(op, names(what)):
            part = fits(self.expected, entry, call, (old, new), word(what))
            if part:
                self.seen.append(Sighting(entry.number, part, call, word(what), *shown))
                granted = True
        return granted

    def ended(self, call: Call | None, before: Run, after: Run, common: int) -> bool:
        """Whether the two end otherwise, as declared: then what was before it is compared."""
        sides = [run for run in (before, after) if len(run.records) == common and run.end in ENDS]
        if not sides or (before.end, len(before.records)) == (after.end, len(after.records)):
            return False
        op = call.op if call is not None else ""
        old, new = (
            {run.end: run.detail} if len(run.records) == common and run.end in ENDS
            else run.record(common) or {}
            for run in (before, after)
        )  # fmt: skip
        for end in dict.fromkeys(run.end for run in sides):
            if self.expected is None:
                self.seen.append(Sighting(0, f"{op or END}: {end}", call, end, *_ends(old, new)))
                return True
            for entry in self.expected.covering(op, frozenset((end,))):
                part = fits(self.expected, entry, call, (old, new), end)
                if part:
                    ends = _ends(old, new)
                    self.seen.append(Sighting(entry.number, part, call, end, *ends))
                    return True
        return False


def fits(
    expected: Expected, entry: Entry, call: Call | None, records: tuple[Any, Any], said: str
) -> str:
    """What of an entry that is about a field, ``said``, shows at a call; empty for nothing."""
    op = call.op if call is not None else ""
    if entry.results:
        result = expected.fitting(call, records[1], entry)
        if result is None:
            return ""
        said = result.text
    if entry.rule is not None:
        sides = (json.dumps(side, separators=(",", ":")).encode() for side in records)
        if not expected.rules.fits(entry, op, expected.values(call), *sides):
            return ""
    return said if entry.results else f"{op or END}: {said}"


def _ends(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str]:
    """How two calls ended, in words."""

    def how(side: Mapping[str, Any]) -> str:
        return next((str(side[end]) for end in ENDS if end in side), "it returned")

    return how(old), how(new)


def _is_part(label: str, of: str) -> bool:
    return label.startswith(of) and label[len(of) :][:1] in (".", "[", "+")


def differing(trace: CallTrace, before: Run, after: Run) -> frozenset[str]:
    """In what two runs of a trace differ: ``function: field``."""
    looking = _Looking()
    for call, one, two in zip(trace, before.records, after.records, strict=False):
        looking.call(call, one, two)
    common = min(len(before.records), len(after.records))
    looking.ended(trace[common] if common < len(trace) else None, before, after, common)
    return frozenset(one.part for one in looking.seen)


def tallied(sightings: Sequence[Sighting]) -> dict[int, Declared]:
    """What one trace shows of each entry."""
    found: dict[int, Declared] = {}
    for one in sightings:
        shown = found.setdefault(one.entry, Declared(1, set(), *one[2:]))
        shown.parts.add(one.part)
    return found


def merged(one: Mapping[int, Declared], other: Mapping[int, Declared]) -> dict[int, Declared]:
    """What two tallies show together."""
    found = dict(one)
    for number, shown in other.items():
        found[number] = found[number].merge(shown) if number in found else shown
    return found


def union(several: Iterable[Expected | None]) -> Expected | None:
    """What is declared of several pairs in a row together."""
    known = [one for one in several if one is not None]
    if not known:
        return None
    entries = {entry.number: entry for one in known for entry in one.entries}
    return replace(known[0], entries=tuple(entries.values()))
