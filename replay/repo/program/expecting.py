"""Differences that are declared of two programs: left out of what they differ in.

Declared is a field of a run (an output, how it ends, a file that it writes), at all runs, or
at those for which a rule holds. What else differs there still counts. Behind a declared
crash or hang nothing is compared: what a run shows until then depends on its buffers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.base.jsonlines import nearest, shown
from replay.repo.expected import Sighting
from replay.repo.expectfile import Entry
from replay.repo.expecting import Expecting
from replay.repo.program.case import Case, plain
from replay.repo.program.comparing import END, Divergence, Runs, compare
from replay.repo.program.running import HANG, Outcome
from replay.repo.program.seeing import ERR, OUT
from replay.repo.rules import Rules

OPERATION: Final = "run"
"""What a rule is told in place of a function."""
STATUS: Final = "status"
CRASH: Final = "crash"
FILES: Final = "files"
FILE: Final = "file "
_WORDS: Final = {OUT: "stdout", ERR: "stderr"}
_KNOWN: Final = ("stdout", "stderr", STATUS, CRASH, HANG, END, FILES, OUT, ERR)


@dataclass(frozen=True, slots=True, eq=False)
class ProgramExpected:
    """What is declared of a pair.

    Attributes:
        entries: of the commits after the earlier one, up to the later.
        rules: to ask where an entry has one.

    """

    entries: tuple[Entry, ...]
    rules: Rules

    def looked(
        self, case: Case, before: Runs, after: Runs
    ) -> tuple[Divergence | None, list[Sighting]]:
        """In what two programs differ on a case but for what is declared, and what that is.

        Raises:
            ExpectError: a rule fails.

        """
        found = compare(before, after)
        if found is None:
            return None, []
        seen: list[Sighting] = []
        kept = []
        for what, old, new in found.fields:
            fitting = list(self._fitting(case, (what, old, new), before, after))
            said = word(what, old, new)
            seen += [Sighting(one.number, said, case, said, old, new) for one in fitting]
            if not fitting:
                kept.append((what, old, new))
        rest = Divergence(found.verdict, tuple(kept)) if kept else None
        return rest, seen

    def _fitting(
        self, case: Case, field: tuple[str, bytes | None, bytes | None], before: Runs, after: Runs
    ) -> Iterator[Entry]:
        """The entries that declare a difference."""
        spoken = names(*field)
        for entry in self.entries:
            if spoken.isdisjoint(entry.fields):
                continue
            if entry.rule is not None:
                _, old, new = field
                sides = [_packed(_like(before, old)), _packed(_like(after, new))]
                if not self.rules.fits(entry, OPERATION, case.to_json(), *sides):
                    continue
            yield entry


def differing(
    expected: ProgramExpected | None, case: Case, before: Runs, after: Runs
) -> tuple[Divergence | None, list[Sighting]]:
    """The same where perhaps nothing is declared."""
    if expected is None:
        return compare(before, after), []
    return expected.looked(case, before, after)


def declared(expecting: Expecting, last: int, place: int) -> ProgramExpected | None:
    """What is declared of a commit, and of those between it and the one it is compared with."""
    pairs = zip(expecting.entries, expecting.commits, strict=True)
    own = tuple(entry for entry, at in pairs if last < at <= place)
    return ProgramExpected(own, expecting.rules) if own else None


def check(entries: Sequence[Entry]) -> None:
    """See that entries speak of what is seen of a run.

    Raises:
        ExpectError: one does not.

    """
    for entry in entries:
        if entry.results:
            entry.fail("results are those of calls; of a program, say it with a rule", "results")
        if entry.functions:
            entry.fail("of a program no functions are called: leave this out", "functions")
        for name in entry.fields:
            if name in _KNOWN or (name.startswith(FILE) and name != FILE):
                continue
            cure = f'; a file is named as "file {name}"' if "." in name or "/" in name else ""
            hint = cure or nearest(name, _KNOWN)
            entry.fail(f"nothing seen of a run is called {shown(name)}{hint}", "fields")


def word(what: str, old: bytes | None, new: bytes | None) -> str:
    """A field that differs as a draft names it: ``stdout``, ``status``, ``file out.txt``."""
    if what != END:
        return _WORDS.get(what, what)
    return next(iter(_ends(old, new)))


def names(what: str, old: bytes | None, new: bytes | None) -> frozenset[str]:
    """All names by which a file may declare a field that differs."""
    if what == END:
        return frozenset((END, *_ends(old, new)))
    return frozenset((what, FILES) if what not in _WORDS else (what, _WORDS[what]))


def _ends(old: bytes | None, new: bytes | None) -> list[str]:
    """What two ends that differ are about: a crash or hang of either, or the status."""
    sides = [end for end in (new, old) if end is not None and not end.startswith(b"status")]
    kinds = [HANG if end.startswith(HANG.encode()) else CRASH for end in sides]
    return list(dict.fromkeys(kinds)) or [STATUS]


def _like(runs: Runs, field: bytes | None) -> Outcome:
    """The run of several that shows the end that is told, where an end is."""
    fitting = (run for run in runs if field is not None and field.startswith(run.end.encode()))
    return next(fitting, runs[0])


def record(run: Outcome) -> Mapping[str, Any]:
    """A run as a rule sees it.

    ``{"status": 0, "stdout": "…", "stderr": "", "file out.txt": "…"}``; in place of the status
    ``"crash": signal`` or ``"hang": true``. Bytes that are no UTF-8 are ``{"hex": "ff00"}``.
    """
    if run.crashed:
        end: dict[str, Any] = {CRASH: run.end}
    elif run.end == HANG:
        end = {HANG: True}
    else:
        end = {STATUS: int(run.end.partition(" ")[2])}
    fields = run.fields
    texts = {_WORDS[name]: plain(fields.pop(name, b"")) for name in (OUT, ERR)}
    return {**end, **texts, **{name: plain(data) for name, data in fields.items()}}


def _packed(run: Outcome) -> bytes:
    return json.dumps(record(run), separators=(",", ":")).encode()
