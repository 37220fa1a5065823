"""A trace played on a model, with the raw store after every operation.

An observation tells which pages are dirty; a frame also holds what lies in memory: the
bytes of the byte map (steps 0 to 18) or the words of the three bitmaps (from 19). All of
it comes from running the reference models.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from refmodels import FOLD, delta
from replay.dirty.language.layouts import layouts
from replay.dirty.language.trace import Observation, Trace, differences
from replay.dirty.machine.model import Run
from replay.dirty.machine.moment import execute
from replay.dirty.machine.run import PythonModel, start
from replay.errors import SeriesError
from replay.teach.lessons.format import Lesson, Mistake

SPLIT: Final = 19
"""The step from which on the store is three bitmaps."""


@dataclass(frozen=True, slots=True)
class Store:
    """The dirty store as it lies in memory.

    ``data`` is a byte a page up to step 18; from 19 on ``words`` holds the words of VGA,
    CODE and MIGRATION, of ``word_bits`` bits each.
    """

    data: bytes | None
    words: tuple[tuple[int, ...], ...] = ()
    word_bits: int = 64

    @property
    def size(self) -> int:
        """Bytes of memory that the store takes."""
        if self.data is not None:
            return len(self.data)
        return sum(map(len, self.words)) * max(self.word_bits, 8) // 8


@dataclass(frozen=True, slots=True)
class Frame:
    """The machine after an operation; ``observation`` is None when it was not run.

    ``store`` is None after an abort: the process would be dead. ``blocks`` are (first
    page, pages) in order of address.
    """

    index: int
    observation: Observation | None
    store: Store | None
    blocks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Film:
    """A trace played at one step. ``label`` says which model, for a heading."""

    trace: Trace
    step: int
    label: str
    frames: tuple[Frame, ...]


def look_at_store(vm: Any) -> Store:
    """The raw store of a machine."""
    if "phys_dirty" in vm.FIELDS:
        return Store(bytes(vm.phys_dirty))
    words = tuple(tuple(bitmap) for bitmap in vm.dirty_memory)
    return Store(None, words, vm.BITS_PER_LONG)


def look_at_blocks(vm: Any) -> tuple[tuple[int, int], ...]:
    """The blocks of a machine in order of address: (first page, pages)."""
    bits = vm.TARGET_PAGE_BITS
    return tuple(sorted((b.offset >> bits, b.length >> bits) for b in vm.blocks))


def play(trace: Trace, step: int, machine: type[Any] | None = None, label: str = "") -> Film:
    """Play a trace at a step; ``machine`` replaces the step's own model.

    Raises:
        DomainError: the step does not support an operation.

    """
    model = PythonModel(step, machine)
    run = model.run(trace)
    vm = start(model.machine, trace)
    frames = []
    for index, ((name, args), blocks) in enumerate(zip(trace.program, layouts(trace), strict=True)):
        if index >= len(run.records):
            frames.append(Frame(index, None, None, blocks))
            continue
        lived = execute(vm, name, args).status == "ok"
        store = look_at_store(vm) if lived else None
        frames.append(Frame(index, run.observation(index), store, look_at_blocks(vm)))
    return Film(trace, step, label or f"step {step}", tuple(frames))


def first_parting(a: Film, b: Film) -> int | None:
    """The first operation at which two films are observed differently."""
    for x, y in zip(a.frames, b.frames, strict=True):
        if fields_apart(x, y):
            return x.index
    return None


def fields_apart(a: Frame, b: Frame) -> tuple[str, ...]:
    """The fields of the observation in which two frames differ."""
    return differences(a.observation, b.observation)


# --- mistakes ---------------------------------------------------------------------------


def mistaken_source(number: int, mistake: Mistake) -> str:
    """The source of a step's module with a mistake put in.

    Raises:
        SeriesError: the module does not hold the text that the mistake replaces.

    """
    text = module_path(number).read_text(encoding="utf-8")
    at = -1
    for _ in range(mistake.times):
        at = text.find(mistake.old, at + 1)
        if at < 0:
            raise SeriesError(
                f"the mistake of lesson {number} replaces a text that "
                f"{module_path(number).name} does not hold {mistake.times} times; "
                "copy it anew from there"
            )
    return text[:at] + mistake.new + text[at + len(mistake.old) :]


def module_path(number: int) -> Path:
    """The file of a step's module."""
    import refmodels

    name = FOLD.module(number).rpartition(".")[2]
    return Path(refmodels.__path__[0]) / f"{name}.py"


@cache
def mistaken(number: int, mistake: Mistake) -> Sequence[type[Any]]:
    """The machine classes of all steps, with a mistake in the module of one.

    Raises:
        SeriesError: the mistake does not fit the module.

    """
    source = mistaken_source(number, mistake)
    with tempfile.TemporaryDirectory(prefix="replay-lesson-") as folder:
        copy = Path(folder) / module_path(number).name
        copy.write_text(source, encoding="utf-8")
        try:
            return FOLD.variant({number: copy}, FOLD.last)
        except delta.LinkError as error:
            raise SeriesError(f"the mistake of lesson {number} does not fit: {error}") from None


def run_mistaken(lesson: Lesson) -> tuple[Run, Run]:
    """The lesson's trace on the right model and on the mistaken one.

    Raises:
        SeriesError: the lesson has no mistake, or it does not fit.

    """
    mistake = lesson.mistake
    if mistake is None:
        raise SeriesError(f"{lesson.path}: the lesson has no mistake to run")
    at = mistake.at or lesson.number
    machine = mistaken(lesson.number, mistake)[at]
    return PythonModel(at).run(lesson.trace), PythonModel(at, machine).run(lesson.trace)


def films(lesson: Lesson, with_mistake: bool = False) -> tuple[Film, Film]:
    """A lesson's trace on its two steps, or on the right model and the mistaken one.

    Raises:
        SeriesError: the mistake does not fit the module.

    """
    if with_mistake and lesson.mistake:
        at = lesson.mistake.at or lesson.number
        machine = mistaken(lesson.number, lesson.mistake)[at]
        return (
            play(lesson.trace, at),
            play(lesson.trace, at, machine, f"step {at}, with the mistake"),
        )
    old, new = lesson.steps
    return play(lesson.trace, old), play(lesson.trace, new)
