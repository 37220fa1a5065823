"""How long it takes to find a fault of the C: the native lane, Hypothesis, libFuzzer.

The faults are those of ``replay faults``, a sample of them by the seed of the bench, or all;
one that does not compile, or that compiles to the same code, is none. A fault's libraries
are built first, and who looks for it is measured afterwards, one at a time, in turn, with
each of some seeds. Of a fault that nobody finds with the first seed, which no trace shows
then, the other seeds are left out. What is not found counts as the limit.
"""

from __future__ import annotations

import importlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from replay.build.compile import Built, build
from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.dirty.bench.figures import Attainment, Effort, Progress, Spread, Table
from replay.dirty.bench.finders import (
    FINDERS,
    FUZZER,
    HYPOTHESIS,
    OURS,
    Finder,
    Look,
    Mutant,
    by_fuzzer,
)
from replay.dirty.faults.ctrees import FLAGS, Trees, step_trees
from replay.dirty.faults.fault import Fault
from replay.dirty.faults.mutate_c import c_faults
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError

SEEDS: Final = 3
LIMIT: Final = 10.0
"""Seconds that one may look for a fault with a seed."""

SAMPLE: Final = 12
QUICK: Final = (3, 1, 5.0)
"""Faults, seeds and seconds of a quick run."""

COVERED: Final = (*FLAGS, "-fsanitize=fuzzer-no-link")
IMPORTS: Final = {
    OURS: "import replay.dirty.native.check",
    HYPOTHESIS: "import cffi, hypothesis.stateful",
}
"""What a command that looks for one fault alone imports before it can begin."""

INSTALL: Final = "Debian and Ubuntu have it in clang and libclang-rt-14-dev, of clang's version"


@dataclass(frozen=True, slots=True)
class Sought:
    """A fault, and how each looked for it: a look a seed."""

    fault: Fault
    looks: Mapping[str, tuple[Look, ...]]

    def seconds(self, finder: str) -> float:
        """The median over the seeds."""
        return statistics.median(look.seconds for look in self.looks[finder])

    def found(self, finder: str) -> bool:
        """Whether it was found with any seed."""
        return any(look.found for look in self.looks[finder])

    def to_json(self) -> dict[str, Any]:
        """The fault, and all looks."""
        fault = self.fault
        return {
            "fault": fault.name, "step": fault.step, "operator": fault.operator,
            "looks": {
                name: [
                    {"found": one.found, "start_seconds": one.start, "seconds": one.seconds}
                    for one in looks
                ]
                for name, looks in self.looks.items()
            },
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class FindingResult:
    """How long who looked for which fault.

    Attributes:
        sought: the faults that were looked for.
        void: how many more of the sample are no fault.
        limit: seconds that each look might take.
        imports: by finder, seconds that a command takes before it can begin.
        missing: why libFuzzer's figures are; "" where they are there.

    """

    sought: tuple[Sought, ...]
    void: int
    limit: float
    imports: Mapping[str, float]
    missing: str

    @property
    def finders(self) -> tuple[str, ...]:
        """Who looked, ours first."""
        return tuple(self.sought[0].looks)

    def medians(self, finder: str, among: Sequence[Sought] | None = None) -> Spread:
        """Seconds to find a fault: median, least and most over the faults."""
        return Spread.of(one.seconds(finder) for one in (among or self.sought))

    def start(self, finder: str) -> float:
        """Seconds until it was ready, in the median."""
        looks = [look for one in self.sought for look in one.looks[finder]]
        return statistics.median(look.start for look in looks)

    def search(self, finder: str) -> float:
        """Seconds from then on, in the median."""
        looks = [look for one in self.sought for look in one.looks[finder]]
        return statistics.median(look.seconds - look.start for look in looks)

    def unfound(self, finder: str) -> int:
        """How many faults it did not find with any seed."""
        return sum(not one.found(finder) for one in self.sought)

    def ratio(self, finder: str) -> float:
        """Its median over ours."""
        return self.medians(finder).median / self.medians(OURS).median

    def alone(self, finder: str) -> float:
        """Seconds of a command that looks for one fault: its imports, and the median."""
        return self.imports.get(finder, 0.0) + self.medians(finder).median

    def first(self, finder: str) -> int:
        """How many faults it found sooner than the others, in the median over the seeds."""
        soonest = [min(one.looks, key=one.seconds) for one in self.sought if self._shown(one)]
        return soonest.count(finder)

    def _shown(self, one: Sought) -> bool:
        return any(one.found(name) for name in one.looks)

    def tables(self) -> Sequence[Table]:
        """Over all faults, and by what sort of mistake they are."""
        rows = [
            (
                name, *_milliseconds(self.medians(name)),
                *(f"{part(name) * 1e3:,.0f}" for part in (self.start, self.search, self.alone)),
                f"{self.ratio(name):.2f}", str(self.first(name)), str(self.unfound(name)),
            )
            for name in self.finders
        ]  # fmt: skip
        columns = ("finder", "ms", "least", "most", "start", "search", "alone", "ratio", "first",
                   "not found")  # fmt: skip
        by_class: dict[str, list[Sought]] = {}
        for one in self.sought:
            by_class.setdefault(one.fault.operator, []).append(one)
        classes = [
            (kind, str(len(some)),
             *(f"{self.medians(name, some).median * 1e3:,.0f}" for name in self.finders))
            for kind, some in sorted(by_class.items())
        ]  # fmt: skip
        return [
            Table("Until a fault is found, the median over the faults", columns, tuple(rows)),
            Table("By the sort of mistake, in ms", ("mistake", "faults", *self.finders),
                  tuple(classes)),
        ]  # fmt: skip

    def verdicts(self) -> Sequence[Attainment]:
        """Ahead of both: with a worker a fault, and with a command a fault."""
        rivals = [name for name in self.finders if name != OURS]
        alone = {name: self.alone(name) / self.alone(OURS) for name in rivals}
        return [
            *(
                Attainment(
                    f"a fault is found sooner than {name} finds it, in the median",
                    f"{self.ratio(name):.2f} times as soon", self.ratio(name) > 1,
                )
                for name in rivals
            ),
            *(
                Attainment(
                    f"the same by a command that begins with its imports, beside {name}",
                    f"{ratio:.2f} times as soon", ratio > 1,
                )
                for name, ratio in alone.items()
            ),
        ]  # fmt: skip

    def notes(self) -> Sequence[str]:
        """What the clock counts, and who has it easier."""
        nobody = sum(not self._shown(one) for one in self.sought)
        notes = [
            "Wall time from the start of a process for the fault to the first difference, without "
            "compilation; the median over the seeds, of which the table gives the median over "
            f"the faults. What is not found in {self.limit:g} s counts as {self.limit:g} s.",
            "The lane compares the fault's step with the step before, as a check does, and tells "
            "the fault from deviations that the step declares; the rivals compare it with the "
            "same step without the fault, which is easier.",
            "Start: until the libraries are loaded; search: from there on. Imports come before "
            "that, once for however many faults: a command that looks for one fault alone pays "
            "for them, too (alone). libFuzzer has none.",
        ]
        if nobody:
            notes.append(f"{nobody} of the faults nobody found: no trace need show them.")
        if self.void:
            notes.append(f"{self.void} more do not compile, or to the same code.")
        return (*notes, self.missing) if self.missing else notes

    def to_json(self) -> dict[str, Any]:
        """All looks, and what is made of them."""
        return {
            "limit_seconds": self.limit,
            "void_faults": self.void,
            "missing": self.missing,
            "finders": {
                name: {
                    "seconds": self.medians(name).to_json(), "start_seconds": self.start(name),
                    "search_seconds": self.search(name), "import_seconds": self.imports.get(name),
                    "alone_seconds": self.alone(name), "over_ours": self.ratio(name),
                    "first": self.first(name), "not_found": self.unfound(name),
                }
                for name in self.finders
            },
            "faults": [one.to_json() for one in self.sought],
        }  # fmt: skip


def _milliseconds(spread: Spread) -> tuple[str, ...]:
    return tuple(f"{part * 1e3:,.0f}" for part in (spread.median, spread.low, spread.high))


# --- measuring ------------------------------------------------------------------------


def measure(effort: Effort, progress: Progress) -> FindingResult:
    """Look for a sample of the faults, or for all.

    Raises:
        UsageError: there is no C compiler, no tree-sitter, or no Hypothesis with cffi.

    """
    count, seeds, limit = QUICK if effort.quick else (SAMPLE, SEEDS, LIMIT)
    _insist()
    faults = shuffled(effort.seed)
    wanted = len(faults) if effort.faults == 0 else effort.faults or count
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as place:
        finders, missing = finders_at(Path(place))
        SUBJECT.machines((), SUBJECT.steps[-1])  # once, as imports are
        sought: list[Sought] = []
        void = 0
        for fault in faults:
            if len(sought) == wanted:
                break
            with tempfile.TemporaryDirectory(prefix="replay-bench-") as folder:
                mutant = built(fault, Path(folder), FUZZER in finders)
                if mutant is None:
                    void += 1
                    continue
                sought.append(Sought(fault, looked(mutant, finders, effort.seed, seeds, limit)))
            progress(len(sought) / wanted, f"fault {len(sought)} of {wanted}")
    return FindingResult(tuple(sought), void, limit, _imports(3), missing)


def looked(
    mutant: Mutant, finders: Mapping[str, Finder], seed: int, seeds: int, limit: float
) -> dict[str, tuple[Look, ...]]:
    """Have each look for a fault in turn, with so many seeds; with one if nobody finds it."""
    looks: dict[str, list[Look]] = {name: [] for name in finders}
    for number in range(seed, seed + seeds):
        for name, finder in finders.items():
            looks[name].append(finder(mutant, number, limit))
        if not any(look.found for made in looks.values() for look in made):
            break
    return {name: tuple(made) for name, made in looks.items()}


def shuffled(seed: int) -> list[Fault]:
    """All faults of the C in an order of the seed's: the first are its sample."""
    faults = [fault for step in SUBJECT.steps if step for fault in c_faults(step)]
    random.Random(f"finding/{seed}").shuffle(faults)
    return faults


def built(fault: Fault | None, folder: Path, clang: bool, step: int = 0) -> Mutant | None:
    """A fault's libraries; None for what is no fault: it does not compile, or to the same code.

    Args:
        fault: None for a mutant without one, of ``step``: nothing is to be found there.
        folder: where what has the fault is built.
        clang: build for the fuzzer, too.
        step: of the mutant without a fault.

    """
    step = fault.step if fault else step
    files, right_files = Trees(fault, folder).files(step), step_trees()[step].files
    assert files is not None, "a fault is in its own step"

    def library(files: Mapping[str, bytes], *flags: str, **options: Any) -> Path | None:
        made = build(step, files, flags=flags or FLAGS, **options)
        return made.path if isinstance(made, Built) else None

    faulty, right = library(files, cache=folder), library(right_files)
    before = library(step_trees()[step - 1].files)
    if faulty is None or right is None or before is None:
        return None
    if fault and faulty.read_bytes() == right.read_bytes():
        return None
    fuzzed = None
    if clang:
        covered = library(files, *COVERED, cache=folder, compiler="clang")
        plain = library(right_files, compiler="clang")
        if covered is None or plain is None:
            return None
        fuzzed = plain, covered
    return Mutant(step, before, right, faulty, fuzzed)


def finders_at(folder: Path) -> tuple[dict[str, Finder], str]:
    """Who can look, and why libFuzzer cannot; its harness is built in the folder."""
    for name, text in (
        ("driver.h", step_trees()[0].files["include/driver.h"].decode()),
        ("fuzz.c", resources.files(__package__).joinpath("findingfuzz.c").read_text("utf-8")),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    finders = dict(FINDERS)
    try:
        clang = find_compiler("clang").path
    except BuildError:
        return finders, f"libFuzzer was left out: there is no clang ({INSTALL})."
    words = [clang, "-O2", "-I.", "-fsanitize=fuzzer", "-rdynamic", "-o", "fuzz", "fuzz.c", "-ldl"]
    made = subprocess.run(words, cwd=folder, env=environment(), check=False, capture_output=True)
    if made.returncode:
        return finders, f"libFuzzer was left out: clang has no runtime for it ({INSTALL})."
    return finders | {FUZZER: by_fuzzer(folder / "fuzz")}, ""


def _insist() -> None:
    try:
        find_compiler()
        for name in ("tree_sitter_c", "tree_sitter", "replay.dirty.bench.findingtest"):
            importlib.import_module(name)
    except BuildError as error:
        raise UsageError(str(error)) from None
    except ImportError as error:
        raise UsageError(f"no {error.name}: install the extra bench") from None


def _imports(rounds: int) -> dict[str, float]:
    """Seconds that a command's imports take, the least of some."""
    took = {}
    for name, line in IMPORTS.items():
        times = []
        for _ in range(rounds):
            began = time.monotonic()
            subprocess.run([sys.executable, "-c", line], check=True)
            times.append(time.monotonic() - began)
        took[name] = min(times)
    return took
