"""The corpus: traces worth keeping, as plain files in a folder, and made small there.

A trace is kept for what it shows: a difference that nothing declares, a path that few
traces take, or whatever somebody added it for. Files are ``dirty-trace/1``, named by their
content or by what they show, and can be copied anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from replay.base.atomic import replace_file
from replay.build.cache import cache_folder
from replay.dirty.campaign.covering import run
from replay.dirty.campaign.drawing import Kept
from replay.dirty.language.files import read_trace, trace_to_text
from replay.dirty.language.language import LANGUAGE
from replay.dirty.language.paths import Path as TracePath
from replay.dirty.language.paths import shapes
from replay.dirty.language.trace import Trace
from replay.dirty.machine.coverage import Coverage
from replay.dirty.machine.run import PythonModel
from replay.errors import TraceError, UsageError
from replay.search.campaign import Showing, shortest
from replay.series.check import Check, Plan
from replay.series.judging import judge
from replay.series.tally import Finding
from replay.series.verdict import Failure

FOR_PATH: Final = "path: "
"""How the name of a trace begins that is kept for a path; the path follows."""

SUFFIX: Final = ".jsonl"


def default_folder() -> Path:
    """``traces`` beside what was built."""
    return cache_folder() / "traces"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a trace shows: what keeps it worth keeping.

    Attributes:
        failing: what nothing declares.
        declared: what is declared.
        path: the path that it is kept for, None where its name says none.

    """

    failing: tuple[Finding, ...] = ()
    declared: tuple[Finding, ...] = ()
    path: TracePath | None = None

    def words(self) -> str:
        """In a few words."""
        if self.failing:
            return "fails: " + ", ".join(_named(finding) for finding in self.failing)
        if self.path:
            return f"path {self.path}"
        return "shows " + (", ".join(_named(f) for f in self.declared) or "nothing that differs")


def _named(finding: Finding) -> str:
    return f"step {finding.step} {finding.name or finding.what}"


class Corpus:
    """The traces in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[Path]:
        """Its files, in the order of their names."""
        return sorted(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else []

    def read(self) -> Iterator[tuple[Path, Trace]]:
        """Its traces.

        Raises:
            TraceError: a file is no trace; it says which, and how to go on without it.

        """
        for path in self.files():
            try:
                yield path, read_trace(path)
            except TraceError as error:
                raise TraceError(f"{error.problem}; or delete it from the corpus", path,
                                 error.line) from None  # fmt: skip

    def add(self, trace: Trace, name: str = "") -> Path:
        """Keep a trace; one with the same operations on the same machine is there once.

        Raises:
            UsageError: the folder cannot be written.

        """
        text = trace_to_text(trace)
        digest = _digest(trace)
        for path in self.files():
            if path.stem.endswith(digest):
                return path
        words = re.sub(r"[^a-z0-9]+", "-", (name or trace.name).lower()).strip("-")[:80]
        path = self.folder / f"{words or 'trace'}-{digest}{SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, text.encode())
        except OSError as error:
            raise UsageError(
                f"{path}: the corpus cannot be written: {error.strerror}; name another folder "
                "with --corpus"
            ) from None
        return path

    def put(self, path: Path, trace: Trace) -> Path:
        """Put a smaller trace in the place of another."""
        words = path.stem.removesuffix(path.stem.rpartition("-")[2]).strip("-") or path.stem
        made = self.add(trace, words)
        if made != path:
            path.unlink(missing_ok=True)
        return made


def _digest(trace: Trace) -> str:
    return hashlib.sha256(trace_to_text(trace.renamed("")).encode()).hexdigest()[:12]


# --- what a trace shows, and the smallest that shows it ---------------------------------------


def look(plan: Plan, trace: Trace) -> Kind:
    """What one trace shows at the steps of a plan."""
    alone = replace(plan, language=Kept(traces=(trace,)), traces=1)
    share = Check(alone).look(range(1))
    _, wanted = judge(plan.subject, share, plan.steps, plan.seed, len(trace.ops))
    failing = tuple(finding for finding, kept in wanted if isinstance(kept, Failure))
    declared = tuple(finding for finding, kept in wanted if not isinstance(kept, Failure))
    return Kind(failing, declared, path_of(trace))


def path_of(trace: Trace) -> TracePath | None:
    """The path that a trace says it is kept for."""
    if not trace.name.startswith(FOR_PATH):
        return None
    text = trace.name.removeprefix(FOR_PATH)
    shape = shapes().get(text.partition(" ")[0])
    return next((path for path in shape.universe if str(path) == text), None) if shape else None


def reaching(plan: Plan, trace: Trace, path: TracePath) -> int | None:
    """The last step of a plan at which a trace takes a path."""
    coverage = Coverage(plan.needed)
    coverage.add(trace, run(plan, plan.machines(), trace), 0)
    counts = coverage.counts().get(path, [])
    return max((s for s, n in zip(plan.needed, counts, strict=False) if n), default=None)


def smaller(plan: Plan, trace: Trace, budget: int) -> Showing[Trace, Any] | None:
    """The smallest trace found that still shows what a trace is kept for.

    That is the first thing that nothing declares; else the path of its name; else all that
    is declared and that it shows. None where it shows none of these.
    """
    kind = look(plan, trace)
    if kind.failing:
        return shortest(trace, LANGUAGE, _all(plan, kind.failing[:1]), budget)
    if kind.path:
        return for_path(plan, trace, kind.path, budget)
    return shortest(trace, LANGUAGE, _all(plan, kind.declared), budget) if kind.declared else None


def for_path(plan: Plan, trace: Trace, path: TracePath, budget: int) -> Showing[Trace, Any] | None:
    """The smallest trace found that takes a path where a trace does last."""
    step = reaching(plan, trace, path)
    if step is None:
        return None
    return shortest(trace, LANGUAGE, partial(_takes, plan, step, path), budget)


def _takes(plan: Plan, step: int, path: TracePath, trace: Trace) -> bool | None:
    coverage = Coverage((step,))
    coverage.add(trace, {step: PythonModel(step, plan.machines()[step]).run(trace)}, 0)
    return True if path in coverage.counts() else None


def _all(plan: Plan, findings: tuple[Finding, ...]) -> Callable[[Trace], bool | None]:
    machines = plan.machines()

    def shows(trace: Trace) -> bool | None:
        found = all(one.shows(plan.subject, machines, trace) for one in findings)
        return True if found else None

    return shows
