"""The defects as series/gallery/gallery.toml declares them, and what shows each.

A defect is shown by a trace at a step: the trace breaks a property there, or shows a
declared deviation from the step before. Where a defect is older than the series, the step
that mends it deviates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from replay.base.jsonlines import nearest
from replay.dirty.explore.alphabet import Scope
from replay.dirty.language.files import read_trace
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Trace
from replay.dirty.machine.run import run_small
from replay.dirty.rules.diff import follow_laws
from replay.dirty.rules.properties import MONITORS, RUN_PROPERTIES
from replay.errors import SeriesError, UsageError
from replay.series.declared import Deviation
from replay.series.subject import Subject

FORMAT: Final = "replay-gallery/1"
FOLDER: Final = "gallery"
FILE: Final = "gallery.toml"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a misspelt key is an error."""


class ScopeData(_Table, frozen=True):
    """The scope at which a trace is the shortest; as the options of ``explore``."""

    pages: int = 2
    blocks: tuple[int, ...] = ()
    hpratio: int = 1
    tcg: bool = True
    word_bits: int = 2
    aligned: bool = False
    without: tuple[str, ...] = ()


class Found(_Table, frozen=True):
    """How long random traces take to show a defect.

    Attributes:
        median: operations, over seeds 1, 2 and so on.
        seeds: how many.

    """

    median: int
    seeds: int


class DefectData(_Table, frozen=True):
    """A defect.

    Attributes:
        name: of the defect, and of its trace beside the file.
        title: in one line.
        step: the step that brought it, by name; "0" for one that was there before.
        shown: the step where the trace shows it, by default ``step``.
        cause: what the code does.
        seen: what it would look like to a person.
        property: which is broken there; or
        deviation: which is shown there.
        healed: a step at which it is mended; empty for none.
        fix: what mends it, in words: a commit, or a step.
        claims: steps, by name, with whether a search of its scope shows them to ``hold`` the
            property or to be ``broken``: what a report on the defect says, and tests run.
        why_without: why the scope leaves operations out.
        limits: what the model leaves out that matters to this one.
        proposal: what to change, where nothing mends it; ``patch``: that as a patch, beside
            the series.
        notes: what else a report says of it.

    """

    name: str
    title: str
    step: str
    cause: str
    seen: str
    shown: str = ""
    property: str = ""
    deviation: str = ""
    healed: str = ""
    fix: str = ""
    claims: dict[str, Literal["holds", "broken"]] = {}
    why_without: str = ""
    limits: tuple[str, ...] = ()
    proposal: str = ""
    patch: str = ""
    notes: str = ""
    scope: ScopeData = ScopeData()
    found: Found | None = None


class _File(_Table, frozen=True):
    format: str
    defects: tuple[DefectData, ...] = msgspec.field(name="defect")


@dataclass(frozen=True)
class Defect:
    """A defect of a subject.

    Args:
        data: what is declared.
        subject: whose.

    """

    data: DefectData
    subject: Subject

    @property
    def name(self) -> str:
        """Its name."""
        return self.data.name

    @cached_property
    def step(self) -> int:
        """The step at which the trace shows it."""
        return self.subject.names.parse(self.data.shown or self.data.step)

    @cached_property
    def healed(self) -> int | None:
        """The step from which on it does not; None where it always does."""
        return self.subject.names.parse(self.data.healed) if self.data.healed else None

    @cached_property
    def compared(self) -> int | None:
        """The step to show it beside: that before, or where that has it too the mended one."""
        if self.step == 0:
            return None
        before = self.subject.before(self.step)
        if self.data.property and self.shows(self.trace, before) is not None:
            return self.healed
        return before

    @property
    def scope(self) -> Scope:
        """At which its trace is the shortest."""
        d = self.data.scope
        pages = sum(d.blocks) or d.pages
        return Scope(
            pages, d.word_bits, d.hpratio, d.tcg, d.blocks, d.aligned, frozenset(d.without)
        )

    @property
    def path(self) -> Path:
        """Where its trace is."""
        return folder_of(self.subject) / f"{self.name}.jsonl"

    @cached_property
    def trace(self) -> Trace:
        """Its shortest trace."""
        return read_trace(self.path)

    @cached_property
    def declared(self) -> Deviation | None:
        """The deviation that shows it, if one does."""
        if not self.data.deviation:
            return None
        found = self.subject.series.step(self.step).deviations
        return next(one for one in found if one.id == self.data.deviation)

    @property
    def text(self) -> str:
        """What the deviation or the property says."""
        if self.declared is not None:
            return self.declared.text.strip()
        properties = self.subject.series.properties
        return next(p for p in properties if p.name == self.data.property).text.strip()

    def shows(self, trace: Trace, step: int | None = None) -> int | None:
        """The operation at which a trace shows it at a step (its own by default), if any."""
        at = self.step if step is None else step
        machines = self.subject.machines()
        if self.data.property:
            rule = RUN_PROPERTIES[self.data.property]
            broken = rule(trace, run_small(machines[at], trace))
            return None if broken is None else broken.index
        deviation = self.declared
        assert deviation is not None
        if at != self.step:
            # Another step shows it where it does otherwise than the one that had it last.
            raise ValueError(f"{self.name} is a difference of step {self.step} alone")
        old = machines[self.subject.before(at)]
        return follow_laws(old, machines[at], trace, [deviation]).shown.get(deviation.id)


def folder_of(subject: Subject) -> Path:
    """Where the gallery of a subject is."""
    return subject.file.parent / FOLDER


def defects_of(subject: Subject) -> tuple[Defect, ...]:
    """All defects, in the order of the file.

    Raises:
        SeriesError: the file is wrong; the message names the place.

    """
    return tuple(Defect(data, subject) for data in read(folder_of(subject) / FILE))


def read(file: Path) -> tuple[DefectData, ...]:
    """What a file declares.

    Raises:
        SeriesError: it is wrong; the message names the place.

    """
    try:
        found = msgspec.toml.decode(file.read_bytes(), type=_File)
    except OSError as error:
        raise SeriesError(f"{file}: cannot be read: {error.strerror}") from None
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SeriesError(f"{file}: {error}") from None
    if found.format != FORMAT:
        raise SeriesError(f"{file}: format is {found.format!r}, this version reads {FORMAT!r}")
    for data in found.defects:
        _check(file, data)
    return found.defects


def _check(file: Path, data: DefectData) -> None:
    where = f"{file}: defect {data.name!r}"
    if bool(data.property) is bool(data.deviation):
        raise SeriesError(f"{where}: it is shown by a property or by a deviation; name one")
    if data.property and data.property not in MONITORS:
        raise SeriesError(f"{where}: property {data.property!r}{nearest(data.property, MONITORS)}")
    for name in data.scope.without:
        if name not in OPS:
            raise SeriesError(f"{where}: without {name!r}{nearest(name, OPS)}")


def defect_named(subject: Subject, name: str) -> Defect:
    """A defect by its name.

    Raises:
        UsageError: there is none.

    """
    defects = {one.name: one for one in defects_of(subject)}
    if name not in defects:
        raise UsageError(f"there is no defect {name!r}{nearest(name, defects)}")
    return defects[name]


def explore_command(defect: Defect, step: str = "", whole: bool = False) -> str:
    """The command that finds its trace, or asks the same of another step.

    With ``whole`` no operation is left out.
    """
    d: Any = defect.data
    words = ["replay", "explore", "--steps", step or d.shown or d.step]
    if d.property:
        words += ["--property", d.property]
    scope = d.scope
    if scope.blocks:
        words += ["--blocks", "+".join(map(str, scope.blocks))]
    elif scope.pages != ScopeData().pages:
        words += ["--pages", str(scope.pages)]
    if scope.word_bits != ScopeData().word_bits:
        words += ["--word-bits", str(scope.word_bits)]
    words += ["--hpratio", str(scope.hpratio)] if scope.hpratio != 1 else []
    words += [] if scope.tcg else ["--no-tcg"]
    words += ["--aligned"] if scope.aligned else []
    words += ["--without", ",".join(scope.without)] if scope.without and not whole else []
    return " ".join(words)
