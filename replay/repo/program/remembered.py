"""Verdicts on programs, remembered: found again where all that they rest on is the same.

That is as in ``replay.repo.remembered``: the tool's code that decides, both programs by their
content, the interpreter, the inputs, the seed and the effort, what is declared, the machine.
Not remembered is what may be chance, or a clock decided: crashes and hangs, what is not the
same twice, a given case, runs for a time; and what a rule says, which is a program.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from replay.build.cache import cache_folder, key
from replay.repo.coded import encode
from replay.repo.expected import Declared
from replay.repo.keys import FORMAT, machine, version
from replay.repo.program.evidence import Evidence, decide
from replay.repo.program.inputs import Inputs
from replay.repo.program.packing import Program
from replay.repo.program.running import HANG
from replay.repo.program.tallies import Example, Pair, PairTally
from replay.repo.remembered import FOLDER, STEADY, Shelf


@dataclass(frozen=True, slots=True)
class Known:
    """What was found of a pair.

    Attributes:
        differing: the number of cases on which it differs, and in what: ``kinds``.
        declared: what is shown of each declared difference, by the number of its entry.
        evidence: what that rests on.
        example: of a difference.

    """

    differing: int
    kinds: frozenset[str]
    declared: dict[int, Declared]
    evidence: Evidence
    example: Example | None = None

    @classmethod
    def of(cls, tally: PairTally, example: Example | None) -> Self:
        """From what cases showed."""
        return cls(len(tally.differing), tally.kinds, tally.declared, tally.evidence, example)

    @property
    def steady(self) -> bool:
        """Whether another run will find it again."""
        evidence, example = self.evidence, self.example
        verdict = example.divergence.verdict if example else decide(evidence, False)[0]
        whole = example.complete if example else not self.differing
        stuck = evidence.lost or evidence.ended < evidence.runs or evidence.ends[HANG]
        return verdict in STEADY and whole and not stuck and not evidence.noisy


class Memory(Shelf):
    """What is remembered of pairs of programs."""

    __slots__ = ()

    @classmethod
    def of(cls, program: Program, inputs: Inputs, effort: tuple[object, ...], fresh: bool) -> Self:
        """The memory of what is asked: of a program, on these inputs, with this effort."""
        interpreter: list[object] = list(program.before)
        if program.before:
            status = Path(program.before[0]).stat()
            interpreter += [status.st_size, status.st_mtime_ns]
        parts = [program.path, interpreter, repr(effort), encode(inputs, Inputs)]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return cls(cache_folder() / FOLDER, digest, fresh)

    def known(self, pair: Pair) -> Known | None:
        """What is remembered of a pair."""
        name = None if self.fresh else self._name(pair)
        return self.read(name, Known) if name else None

    def remember(self, pair: Pair, found: Known) -> None:
        """Remember what was found of a pair, if it can be believed another time."""
        name = self._name(pair)
        if name is not None and not self.problem and found.steady:
            self.write(name, found)

    def _name(self, pair: Pair) -> str | None:
        entries = pair.expected.entries if pair.expected is not None else ()
        if self.folder is None or any(entry.rule is not None for entry in entries):
            return None
        parts = (
            FORMAT, "program", version(), machine(), self.question, pair.before.key,
            pair.after.key, os.environ.get("PATH", ""),
            repr([(entry.number, entry.fields) for entry in entries]),
        )  # fmt: skip
        return key(part.encode() for part in parts)
