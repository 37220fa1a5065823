"""series.toml as typed values: what each step is called, claims, and does to the API."""

from __future__ import annotations

import datetime
import difflib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from replay.errors import SeriesError
from replay.series.names import number_in_series, parts_of

EPILOGUE_FOLDER: Final = "epilogue"
"""In the folder of a series: what came after its last step."""
EPILOGUE: Final = Path(EPILOGUE_FOLDER) / "epilogue.toml"
FORMAT = "replay-series/1"

DeviationKind = Literal["fix", "narrowed domain", "defect", "inner value"]
Scope = Literal["trace", "api"]
StepKind = Literal[
    "move", "rename", "signature", "refactor", "unfold", "store", "optimization", "fix"
]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a misspelt key is an error."""


class Deviation(_Table, frozen=True):
    """One way in which a step differs from the one before, exactly.

    ``law`` names the rule of ``dirty.rules.laws`` that gives what must be seen; ``scope`` says
    whether traces show it, or only direct calls of the inner API; ``fields`` are what
    it may touch of an observation, at the operation that shows it.
    """

    id: str
    kind: DeviationKind
    scope: Scope
    law: str
    fields: tuple[str, ...]
    text: str
    fixed_by: str = ""
    beside: dict[str, str] = msgspec.field(default_factory=dict)
    """Of a fix: the law instead where the line has that fix already. The last one counts."""


class StepData(_Table, frozen=True):
    """One step, as its patch was posted and as it behaves."""

    number: int
    title: str
    theme: str
    kind: StepKind
    claim: str
    needs: tuple[int, ...] = ()
    domain: str = ""
    commit: str = ""
    breaks: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    moves: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = msgspec.field(default=(), name="deviation")

    @property
    def api(self) -> StepData:
        """The API delta: ``adds``, ``changes`` (old, new), ``removes`` and ``moves``."""
        return self


class FixData(_Table, frozen=True):
    """What came after the last step: a fix, or a variant of the machine.

    ``fixes`` are the steps that it mends and ``mends`` the properties that hold again on some
    traces that broke them; ``deviations`` and ``breaks`` are as of a step, against the same line
    without it.
    """

    name: str
    title: str
    date: str
    claim: str
    text: str
    kind: StepKind = "fix"
    fixes: tuple[int, ...] = ()
    mends: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = msgspec.field(default=(), name="deviation")

    def at(self, number: int) -> StepData:
        """As a step, the last part of which it is."""
        return StepData(
            number=number,
            title=self.title,
            theme="",
            kind=self.kind,
            claim=self.claim,
            breaks=self.breaks,
            mends=self.mends,
            deviations=tuple(_beside(one, parts_of(number)) for one in self.deviations),
        )


def _beside(deviation: Deviation, parts: tuple[str, ...]) -> Deviation:
    """A deviation with the law that counts where a line has some fixes."""
    laws = [law for name, law in deviation.beside.items() if name in parts]
    return msgspec.structs.replace(deviation, law=laws[-1]) if laws else deviation


class Theme(_Table, frozen=True):
    """A run of steps with one purpose."""

    letter: str
    title: str
    first: int
    last: int


class PropertyData(_Table, frozen=True):
    """What must hold at each step by itself, from ``first`` to ``last``."""

    name: str
    text: str
    first: int = 0
    last: int = -1
    """By default the last step of the series."""
    broken_at_start: str = ""

    def holds_at(self, step: int) -> bool:
        """Whether it must hold at a step; after the last one as at the last."""
        return self.first <= number_in_series(step) <= self.last


class Start(_Table, frozen=True):
    """Step 0: its API in full, as C prototypes."""

    title: str
    api: tuple[str, ...]


class Series(_Table, frozen=True):
    """The whole series."""

    format: str
    name: str
    posted: datetime.date
    list: str
    cover: str
    merged: str
    start: Start
    themes: tuple[Theme, ...] = msgspec.field(name="theme")
    properties: tuple[PropertyData, ...] = msgspec.field(name="property")
    steps: tuple[StepData, ...] = msgspec.field(name="step")
    fixes: tuple[FixData, ...] = msgspec.field(default=(), name="fix")

    def step(self, number: int) -> StepData:
        """Step 1 to the last; of a step after the last what its last fix does.

        Raises:
            SeriesError: there is no such step.

        """
        for part in parts_of(number)[-1:]:
            return self.fix(part).at(number)
        if not 1 <= number <= len(self.steps):
            raise SeriesError(f"there is no step {number}: steps run from 1 to {len(self.steps)}")
        return self.steps[number - 1]

    def fix(self, name: str) -> FixData:
        """A fix, or a variant, by its name.

        Raises:
            SeriesError: none of that name is declared.

        """
        for fix in self.fixes:
            if fix.name == name:
                return fix
        raise SeriesError(f"there is no [[fix]] {name!r}; declare it in {EPILOGUE}")

    def _implied(self) -> set[str]:
        """Prototypes that a step changes or removes though nothing before named them."""
        named = {name_of(prototype) for prototype in self.start.api}
        implied = set()
        for step in self.steps:
            for prototype in (*step.removes, *(old for old, _ in step.changes)):
                if name_of(prototype) not in named:
                    implied.add(prototype)
            named |= {name_of(p) for p in (*step.adds, *(new for _, new in step.changes))}
        return implied

    def title(self, number: int) -> str:
        """A step's title, step 0 included; after the last step that of its last fix."""
        return self.start.title if number == 0 else self.step(number).title

    def api(self, number: int) -> frozenset[str]:
        """The declared API at a step, as C prototypes: the start with all deltas folded in.

        A function that a step changes though no step added it (a caller, like
        ``migration_bitmap_set_dirty``) was there from the start.
        """
        api = set(self.start.api) | self._implied()
        for step in self.steps[:number]:
            api -= set(step.removes) | {old for old, _ in step.changes}
            api |= set(step.adds) | {new for _, new in step.changes}
        return frozenset(api)


class Epilogue(_Table, frozen=True):
    """What came after the last step of a series: the file beside that of the series."""

    fixes: tuple[FixData, ...] = msgspec.field(name="fix")


def data_path() -> Path:
    """The folder of the series' data: in the wheel beside the code, else in the checkout."""
    packaged = Path(str(resources.files("replay"))) / "_series"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "series"


@cache
def load(file: Path) -> Series:
    """Read a series.toml, once a process.

    Raises:
        SeriesError: unreadable or wrong, with the file, the place and the cure.

    """
    series = _read(file, Series)
    after = file.parent / EPILOGUE
    if after.is_file():
        series = msgspec.structs.replace(series, fixes=_read(after, Epilogue).fixes)
    check(series, file)
    return _to_the_end(series)


T = TypeVar("T", bound=_Table)


def _read(file: Path, kind: type[T]) -> T:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise SeriesError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        return msgspec.toml.decode(text, type=kind)
    except UnicodeDecodeError as error:
        raise SeriesError(f"{file}: not UTF-8 at byte {error.start}") from None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise SeriesError(f"{file}: {error}") from None


def _to_the_end(series: Series) -> Series:
    """The series with each property's last step filled in."""
    last = len(series.steps)
    return msgspec.structs.replace(
        series,
        properties=tuple(
            msgspec.structs.replace(prop, last=last) if prop.last < 0 else prop
            for prop in series.properties
        ),
    )


def check(series: Series, file: Path) -> None:
    """What the types cannot say: numbers in order, names that exist, ids that differ.

    Raises:
        SeriesError: the first thing that is wrong.

    """
    if series.format != FORMAT:
        raise SeriesError(f"{file}: format is {series.format!r}, this version reads {FORMAT!r}")
    names = {prop.name for prop in series.properties}
    ids: set[str] = set()
    for position, step in enumerate(series.steps, 1):
        where = f"{file}: step {step.number}"
        if step.number != position:
            raise SeriesError(f"{where}: it stands where step {position} belongs")
        theme = next((t for t in series.themes if t.letter == step.theme), None)
        if theme is None or not theme.first <= step.number <= theme.last:
            raise SeriesError(f"{where}: theme {step.theme!r} does not cover it")
        for need in step.needs:
            if not 0 < need < step.number:
                raise SeriesError(f"{where}: needs {need}, which is not an earlier step")
        for name in step.breaks:
            _known(name, names, f"{where}: breaks", "property")
        for deviation in step.deviations:
            if deviation.id in ids:
                raise SeriesError(f"{where}: deviation id {deviation.id!r} is used twice")
            ids.add(deviation.id)
    _check_fixes(series, file.parent / EPILOGUE, names, ids)
    _check_api(series, file)


def _check_fixes(series: Series, file: Path, properties: set[str], ids: set[str]) -> None:
    known = {fix.name for fix in series.fixes}
    for fix in series.fixes:
        where = f"{file}: fix {fix.name!r}"
        if [other.name for other in series.fixes].count(fix.name) > 1:
            raise SeriesError(f"{where} is declared twice")
        for number in fix.fixes:
            if not 0 < number <= len(series.steps):
                raise SeriesError(f"{where}: fixes {number}, which is no step")
        for name in (*fix.mends, *fix.breaks):
            _known(name, properties, f"{where}: mends or breaks", "property")
        for deviation in fix.deviations:
            if deviation.id in ids:
                raise SeriesError(f"{where}: deviation id {deviation.id!r} is used twice")
            ids.add(deviation.id)
            for name in deviation.beside:
                _known(name, known, f"{where}: deviation {deviation.id!r}: beside", "fix")


def check_themes(series: Series, file: Path) -> None:
    """That the themes lie inside the steps: so it must be where every step is declared.

    Raises:
        SeriesError: one that does not.

    """
    last = len(series.steps)
    for theme in series.themes:
        if not 1 <= theme.first <= theme.last <= last:
            raise SeriesError(
                f"{file}: theme {theme.letter!r} has steps {theme.first} to {theme.last}; the "
                f"series has 1 to {last}"
            )


def _check_api(series: Series, file: Path) -> None:
    api = set(series.start.api)
    declared = {name_of(prototype) for prototype in api}
    for step in series.steps:
        where = f"{file}: step {step.number}"
        gone = [*step.removes, *(old for old, _ in step.changes)]
        for prototype in gone:
            # A caller may be named first by the step that changes it.
            if prototype not in api and name_of(prototype) in declared:
                near = difflib.get_close_matches(prototype, api, 1)
                hint = f"; there is {near[0]!r}" if near else ""
                raise SeriesError(f"{where}: {prototype!r} is not in the API before it{hint}")
        api -= set(gone)
        api |= set(step.adds) | {new for _, new in step.changes}
        declared |= {name_of(prototype) for prototype in api}


def _known(name: str, names: set[str], where: str, what: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {sorted(names)}"
        raise SeriesError(f"{where} names no {what}: {name!r}{hint}")


def name_of(prototype: str) -> str:
    """The function's name in a C prototype."""
    return prototype.partition("(")[0].split()[-1].lstrip("*")


def to_json(step: StepData) -> dict[str, Any]:
    """A step as plain values."""
    return msgspec.to_builtins(step, enc_hook=str)  # type: ignore[no-any-return]
