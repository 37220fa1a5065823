"""The traces of the corpus, which a campaign runs before it draws any."""

from __future__ import annotations

from collections.abc import Callable

from replay.campaign.state import State
from replay.campaign.sums import Task
from replay.dirty.campaign.corpus import Corpus
from replay.dirty.campaign.sums import StepSums
from replay.dirty.campaign.work import CORPUS, SHARE, Asked, Lanes, fits
from replay.dirty.language.trace import Trace


def run_corpus(
    state: State[StepSums], asked: Asked, corpus: Corpus, told: Callable[[int, int], None]
) -> tuple[Trace, ...]:
    """Run the traces of the corpus, once a campaign; gives those that are run in it.

    Raises:
        StateError: the state cannot be written.
        TraceError: a file of the corpus is no trace.

    """
    sums = state.sums
    if sums.corpus is not None:
        return sums.corpus
    read = (trace.renamed(trace.name or path.stem) for path, trace in corpus.read())
    fit = [(fits(asked, trace), trace) for trace in read]
    traces = tuple(trace for _, trace in sorted(fit, key=lambda pair: not pair[0]))
    lanes = Lanes(asked, sums.made, traces, sum(well for well, _ in fit))
    for at in range(0, len(traces), SHARE):
        numbers = range(at, min(at + SHARE, len(traces)))
        sums.merge(lanes.run(Task(numbers)), CORPUS)
        told(numbers.stop, len(traces))
    sums.corpus = traces
    state.commit()
    return traces
