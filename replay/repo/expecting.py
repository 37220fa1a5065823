"""Declared differences and the commits of a range: which is of which, and whether it shows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.base.jsonlines import nearest, shown
from replay.git.runner import GitError, SealedGit
from replay.repo.binding import Interface
from replay.repo.calls import CallTrace, is_valid
from replay.repo.campaign import Sampling
from replay.repo.errors import RepoError
from replay.repo.expected import ENDS, Expected, plain
from replay.repo.expectfile import Entry, NewResult, read_expect
from replay.repo.git import Commit
from replay.repo.pairing import Pair
from replay.repo.rules import Rules
from replay.repo.targets import Prepared

ASKED: Final = 8
"""Traces in which a declared result is asked for, and"""
LOOKED: Final = 400
"""drawn traces that are looked through for such calls."""
_ALWAYS: Final = (
    "ret", "returns", "made", "made an object", "skipped", "not called", "errno", "callbacks",
    "stdout", "stderr", *ENDS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expecting:
    """What is declared of a range.

    Attributes:
        entries: of the file.
        commits: the place of the commit of each.
        rules: to ask where an entry has one.

    """

    entries: tuple[Entry, ...] = ()
    commits: tuple[int, ...] = ()
    rules: Rules = field(default_factory=lambda: Rules(()))

    @classmethod
    def of(
        cls, entries: tuple[Entry, ...], commits: Sequence[Commit], store: Path, rules: Rules,
        strict: bool,
    ) -> Expecting:  # fmt: skip
        """Find the commit of each entry; those that fit none are dropped where not ``strict``.

        Raises:
            ExpectError: an entry fits no commit, or several.
            RepoError: git cannot tell the changes of commits.

        """
        ids = patch_ids(commits[1:], store) if any(entry.patch_id for entry in entries) else {}
        found: dict[int, int] = {}
        for entry in entries:
            fitting = [
                place for place, commit in enumerate(commits)
                if place and _fits(entry, commit, ids.get(commit.id, ()))
            ]  # fmt: skip
            if len(fitting) > 1:
                names = ", ".join(commits[place].short for place in fitting)
                entry.fail(f"it fits several commits: {names}; give its patch_id (too)")
            if fitting:
                found[entry.number] = fitting[0]
            elif strict:
                entry.fail(_no_commit(entry, commits))
        kept = tuple(entry for entry in entries if entry.number in found)
        return cls(kept, tuple(found[entry.number] for entry in kept), rules)

    def declared(
        self, interface: Interface, places: Sequence[int], prepared: Sequence[Prepared]
    ) -> list[Expected | None]:
        """What is declared of each of some commits, and of those between it and the one before.

        Raises:
            ExpectError: an entry names what is not called, or not observed.

        """
        for entry in self.entries:
            _check(entry, interface, prepared)
        found: list[Expected | None] = [None]
        for last, place in pairwise(places):
            pairs = zip(self.entries, self.commits, strict=True)
            own = tuple(entry for entry, at in pairs if last < at <= place)
            found.append(Expected(interface, own, self.rules) if own else None)
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        return tuple(f"{path} was executed: it has rules of --expect" for path in self.rules.files)


@contextlib.contextmanager
def expecting(
    path: Path | None, strict: bool
) -> Iterator[Callable[[Sequence[Commit], Path], Expecting]]:
    """What a file declares, to be told the commits of the range, and where they can be read.

    Raises:
        ExpectError: the file is wrong, or a file of rules cannot be loaded.

    """
    entries = read_expect(path) if path is not None else ()
    with Rules(entries) as rules:
        yield lambda commits, store: Expecting.of(entries, commits, store, rules, strict)


def _fits(entry: Entry, commit: Commit, ids: Iterable[str]) -> bool:
    if entry.subject and entry.subject != commit.subject.strip():
        return False
    return not entry.patch_id or any(one.startswith(entry.patch_id) for one in ids)


def _no_commit(entry: Entry, commits: Sequence[Commit]) -> str:
    if entry.patch_id:
        whose = f" of subject {shown(entry.subject)}" if entry.subject else ""
        return (
            f"no commit of the range{whose} has the patch id {entry.patch_id} "
            "(git show COMMIT | git patch-id --stable tells them)"
        )
    hint = nearest(entry.subject, [commit.subject for commit in commits[1:]])
    hint = hint if hint.startswith("; did you") else ""
    return f"no commit of the range has the subject {shown(entry.subject)}{hint}"


def patch_ids(commits: Sequence[Commit], store: Path) -> dict[str, tuple[str, ...]]:
    """The patch ids of commits beside their first parents, with renames as such, and without.

    Raises:
        RepoError: git fails.

    """
    found: dict[str, tuple[str, ...]] = {}
    if not commits:
        return found
    asked = "".join(f"{commit.id}\n" for commit in commits).encode()
    git = SealedGit(store)
    try:
        for renames in ("--find-renames", "--no-renames"):
            diffs = git.run(
                "log", "--no-walk=unsorted", "--stdin", "--first-parent", "-m", "-p", renames,
                "--format=commit %H", stdin=asked,
            )  # fmt: skip
            for line in git.run("patch-id", "--stable", stdin=diffs).decode().splitlines():
                own, commit = line.split()
                found[commit] = tuple(dict.fromkeys((*found.get(commit, ()), own)))
    except GitError as error:
        raise RepoError(str(error)) from None
    return found


def _check(entry: Entry, interface: Interface, prepared: Sequence[Prepared]) -> None:
    """An entry speaks of what is called, and of what is observed."""
    ops = interface.ops
    known = {name: op for op in ops.values() for name in (op.name, *op.draft.functions)}
    observers = {
        name for one in interface.observers for name in (one.name, *one.draft.functions)
    }  # fmt: skip
    for name in (*entry.functions, *(result.op for result in entry.results)):
        if name in observers and name not in known:
            entry.fail(f"{name} is an observer: name it in fields, and leave it out", "functions")
        if name not in known and name != "end":
            entry.fail(f"no function {shown(name)} is called{nearest(name, known)}", "functions")
    for result in entry.results:
        if result.op not in known:
            continue
        names = [param.name for param in known[result.op].given]
        for name, _ in result.values:
            if name not in names:
                entry.fail(f"{result.op} has no parameter {name}{nearest(name, names)}", "results")
    fields = _observed(interface, prepared)
    for name in entry.fields:
        bare = plain(name)
        if bare not in fields and re.sub(r"\d+$", "", bare) not in fields:
            entry.fail(f"nothing observed is called {shown(name)}{nearest(bare, fields)}", "fields")


def _observed(interface: Interface, prepared: Sequence[Prepared]) -> list[str]:
    """All names by which a field may be called."""
    outs = [
        p.name for op in interface.ops.values() for p in op.params if p.role in ("out", "inout")
    ]
    data = {
        name for one in prepared if one.shape is not None for object_ in one.shape.data
        for name in (object_.name, *object_.paths)
    }  # fmt: skip
    named = {
        "out": outs, "observer": [one.name for one in interface.observers],
        "behind": list(interface.binding.behind), "data": sorted(data),
    }  # fmt: skip
    found = [
        text for kind, names in named.items() for name in names for text in (name, f"{kind} {name}")
    ]
    return list(dict.fromkeys((*_ALWAYS, *found)))


# --- a result that is declared is asked for ---------------------------------------------


def asking(pair: Pair, sampling: Sampling) -> list[CallTrace]:
    """Traces with the calls of which a result is declared: drawn ones, with those values."""
    expected = pair.expected
    found: list[CallTrace] = []
    for entry in expected.entries if expected is not None else ():
        for result in entry.results:
            found += _calling(result, pair, sampling)
    return list(dict.fromkeys(found))


def _calling(result: NewResult, pair: Pair, sampling: Sampling) -> list[CallTrace]:
    interface = sampling.interface
    ops = {
        op.name for op in interface.ops.values() if result.op in (op.name, *op.draft.functions)
    } & pair.names
    found: dict[CallTrace, None] = {}
    for number in range(LOOKED if ops else 0):
        trace = sampling.trace(pair.names, number)
        at = next((at for at, call in enumerate(trace) if call.op in ops), None)
        if at is None:
            continue
        call, said = trace[at], dict(result.values)
        values = tuple(
            value if param.role == "handle" else _as_drawn(said.get(param.name, value))
            for param, value in zip(interface.ops[call.op].given, call.values, strict=True)
        )
        made = (*trace[:at], type(call)(call.op, values, call.makes))
        if is_valid(made, interface):
            found[made] = None
        if len(found) == ASKED:
            break
    return list(found)


def _as_drawn(value: int | float | str) -> int | float | str:
    return repr(value) if isinstance(value, float) else value
