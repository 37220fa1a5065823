"""That the trace of a defect is the shortest there is at its scope: searched again."""

from __future__ import annotations

from replay.dirty.explore.errors import ExploreError
from replay.dirty.explore.held import held
from replay.dirty.explore.search import Request, explored
from replay.dirty.gallery.defects import Defect
from replay.dirty.language.trace import Trace


def shortest(defect: Defect, jobs: int = 1) -> Trace:
    """The trace that a search of all states finds first.

    Raises:
        ExploreError: there is none at the scope.

    """
    request = Request(defect.subject, defect.scope, jobs=jobs)
    if defect.data.property:
        for one in held(request, [defect.step], [defect.data.property]):
            if one.trace is not None:
                return one.trace
            raise ExploreError(one.problem or f"{defect.name}: nothing breaks at this scope")
    for pair in explored(request, [defect.step]):
        for found in pair.shortest:
            if found.shows == defect.data.deviation:
                return found.trace
    raise ExploreError(f"{defect.name}: no state of this scope shows it")
