"""A judge of any project's trees: built by the user's command, called through a binding.

The machinery is that of ``replay verify`` (``replay.repo``); the two sides of a comparison
are the trees of two versions instead of neighbours in a history. The command and what it
builds are executed, in a temporary folder that is gone afterwards; the user's own folder
is only read.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.build.output import telling_line
from replay.elf.image import Image
from replay.git.apply import Tree
from replay.git.folders import write_tree
from replay.git.objects import tree_id
from replay.mail.behaviour import Contrast, Likeness, Ruling, Trees
from replay.repo.binding import Binding, Interface
from replay.repo.bindingfile import read_binding
from replay.repo.building import Builder
from replay.repo.calls import read_calls, to_text
from replay.repo.campaign import CallCampaign, Sampling, Sighting
from replay.repo.checking import Checker
from replay.repo.errors import BindingError, RepoError
from replay.repo.evidence import decide
from replay.repo.opening import workspace
from replay.repo.pairing import Pair
from replay.repo.resolving import resolve
from replay.repo.results import Counterexample
from replay.repo.showing import value_text
from replay.repo.tallies import PairTally
from replay.repo.targets import Prepared, Progress, Target, bound_to, drafted, mining, prepare
from replay.search.verdict import Verdict

COMPILED: Final = (b"\x7fELF", b"!<arch>\n")
"""How files begin that a compiler or ar has made."""


@dataclass(frozen=True, slots=True)
class Request:
    """How to build and call; the attributes are as in ``replay.repo.verify.Request``."""

    build: str
    library: str
    binding: Path | None
    traces: int
    ops: int
    seed: int
    jobs: int
    budget: int
    build_limit: float
    call_limit: float
    trace: Path | None = None


def check_clean(tree: Tree, folder: Path) -> None:
    """See that nothing compiled lies in a tree.

    A build would take it for up to date, and both sides would have the same old code.

    Raises:
        RepoError: something does; how to get a tree without.

    """
    for path, file in tree.items():
        if file.data.startswith(COMPILED):
            raise RepoError(
                f"{folder / path}: a compiled file, which a build may take for up to date; give "
                "--tree a clean checkout, as git worktree add makes one"
            )


@contextlib.contextmanager
def calling(
    request: Request, progress: Progress = lambda done, total, text: None
) -> Iterator[CallJudge]:
    """A judge; when it is left no process and no temporary folder of it is left behind.

    Raises:
        BindingError: the binding cannot be read, or has maps, which are about commits.
        RepoError: the library's path is none inside the tree.

    """
    binding = read_binding(request.binding) if request.binding else None
    for rule in binding.maps if binding else ():
        raise BindingError(
            "a map is for commits of a repository, and patches by mail are none; name all "
            'functions in the op, as in function = ["old_name", "new_name"]',
            binding.path if binding else "", rule.line, rule.key,
        )  # fmt: skip
    with workspace() as place, contextlib.ExitStack() as stack:
        source = _InMemory(place)
        builder = Builder(source, request.build, request.library, request.build_limit)
        yield CallJudge(request, binding, source, builder, stack, progress)


class _InMemory:
    """Trees in memory, for a builder."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.trees: dict[str, Tree] = {}

    def worktree(self, folder: Path) -> _Rewritten:
        """A folder that does not exist yet."""
        return _Rewritten(self.trees, folder)


class _Rewritten:
    """A folder that is written anew for each tree."""

    def __init__(self, trees: Mapping[str, Tree], folder: Path) -> None:
        self.trees = trees
        self.path = folder

    def move(self, tree: str, keep: bool = False) -> tuple[str, ...]:
        """Make the folder hold a tree, and nothing else."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        write_tree(self.trees[tree], self.path)
        return ()


class CallJudge:
    """Builds and calls trees; made by :func:`calling`."""

    def __init__(
        self, request: Request, binding: Binding | None, source: _InMemory, builder: Builder,
        stack: contextlib.ExitStack, progress: Progress,
    ) -> None:  # fmt: skip
        self.request = request
        self.binding = binding
        self.source = source
        self.builder = builder
        self.stack = stack
        self.progress = progress
        self.campaign: CallCampaign | None = None
        self.tallies: list[PairTally] = []
        self.numbers: dict[int, int] = {}

    def judge(self, pairs: Sequence[Trees]) -> list[Ruling]:
        """A ruling on each pair of trees; see ``replay.mail.behaviour.Judge``.

        Raises:
            BindingError: the binding does not fit the libraries.
            RepoError: there is none, and nothing to draft one from.
            TraceError: the trace file does not fit the binding.
            WorkerError: a worker could not be started, or was killed.

        """
        # Not git's ids alone: those are the cache keys of what git itself checked out.
        names = [(f"mail-{tree_id(old)}", f"mail-{tree_id(new)}") for old, new in pairs]
        for both, trees in zip(names, pairs, strict=True):
            self.source.trees |= dict(zip(both, trees, strict=True))
        every = list(self.source.trees)
        made = prepare(self.builder, every, self.request.jobs, self.progress)
        if all(one.shape is None for one in made):
            prepared = dict(zip(every, made, strict=True))
            return [_unjudged(prepared[old], prepared[new]) for old, new in names]
        sampling, checker = self._opened(made)
        bound = [bound_to(sampling.interface, one, lambda rule: False) for one in made]
        prepared = dict(zip(every, checker.load(bound), strict=True))
        found = [_paired(prepared[old], prepared[new], sampling) for old, new in names]
        paired = {place: one for place, one in enumerate(found) if isinstance(one, Pair)}
        self.numbers = {place: number for number, place in enumerate(paired)}
        self.campaign = CallCampaign(checker, sampling, list(paired.values()))
        if paired:
            self.progress(0, sampling.count, "running traces")
            self.tallies = self.campaign.run(self.progress).pairs
        return [
            self._ruled(one, self.tallies[self.numbers[place]]) if isinstance(one, Pair) else one
            for place, one in enumerate(found)
        ]

    def _ruled(self, pair: Pair, tally: PairTally) -> Ruling:
        """The ruling on a pair that was run: no difference only where enough was seen."""
        assert self.campaign is not None
        ruling = _ruling(pair, tally)
        if ruling.likeness is not Likeness.NO_DIFFERENCE:
            return ruling
        _, reason = decide(tally.evidence, None)
        if tally.called and not tally.seen:
            names = ", ".join(sorted(tally.called))
            noise = self.campaign.repeater.mask(pair).notes(tally.evidence.generated)
            what = f"it is not deterministic: {noise[0]}; " if noise else ""
            reason = f"{what}nothing is observed of {names}"
        return Ruling(Likeness.NOT_JUDGED, problems=(("", reason),)) if reason else ruling

    def _opened(self, made: Sequence[Prepared]) -> tuple[Sampling, Checker]:
        """The traces to run on trees of which one can be read, and what runs them."""
        request = self.request
        shapes = [one.shape for one in made]
        binding = self.binding or drafted(made)
        interface = mining(resolve(binding, shapes, lambda rule, index: False), made)
        given = read_calls(request.trace, interface) if request.trace is not None else None
        sampling = Sampling(interface, request.seed, request.traces, request.ops, given)
        checker = self.stack.enter_context(Checker(request.jobs, request.call_limit))
        return sampling, checker

    def example(
        self, pair: int, traces: frozenset[Hashable], unlike: int | None, shorten: bool
    ) -> Contrast | str:
        """The shortest trace found that shows a difference; see ``behaviour.Judge``."""
        assert self.campaign is not None
        pairs, sampling = self.campaign.pairs, self.campaign.sampling
        number = self.numbers[pair]
        here, ranks = pairs[number], self.tallies[number].differing
        other = self.numbers.get(unlike) if unlike is not None else None
        if other is not None and not here.names <= pairs[other].names:
            other = None
        chosen = min((n for n in ranks if _key(here, n) in traces), key=lambda n: (ranks[n], n))
        self.progress(0, 0, "shortening an example")
        budget = self.request.budget if shorten and sampling.given is None else 0
        found = self.campaign.example(Sighting(number, chosen, other), budget)
        if isinstance(found, str):
            return f"it is not deterministic: {found}"
        return _contrast(found, sampling.interface)


def _contrast(found: Counterexample, interface: Interface) -> Contrast:
    fields = tuple(
        (what, value_text(old), value_text(new)) for what, old, new in found.divergence.fields
    )
    ops = tuple(call.text(interface) for call in found.trace)
    file = to_text(found.trace, interface, "difference")
    return Contrast(ops, found.divergence.index, fields, file, found.complete)


def _paired(old: Prepared, new: Prepared, sampling: Sampling) -> Pair | Ruling:
    """What to compare of two trees; or what is known of them without."""
    if old.target is None or new.target is None:
        return _unjudged(old, new)
    if _same_code(old.target, new.target):
        return Ruling(Likeness.SAME_CODE)
    common = old.target.bound.names & new.target.bound.names
    if not common or not sampling.wanted <= common:
        lacking = ", ".join(sorted(sampling.wanted - common)) or "any operation"
        problem = f"they do not both have {lacking}"
        return Ruling(Likeness.NOT_JUDGED, problems=(("", problem),))
    return Pair(old.target, new.target, common)


def _same_code(old: Target, new: Target) -> bool:
    """Whether two libraries put the same into memory, and are called in the same way.

    Debug information is no part of that: it tells the folder of the build, which differs.
    """
    if old.bound.to_json() != new.bound.to_json():
        return False
    if old.checksum == new.checksum:
        return True
    with Image(old.library) as one, Image(new.library) as other:
        return one.fingerprint == other.fingerprint


def _key(pair: Pair, number: int) -> Hashable:
    """Traces of one number are equal for pairs that have the same operations."""
    return number, pair.names


def _ruling(pair: Pair, tally: PairTally) -> Ruling:
    if not tally.traces:
        return Ruling(Likeness.NOT_JUDGED, problems=(("", "no trace could be compared"),))
    likeness = Likeness.DIFFERS if tally.differing else Likeness.NO_DIFFERENCE
    differing, left_out = (
        frozenset(_key(pair, number) for number in kept)
        for kept in (tally.differing, tally.left_out)
    )  # fmt: skip
    return Ruling(likeness, tally.traces, differing, left_out)


def _unjudged(old: Prepared, new: Prepared) -> Ruling:
    """Why two trees are not compared."""
    problems = []
    obstacles = [(side, one.obstacle) for side, one in (("old", old), ("new", new)) if one.obstacle]
    for side, obstacle in obstacles:
        built = obstacle.verdict is not Verdict.NOT_BUILT
        said = "" if built else telling_line(obstacle.output)
        problems.append((side, said if "error" in said.lower() else obstacle.reason))
    broken = any(obstacle.verdict is Verdict.NOT_BUILT for _, obstacle in obstacles)
    likeness = Likeness.NOT_BUILT if broken else Likeness.NOT_JUDGED
    return Ruling(likeness, problems=tuple(problems))
