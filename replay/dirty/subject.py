"""The built-in subject: QEMU's dirty-bitmap series of 2013, in 39 steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from refmodels import FOLD
from replay.base.patience import PATIENCE
from replay.dirty.language.generate import DEFAULT, Profile
from replay.dirty.language.language import LANGUAGE, TraceLanguage
from replay.dirty.language.trace import Trace
from replay.dirty.machine.coverage import Coverage
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.machine.model import Run
from replay.dirty.machine.run import PythonModel
from replay.dirty.rules.api import API_LAWS, ApiResult, compare_calls
from replay.dirty.rules.comparison import compare_runs
from replay.dirty.rules.diff import first_difference, follow_laws
from replay.dirty.rules.inner import INNER_PROPERTIES, look_inside
from replay.dirty.rules.laws import LAWS
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.series.check import Plan
from replay.series.declared import Series, data_path
from replay.series.subject import InsideProperty, Lane, Machine, Subject, Violation


def _run(step: int, machine: Machine, trace: Trace) -> Run:
    return PythonModel(step, machine).run(trace)


def _lockstep(machines: Sequence[Machine], trace: Trace, steps: Sequence[int]) -> dict[int, Run]:
    return run_steps(machines, trace, steps)


def _calls(
    series: Series, step: int, old: Machine, new: Machine, seed: str, count: int
) -> ApiResult:
    return compare_calls(series, step, old, new, series.step(step).deviations, seed, count)


def _inside(name: str) -> InsideProperty:
    def rule(machine: Machine, trace: Any) -> Violation | None:
        return look_inside(name, machine, trace)

    return rule


def _compiled(folder: Path | None) -> Lane:
    from replay.dirty.compiled import Compiled  # builds: most commands need none of it

    return Compiled(folder)


SUBJECT: Final = Subject(
    name="replay.dirty.subject:SUBJECT",
    file=data_path() / "series.toml",
    fold=FOLD,
    language=LANGUAGE,
    run=_run,
    lockstep=_lockstep,
    parting=first_difference,
    side_by_side=compare_runs,
    follow=follow_laws,
    laws={"trace": frozenset(LAWS), "api": frozenset({*LAWS, *API_LAWS})},
    properties=RUN_PROPERTIES,
    inside={name: _inside(name) for name in INNER_PROPERTIES},
    calls=_calls,
    lanes={"native": _compiled},
    watch=Coverage,
)


def plan(
    *,
    series: Path | None = None,
    profile: Profile = DEFAULT,
    steps: tuple[int, ...] = SUBJECT.steps,
    seed: int = 1,
    traces: int = 1200,
    copies: tuple[tuple[int, str], ...] = (),
    patience: float = PATIENCE,
) -> Plan:
    """A plan for the built-in subject, or for it with another series.toml."""
    subject = SUBJECT if series is None else SUBJECT.reading(series)
    language = TraceLanguage(profile)
    return Plan(subject, language, seed, traces, steps, copies, patience)
