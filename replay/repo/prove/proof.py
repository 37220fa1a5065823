"""What was proved of a pair, as values: function by function, with the rung and the reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from replay.repo.calls import CallTrace


class Rung(StrEnum):
    """How something was proved, in the order of cost."""

    CODE = "equal code"
    RANGES = "enumeration"
    BOUNDED = "bounded model checking"


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof of one function.

    Attributes:
        rung: how.
        text: in words, with the numbers: "proved: equal code by gcc -O2".
        assumptions: what it takes for granted beside what the rung always does.
        bounded: whether buffers have fewer elements in it than they may have.

    """

    rung: Rung
    text: str
    assumptions: tuple[str, ...] = ()
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class NotProved:
    """Why a rung proves nothing, and calls on which the two should differ, if it knows any."""

    why: str
    suspect: CallTrace | None = None


@dataclass(frozen=True, slots=True)
class FunctionProof:
    """A changed function: its proof, or why each rung did not reach it.

    Attributes:
        function: its name in the source.
        proved: None where it is not.
        why: the reason, by rung.
        through: the functions by whose proofs it is covered, being called by nothing else.

    """

    function: str
    proved: Proved | None = None
    why: dict[Rung, str] = field(default_factory=dict)
    through: tuple[str, ...] = ()

    @property
    def is_proved(self) -> bool:
        """Whether it is, itself or through those that call it."""
        return self.proved is not None or bool(self.through)

    @property
    def text(self) -> str:
        """In one line."""
        if self.proved is not None:
            given = f" ({'; '.join(self.proved.assumptions)})" if self.proved.assumptions else ""
            return f"{self.function}: {self.proved.text}{given}"
        if self.through:
            return f"{self.function}: proved with all that lead to it: {', '.join(self.through)}"
        reasons = "; ".join(f"{rung}: {text}" for rung, text in self.why.items())
        return f"{self.function}: not proved ({reasons})"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved of a pair.

    Attributes:
        whole: the proof of the whole library, where there is one.
        functions: the changed functions, where there is none.
        why: why nothing could be tried; empty where something was.

    """

    whole: Proved | None = None
    functions: tuple[FunctionProof, ...] = ()
    why: str = ""

    @property
    def complete(self) -> bool:
        """Whether the two libraries are proved to do the same, as far as the proofs reach."""
        if self.whole is not None:
            return True
        return bool(self.functions) and all(one.is_proved for one in self.functions)

    @property
    def by_code(self) -> bool:
        """Whether it rests on equal code alone, so that it holds for every call."""
        proofs = [one.proved for one in self.functions if one.proved is not None]
        every = [self.whole] if self.whole is not None else proofs
        return self.complete and all(one.rung is Rung.CODE for one in every)

    @property
    def bounded(self) -> bool:
        """Whether it is complete, and some proof in it has buffers of few elements alone."""
        proofs = [one.proved for one in self.functions if one.proved is not None]
        return self.complete and any(one.bounded for one in proofs)

    def lines(self) -> list[str]:
        """In words: one line for the whole, or one a function."""
        if self.whole is not None:
            return [self.whole.text]
        if self.why:
            return [f"not proved: {self.why}"]
        return [one.text for one in self.functions]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "complete": self.complete,
            "bounded": self.bounded,
            "whole": _proved_json(self.whole),
            "why": self.why or None,
            "functions": [
                {
                    "function": one.function,
                    "proved": _proved_json(one.proved),
                    "through": list(one.through),
                    "why": {rung.value: text for rung, text in one.why.items()},
                }
                for one in self.functions
            ],
        }


def _proved_json(proved: Proved | None) -> dict[str, Any] | None:
    if proved is None:
        return None
    return {
        "rung": proved.rung.value,
        "text": proved.text,
        "assumptions": list(proved.assumptions),
        "bounded": proved.bounded,
    }
