"""Verdicts remembered: what was found of a pair, found again where all it rests on is the same.

What is remembered is a function of its key (see ``replay.repo.keys``), as far as one can
know. So these results are not, and are found anew each time:

- a crash or a hang, and an example that could not be repeated: it may have been chance;
- where something is not the same twice, on either side: what was left out is what a few
  repeats happened to show;
- where calls hang on both sides: a clock decided what was run;
- where it is not known which lines were reached: a compiler or a debugger was lacking;
- an example that was not given the whole budget: it stood behind too many others;
- anything about a single given trace, or a model, which is a program that may do anything.

An entry is one file, put in place whole, with a digest of its content. What is damaged, or
stands under another's name, is no entry. Where nothing can be written, nothing is remembered,
which :attr:`Memory.problem` tells.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from replay.base.atomic import replace_file
from replay.build.cache import cache_folder
from replay.repo.coded import NotCoded, decode, encode
from replay.repo.keys import FORMAT, Question, pair_key
from replay.repo.pairing import Names, Pair
from replay.repo.results import Counterexample, PairResult
from replay.search.verdict import Verdict

T = TypeVar("T")

FOLDER: Final = "judged"
STEADY: Final = frozenset((Verdict.SAME, Verdict.UNDECLARED, Verdict.UNDECIDED))


@dataclass(frozen=True, slots=True)
class Calls:
    """How often each operation was called in the traces of a pair.

    Attributes:
        drawn: in those that are drawn for all pairs with the same operations.
        bred: in those that were made for this pair alone.

    """

    drawn: Counter[str] = field(default_factory=Counter)
    bred: Counter[str] = field(default_factory=Counter)


def total(pairs: Iterable[tuple[Names, Calls]]) -> Counter[str]:
    """How often each operation was called for several pairs, each with its operations.

    Traces that were drawn for several pairs count once.
    """
    drawn: dict[Names, Counter[str]] = {}
    whole: Counter[str] = Counter()
    for names, calls in pairs:
        drawn[names] = drawn.get(names, Counter()) | calls.drawn
        whole.update(calls.bred)
    for counts in drawn.values():
        whole.update(counts)
    return whole


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a pair.

    Attributes:
        result: what was found.
        calls: how often each operation was called.
        ran: the ids of the kept traces that were run on it, or came from it.

    """

    result: PairResult
    calls: Calls = field(default_factory=Calls)
    ran: frozenset[str] = frozenset()


@dataclass(slots=True)
class Shelf:
    """The folder of entries, one file each, and what is asked of each pair.

    Attributes:
        folder: where the entries are; None where nothing is remembered.
        question: the digest of what is asked of each pair.
        fresh: nothing is known of before, but what is found is remembered.
        problem: why nothing can be remembered; empty while it can.

    """

    folder: Path | None = None
    question: str = ""
    fresh: bool = False
    problem: str = ""

    def read(self, name: str, kind: type[T]) -> T | None:
        """The entry of a name; None where there is none that holds."""
        try:
            return unpacked(name, self._path(name).read_bytes(), kind)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write(self, name: str, found: object) -> None:
        """Put an entry in place; where that cannot be, ``problem`` says why."""
        path = self._path(name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, packed(name, found, type(found)))
        except (OSError, NotCoded) as error:
            said = error.strerror if isinstance(error, OSError) else error
            self.problem = (
                f"{self.folder}: verdicts are not remembered: {said}; "
                "name another folder in REPLAY_CACHE"
            )

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name[:2] / f"{name}.json"


class Memory(Shelf):
    """What is remembered of the pairs of a run. Threads may share it, and so may processes."""

    __slots__ = ()

    @classmethod
    def of(cls, question: Question, given: bool = False, fresh: bool = False) -> Self:
        """The memory for a question; with a single ``given`` trace there is none."""
        return cls() if given else cls(cache_folder() / FOLDER, question.digest(), fresh)

    def known(
        self, pair: Pair, trees: Sequence[str] = (), kept: Iterable[str] = ()
    ) -> Known | None:
        """What is remembered of a pair; None where nothing is, or it rests on too little.

        Args:
            pair: which.
            trees: of its two commits; none where changed lines are not asked for.
            kept: the ids of the kept traces at hand that can be run on it: a verdict counts
                only if all of them were.

        """
        name = None if self.fresh else self._name(pair, trees)
        found = self.read(name, Known) if name else None
        return found if found is not None and found.ran.issuperset(kept) else None

    def remember(
        self, pair: Pair, trees: Sequence[str], found: Known, *, noisy: bool, shortened: bool = True
    ) -> None:
        """Remember what was found of a pair, if it can be believed another time.

        Args:
            pair: which.
            trees: as in :meth:`known`.
            found: what to remember.
            noisy: whether anything on either side was not the same twice, or some trace ended
                with a crash or a hang on one side alone, whichever is shown.
            shortened: whether an example was given the whole budget.

        """
        differs = isinstance(found.result.shown, Counterexample)
        if noisy or (differs and not shortened) or not is_steady(found.result) or self.problem:
            return
        name = self._name(pair, trees)
        if name is not None:
            self.write(name, found)

    def _name(self, pair: Pair, trees: Sequence[str]) -> str | None:
        return None if self.folder is None else pair_key(self.question, pair, trees)


def is_steady(result: PairResult) -> bool:
    """Whether a result is one that another run gives again; see above."""
    evidence, reach = result.evidence, result.reach
    return (
        result.verdict in STEADY
        and not isinstance(result.shown, str)
        and not result.notes
        and not evidence.left_out
        and not evidence.stopped("hang")
        and (reach is None or not reach.unknown)
    )


def packed(name: str, found: Any, kind: Any) -> bytes:
    """An entry of a type: a line that says what it is, and a line that is it.

    Raises:
        NotCoded: what was found is not of this type.

    """
    body = json.dumps(encode(found, kind), allow_nan=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).hexdigest()
    head = json.dumps({"format": FORMAT, "key": name, "sha256": digest})
    return head.encode() + b"\n" + body


def unpacked(name: str, data: bytes, kind: type[T]) -> T:
    """What an entry of a type holds.

    Raises:
        ValueError: it is no entry, or another one.
        KeyError, TypeError: the same.

    """
    head, _, body = data.partition(b"\n")
    said = json.loads(head)
    if (said["format"], said["key"]) != (FORMAT, name):
        raise ValueError("another entry")
    if said["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("damaged")
    return decode(json.loads(body), kind)
