"""``replay verify --program``: the program of every commit, compared with the one before."""

from __future__ import annotations

from replay.repo.opening import workspace
from replay.repo.program.judging import judge
from replay.repo.program.opening import ProgramRequest, opened
from replay.repo.program.results import ProgramReport
from replay.repo.targets import Progress


def verify(
    request: ProgramRequest, progress: Progress = lambda done, total, text: None
) -> ProgramReport:
    """Verify a range of commits.

    Raises:
        RepoError: no such repository, range, program or corpus.
        BindingError: the inputs file is wrong.
        ExpectError: what is declared is wrong, or fits no commit, or a rule of it fails.
        TraceError: the saved case is none.
        WorkerError: a program cannot be run here at all.

    """
    with workspace() as place, opened(request, place) as work:
        places = range(len(work.history.commits))
        return judge(work, places, work.ready(places, progress), progress)
