"""A judge of any project's trees: built by the user's command, called through a binding.

The machinery is that of ``replay verify`` (``replay.repo``); the two sides of a comparison
are the trees of two versions instead of neighbours in a history. The command and what it
builds are executed, in a temporary folder that is gone afterwards; the user's own folder
is only read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from replay.build.output import telling_line
from replay.elf.image import Image
from replay.git.apply import Tree
from replay.git.folders import write_tree
from replay.git.objects import tree_id
from replay.mail.behaviour import Example, Finding, Trees, Verdict
from replay.repo.binding import Binding, Plan
from replay.repo.bindingfile import read_binding
from replay.repo.building import Builder
from replay.repo.calls import CallTrace, read_calls, to_text
from replay.repo.checking import Checker
from replay.repo.errors import BindingError, RepoError
from replay.repo.generating import generate
from replay.repo.git import Commit
from replay.repo.pairing import Names, Pair, Subject
from replay.repo.resolving import resolve
from replay.repo.results import Report, Row
from replay.repo.results import Verdict as RowVerdict
from replay.repo.showing import value_text
from replay.repo.subjects import bind_rows, build_rows, drafted, inspect_rows
from replay.repo.verify import workspace

Progress: TypeAlias = Callable[[float, float, str], None]

COMPILED: Final = (b"\x7fELF", b"!<arch>\n")
"""How files begin that a compiler or ar has made."""


@dataclass(frozen=True, slots=True)
class Request:
    """How to build and call; the attributes are as in ``replay.repo.verify.Request``."""

    build: str
    library: str
    binding: Path | None
    traces: int
    ops: int
    seed: int
    jobs: int
    budget: int
    build_limit: float
    call_limit: float
    trace: Path | None = None


def check_clean(tree: Tree, folder: Path) -> None:
    """See that nothing compiled lies in a tree.

    A build would take it for up to date, and both sides would have the same old code.

    Raises:
        RepoError: something does; how to get a tree without.

    """
    for path, file in tree.items():
        if file.data.startswith(COMPILED):
            raise RepoError(
                f"{folder / path}: a compiled file, which a build may take for up to date; give "
                "--tree a clean checkout, as git worktree add makes one"
            )


@contextlib.contextmanager
def calling(
    request: Request, progress: Progress = lambda done, total, text: None
) -> Iterator[CallJudge]:
    """A judge; when it is left no process and no temporary folder of it is left behind.

    Raises:
        BindingError: the binding cannot be read, or has maps, which are about commits.
        RepoError: the library's path is none inside the tree.

    """
    binding = read_binding(request.binding) if request.binding else None
    for rule in binding.maps if binding else ():
        raise BindingError(
            "a map is for commits of a repository, and patches by mail are none; name all "
            'functions in the op, as in function = ["old_name", "new_name"]',
            binding.path if binding else "", rule.line, rule.key,
        )  # fmt: skip
    with workspace() as place, contextlib.ExitStack() as stack:
        source = _Trees(place)
        builder = Builder(source, request.build, request.library, request.build_limit)
        yield CallJudge(request, binding, source, builder, stack, progress)


class _Trees:
    """Trees in memory, for a builder."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.trees: dict[str, Tree] = {}

    def export(self, tree: str, folder: Path) -> tuple[str, ...]:
        """Write a tree to a folder that does not exist."""
        folder.mkdir(parents=True)
        write_tree(self.trees[tree], folder)
        return ()


class CallJudge:
    """Builds and calls trees; made by :func:`calling`."""

    def __init__(
        self, request: Request, binding: Binding | None, source: _Trees, builder: Builder,
        stack: contextlib.ExitStack, progress: Progress,
    ) -> None:  # fmt: skip
        self.request = request
        self.binding = binding
        self.source = source
        self.builder = builder
        self.stack = stack
        self.progress = progress
        self.checker: Checker | None = None
        self.trace: CallTrace | None = None
        self.pairs: list[Pair | None] = []

    def judge(self, pairs: Sequence[Trees]) -> list[Finding]:
        """A finding for each pair of trees; see ``replay.mail.behaviour.Judge``.

        Raises:
            BindingError: the binding does not fit the libraries.
            RepoError: there is none, and nothing to draft one from.
            TraceError: the trace file does not fit the binding.
            WorkerError: a worker could not be started, or was killed.

        """
        # Not git's ids alone: those are the cache keys of what git itself checked out.
        names = [(f"mail-{tree_id(old)}", f"mail-{tree_id(new)}") for old, new in pairs]
        for both, trees in zip(names, pairs, strict=True):
            self.source.trees |= dict(zip(both, trees, strict=True))
        rows = {name: Row(Commit(name, name, (), "")) for name in self.source.trees}
        subjects = dict(zip(rows, self._subjects(list(rows.values())), strict=True))
        wanted = frozenset(call.op for call in self.trace or ())
        findings: list[Finding | None] = []
        for a, b in names:
            old, new = subjects[a], subjects[b]
            finding = None
            if old is None or new is None:
                finding = _unjudged(rows[a], rows[b])
            elif _same_code(old, new):
                finding = Finding(Verdict.SAME_CODE)
            elif not (common := old.bound.names & new.bound.names) or not wanted <= common:
                lacking = ", ".join(sorted(wanted - common)) or "any operation"
                finding = Finding(
                    Verdict.NOT_JUDGED, problems=(("", f"they do not both have {lacking}"),)
                )
            findings.append(finding)
            pair = None if finding or not old or not new else Pair(rows[b], old, new, common)
            self.pairs.append(pair)
        self._run([pair for pair in self.pairs if pair is not None])
        every = zip(findings, self.pairs, strict=True)
        return [known or _finding(pair) for known, pair in every]

    def _subjects(self, rows: list[Row]) -> list[Subject | None]:
        """What to call of each tree; a row without gets its verdict."""
        request = self.request
        outcomes = build_rows(self.builder, rows, request.jobs, self.progress)
        shapes = inspect_rows(rows, outcomes)
        if not any(shapes):
            return [None] * len(rows)
        plan = resolve(self.binding or drafted(shapes), shapes, lambda rule, index: False)
        subjects = bind_rows(plan, rows, shapes, outcomes, lambda rule, index: False)
        if request.trace is not None:
            self.trace = read_calls(request.trace, plan)
        checker = Checker(request.jobs, plan, request.call_limit)
        self.checker = self.stack.enter_context(checker)
        checker.load(rows, subjects)
        return subjects

    def traces_of(self, names: Names, number: int) -> CallTrace:
        """The trace of a number, of these operations."""
        return self.trace or generate(
            self.plan.only(names), self.request.seed, number, self.request.ops
        )

    @property
    def plan(self) -> Plan:
        """The plan, once there is a library."""
        assert self.checker is not None
        return self.checker.plan

    def _run(self, pairs: list[Pair]) -> None:
        if self.checker is None or not pairs:
            return
        request = self.request
        report = Report([], self.plan, request.seed, request.traces, request.ops, {}, [])
        numbers = range(1 if self.trace else request.traces)
        self.progress(0, len(numbers), "running traces")
        self.checker.run_pairs(pairs, numbers, self.traces_of, report, self.progress)

    def example(
        self, pair: int, traces: frozenset[Hashable], unlike: int | None, shorten: bool
    ) -> Example | str:
        """The shortest trace found that shows a difference; see ``behaviour.Judge``."""
        here = self.pairs[pair]
        other = self.pairs[unlike] if unlike is not None else None
        assert here is not None and self.checker is not None
        if other is not None and not here.names <= other.names:
            other = None
        ranks = here.differing
        chosen = min((n for n in ranks if _key(here, n) in traces), key=lambda n: (ranks[n], n))
        self.progress(0, 0, "shortening an example")
        budget = self.request.budget if shorten and self.trace is None else 0
        trace = self.traces_of(here.names, chosen)
        found = self.checker.example(here, trace, budget, other)
        if isinstance(found, str):
            return f"it is not deterministic: {found}"
        fields = tuple(
            (what, value_text(old), value_text(new)) for what, old, new in found.difference.fields
        )
        ops = tuple(call.text(self.plan) for call in found.trace)
        file = to_text(found.trace, self.plan, "difference")
        return Example(ops, found.difference.index, fields, file, found.complete)


def _same_code(old: Subject, new: Subject) -> bool:
    """Whether two libraries put the same into memory, and are called in the same way.

    Debug information is no part of that: it tells the folder of the build, which differs.
    """
    if old.bound.to_json() != new.bound.to_json():
        return False
    if old.checksum == new.checksum:
        return True
    with Image(old.library) as one, Image(new.library) as other:
        return one.fingerprint == other.fingerprint


def _key(pair: Pair, number: int) -> Hashable:
    """Traces of one number are equal for pairs that have the same operations."""
    return number, pair.names


def _finding(pair: Pair | None) -> Finding:
    assert pair is not None
    if not pair.traces:
        return Finding(Verdict.NOT_JUDGED, problems=(("", "no trace could be compared"),))
    verdict = Verdict.DIFFERS if pair.differing else Verdict.NO_DIFFERENCE
    differing, left_out = (
        frozenset(_key(pair, number) for number in kept)
        for kept in (pair.differing, pair.left_out)
    )  # fmt: skip
    return Finding(verdict, pair.traces, differing, left_out)


def _unjudged(old: Row, new: Row) -> Finding:
    """Why two trees are not compared."""
    problems = []
    for side, row in (("old", old), ("new", new)):
        if row.reason:
            said = telling_line(row.output) if row.verdict is RowVerdict.NOT_BUILT else ""
            problems.append((side, said if "error" in said.lower() else row.reason))
    broken = any(row.verdict is RowVerdict.NOT_BUILT for row in (old, new))
    verdict = Verdict.NOT_BUILT if broken else Verdict.NOT_JUDGED
    return Finding(verdict, problems=tuple(problems))
