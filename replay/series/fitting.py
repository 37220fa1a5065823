"""That what a series declares fits what its subject has: models, fixes, laws, properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay.base.jsonlines import nearest
from replay.errors import SeriesError
from replay.series.declared import EPILOGUE, Series, check_themes

if TYPE_CHECKING:
    from replay.series.subject import Subject


def fit(subject: Subject, series: Series) -> None:
    """That a series declares what there are models of, and names only what is there.

    Raises:
        SeriesError: the first thing that does not fit.

    """
    if len(series.steps) != subject.last:
        raise SeriesError(
            f"{subject.file}: it declares {len(series.steps)} steps, and the last model in "
            f"{subject.fold.home} is that of step {subject.last}; a [[step]] and a module belong "
            "to each step"
        )
    declared, wanted = tuple(fix.name for fix in series.fixes), subject.names.parts
    if declared and declared != wanted:  # a changed copy may have none
        raise SeriesError(
            f"{subject.file.parent / EPILOGUE}: it declares the fixes {', '.join(declared)}; "
            f"the models in {subject.fold.home} are, in order, {', '.join(wanted) or 'none'}"
        )
    check_themes(series, subject.file)
    _check_names(subject, series)


def _check_names(subject: Subject, series: Series) -> None:
    """That every law and every property that the file names is there.

    Raises:
        SeriesError: the first that is not, with the nearest that is.

    """
    declared = [(f"step {step.number}", step.deviations) for step in series.steps]
    declared += [(f"fix {fix.name!r}", fix.deviations) for fix in series.fixes]
    for where, deviations in declared:
        for deviation in deviations:
            known = subject.laws.get(deviation.scope, frozenset())
            for law in (deviation.law, *deviation.beside.values()):
                if law not in known:
                    raise SeriesError(
                        f"{subject.file}: {where}: deviation {deviation.id!r} names no law of "
                        f"scope {deviation.scope!r}: {law!r}{nearest(law, sorted(known))}"
                    )
    names = {*subject.properties, *subject.inside}
    for prop in series.properties:
        if prop.name not in names:
            raise SeriesError(
                f"{subject.file}: there is no property {prop.name!r}"
                f"{nearest(prop.name, sorted(names))}"
            )
