"""C at step k as a Model, like the Python one: a valid trace goes in, an equal run comes out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from replay.build.compile import BuildFailed, Outcome, build_series
from replay.build.errors import BuildError
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Model, Run
from replay.dirty.native.encode import WORD_BITS, encode
from replay.dirty.native.inner import with_calls
from replay.dirty.native.session import Libraries, session
from replay.series.declared import load
from replay.series.latertrees import trees_of
from replay.series.patches import series_folder


@dataclass(frozen=True, slots=True)
class NativeModel:
    """C at a step. Picklable; the library is opened in a process apart when it is needed.

    Args:
        step: the number of the step.
        libraries: those of this step and perhaps of others.
        share: run a trace on all the steps at once, and record it only once for those
            whose digests are equal; else this step is run and recorded by itself.

    """

    step: int
    libraries: Libraries
    share: bool = False

    def run(self, trace: Trace) -> Run:
        """Execute a valid trace on a fresh machine.

        The records equal those of the Python model. Where the library crashes or does not
        end, the last record has the status "crash" or "hang", and says how as its ``ret``.

        Raises:
            DomainError: page_bits is not 12, word_bits not those of the libraries, or the
                machine too large.
            WorkerError: the process that holds the libraries was killed.

        """
        held = session(self.libraries)
        if self.share:
            return held.survey(trace)[self.step]
        return held.records(encode([trace], self.libraries.word_bits), [(self.step, 0)])[0]


def built_series(
    series_dir: Path | str | None = None,
    *,
    compiler: str | None = None,
    sanitize: bool = False,
    cache: Path | None = None,
    jobs: int = 2,
    progress: Callable[[Outcome], None] | None = None,
    calls: bool = False,
    steps: Collection[int] | None = None,
    word_bits: int = WORD_BITS,
) -> dict[int, Outcome]:
    """Apply the patches of a series and build its steps; see ``replay.build.compile``.

    With ``calls`` the drivers can also call the inner API; see ``replay.dirty.native.inner``.
    Built are those of ``steps``; by default all of the series, and none after the last.
    A machine word has ``word_bits``.

    Raises:
        SeriesError, PatchError: the series cannot be read, or a patch does not apply.
        BuildError: there is no compiler, or no room for the cache.

    """
    found = trees_of(tuple(steps or ()), series_dir, every=steps is None)
    files = {step: tree.files for step, tree in found.items()}
    if calls:
        series = load(series_folder(series_dir) / "series.toml")
        files = {step: with_calls(tree, series, step) for step, tree in files.items()}
    return build_series(
        files, flags=word_flags(word_bits),
        compiler=compiler, sanitize=sanitize, cache=cache, jobs=jobs, progress=progress,
    )  # fmt: skip


def word_flags(word_bits: int) -> tuple[str, ...]:
    """The compiler's flags for machine words of so many bits: none for those of the host."""
    return () if word_bits == WORD_BITS else (f"-DBITS_PER_LONG={word_bits}",)


def libraries_of(outcomes: Mapping[int, Outcome], word_bits: int = WORD_BITS) -> Libraries:
    """The libraries of all steps.

    Raises:
        BuildError: a step does not build; the first one, with what the compiler said.

    """
    for step, outcome in outcomes.items():
        if isinstance(outcome, BuildFailed):
            raise BuildError(f"step {step} does not build:\n{outcome.text}")
    return Libraries.of(outcomes, word_bits)


def native_models(
    series_dir: Path | str | None = None,
    compiler: str | None = None,
    sanitize: bool = False,
) -> dict[int, Model]:
    """C at every step of a series, by number, built if need be; each runs all on one trace.

    Raises:
        SeriesError, PatchError: the series cannot be read, or a patch does not apply.
        BuildError: there is no compiler, or a step does not build.

    """
    outcomes = built_series(series_dir, compiler=compiler, sanitize=sanitize)
    libraries = libraries_of(outcomes)
    return {step: NativeModel(step, libraries, share=True) for step in libraries.steps}


def maker(libraries: Libraries) -> Callable[[int], Model]:
    """Gives the model of a step, as ``replay.dirty.conform`` wants it: fit for worker processes."""
    return partial(NativeModel, libraries=libraries, share=True)
