"""What a worker does for a campaign on commits: traces of some numbers, on some pairs.

It starts from what the first round learned, and takes nothing from one task to the next: so
what a task shows is a function of the campaign and the numbers alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from replay.base.atomic import replace_file
from replay.build.cache import cache_folder
from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.campaign.sums import Task
from replay.errors import ReplayError, UsageError, WorkerError
from replay.repo.bound import Unbound
from replay.repo.campaign import CallCampaign, Sampling
from replay.repo.checking import Checker
from replay.repo.expected import Expected
from replay.repo.expectfile import Entry
from replay.repo.hanging import Hanging
from replay.repo.keys import searched, version
from replay.repo.masks import Field
from replay.repo.pairing import Pair
from replay.repo.reach import NoReach, helper
from replay.repo.repeating import Repeater
from replay.repo.rules import Rules
from replay.repo.tallies import PairTally
from replay.repo.targets import Target
from replay.repo.watching import Watch

FOLDER = "sent"
"""Where the libraries lie that came from another machine, beside the cache."""


@dataclass(slots=True)
class PairsBatch:
    """What traces of some numbers showed of some pairs.

    Attributes:
        numbers: of the traces.
        ops: calls that were drawn for them.
        tallies: by the number of the pair.
        noise: what was found not to be the same twice, by the number of the target.

    """

    numbers: range
    ops: int
    tallies: dict[int, PairTally]
    noise: dict[int, dict[Field, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """A library as it is sent: its digest and its bytes; ``needs`` cannot be sent along."""

    digest: str
    data: bytes
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pairs:
    """The work. Tasks are led to pairs: those of these numbers are run.

    Attributes:
        sampling: which traces.
        pairs: without what is declared of them, which is ``declared``.
        watch: which lines are watched.
        hanging: what is left out of the traces of each pair, as the first round learned it.
        noise: what is not the same twice, by the number of the target.
        limit: seconds of processor time that a trace may take.
        version: of the code that decides.
        compiler: whether the campaign has one.
        files: the libraries, by their paths, for another machine; empty for this one.

    """

    sampling: Sampling
    pairs: tuple[Pair, ...]
    declared: tuple[tuple[Entry, ...], ...]
    watch: Watch
    hanging: tuple[Hanging, ...]
    noise: Mapping[int, Mapping[Field, str]]
    limit: float
    version: str
    compiler: bool
    files: Mapping[Path, File] = field(default_factory=dict)

    @classmethod
    def of(cls, campaign: CallCampaign, hanging: Sequence[Hanging],
           noise: Mapping[int, Mapping[Field, str]]) -> Self:  # fmt: skip
        """The work that goes on with a campaign, from what it has learned so far."""
        pairs = [pair for pair in campaign.pairs if not is_modelled(pair)]
        declared = [pair.expected.entries if pair.expected else () for pair in pairs]
        return cls(
            campaign.sampling, tuple(replace(pair, expected=None) for pair in pairs),
            tuple(declared), campaign.watch, tuple(hanging[: len(pairs)]), noise,
            campaign.checker.cpu, version(), _has_compiler(),
        )  # fmt: skip

    # --- at work ---------------------------------------------------------------------------

    def run(self, task: Task) -> PairsBatch:
        """Run the traces of a task on the pairs that it is led to, and compare.

        Raises:
            UsageError: this process has not what the campaign has.
            WorkerError: a process could not be started, or was killed.

        """
        # Some errors are made of more than their text, and would not arrive.
        try:
            return self._here()._run(task.numbers, tuple(task.lead))
        except (WorkerError, Unbound) as error:
            raise WorkerError(str(error)) from None
        except ReplayError as error:
            raise UsageError(str(error)) from None

    def _run(self, numbers: range, places: Sequence[int]) -> PairsBatch:
        entries = dict.fromkeys(one for place in places for one in self.declared[place])
        with Rules(entries) as rules, Checker(1, self.limit) as checker:
            pairs = [self._pair(place, rules) for place in places]
            campaign = CallCampaign(
                checker, self.sampling, pairs, max(len(numbers), 1), self.watch
            )  # fmt: skip
            campaign.hanging = [self.hanging[place].copy() for place in places]
            keys = target_keys(self.pairs)
            noise = {key: dict(self.noise.get(number, {})) for key, number in keys.items()}
            campaign.repeater = Repeater(checker, noise=noise)
            tally = campaign.look(numbers)
        found = dict(zip(places, tally.pairs, strict=True))
        learned = {
            keys[key]: {what: why for what, why in fields.items()
                        if what not in self.noise.get(keys[key], {})}
            for key, fields in campaign.repeater.noise.items()
        }  # fmt: skip
        ops = sum(one.evidence.calls[1] for one in found.values())
        return PairsBatch(numbers, ops, found, {n: one for n, one in learned.items() if one})

    def _pair(self, place: int, rules: Rules) -> Pair:
        pair, entries = self.pairs[place], self.declared[place]
        if not entries:
            return pair
        return replace(pair, expected=Expected(self.sampling.interface, entries, rules))

    # --- on another machine ------------------------------------------------------------------

    def packed(self) -> Self:
        """The same with its libraries, for a machine that does not have them.

        Raises:
            UsageError: one cannot be read.

        """
        paths = {side.library for pair in self.pairs for side in (pair.before, pair.after)}
        try:
            return replace(self, files={path: _file(path) for path in sorted(paths)})
        except OSError as error:
            raise UsageError(
                f"{error.filename}: the library cannot be read: {error.strerror}"
            ) from None

    def _here(self) -> Self:
        """The same with the libraries where this process can load them.

        Raises:
            UsageError: it has another version, or lacks what the campaign has.

        """
        if self.version != version():
            raise UsageError(
                "this worker has another version of replay, or of Python, than the campaign; "
                "start it with the same"
            )
        if not self.files:
            return self
        if self.compiler and not _has_compiler():
            raise UsageError(
                "this worker has no C compiler, and the campaign has one, with which it counts "
                "calls; install cc where the worker is"
            )
        where = {path: _put(path, file) for path, file in self.files.items()}

        def there(side: Target) -> Target:
            if side.preload and not Path(side.preload).is_file():
                raise UsageError(
                    f"this worker lacks {side.preload}, which the sanitized library needs; "
                    "install the same compiler there, or leave out --cluster"
                )
            return replace(side, library=where[side.library])

        pairs = tuple(
            replace(pair, before=there(pair.before), after=there(pair.after))
            for pair in self.pairs
        )  # fmt: skip
        return replace(self, pairs=pairs, watch=_watch_here(self.watch))


def is_modelled(pair: Pair) -> bool:
    """Whether a side is a reference model, which is asked in the first round alone."""
    return bool(pair.before.model or pair.after.model)


def target_keys(pairs: Sequence[Pair]) -> dict[str, int]:
    """The keys of the targets of some pairs, numbered."""
    keys = (side.key for pair in pairs for side in (pair.before, pair.after))
    return {key: number for number, key in enumerate(dict.fromkeys(keys))}


def _has_compiler() -> bool:
    try:
        find_compiler()
    except BuildError:
        return False
    return True


def _file(path: Path) -> File:
    data = path.read_bytes()
    return File(hashlib.sha256(data).hexdigest(), data, tuple(p.name for p in searched(path)))


def _put(path: Path, file: File) -> Path:
    """Where a library lies here: where it was built, if this machine has that, or as sent."""
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() == file.digest:
            return path
    except OSError:
        pass
    if file.needs:
        raise UsageError(
            f"{path.name} needs {', '.join(file.needs)} from a folder that this worker does not "
            "have, and libraries are sent alone: link it in, share the folder of REPLAY_CACHE "
            "with the workers, or leave out --cluster"
        )
    target = cache_folder() / FOLDER / file.digest / path.name
    try:
        if not target.is_file() or target.read_bytes() != file.data:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(target, file.data, 0o700)
    except OSError as error:
        raise UsageError(
            f"{target}: a library cannot be kept here: {error.strerror}; start the worker with "
            "another REPLAY_CACHE"
        ) from None
    return target


def _watch_here(watch: Watch) -> Watch:
    if watch.helper is None or watch.helper.is_file():
        return watch
    try:
        return replace(watch, helper=helper())
    except (NoReach, BuildError) as error:
        raise UsageError(
            f"this worker cannot tell which lines are reached, and the campaign can: {error}"
        ) from None
