"""What a binding says of behaviour: callbacks, lifetimes, relations between parameters.

Values alone. How they are read and checked stands in ``replay.repo.behaving``; what a
generated callback does, in ``replay.repo.calledback``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.repo.calledback import SEEDS, STOPS
from replay.repo.comparisons import Relation

FAILING: Final = "fail_malloc"
"""The operation after which an allocation of the library fails, and its function."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A function that is passed to the library.

    Attributes:
        low: the least that a generated one returns, and ``high``: the most.
        stops: what it returns at the call at which a trace has it stop; None for never.
        compare: bytes of the two elements that a comparator is given; 0 for no comparator.
        function: the exported function that is passed instead; empty for none.
        signature: of a generated one, the codes of its result and its parameters, see
            ``Shape.code``; ``s`` is a string.

    """

    low: int = 0
    high: int = 0
    stops: int | None = None
    compare: int = 0
    function: str = ""
    signature: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """The largest value that a trace has for it."""
        return SEEDS * (1 if self.stops is None else STOPS) - 1

    def text(self, value: int) -> str:
        """A value of a trace, in words."""
        seed, stop = (value, 0) if self.stops is None else divmod(value, STOPS)
        return f"callback{seed}" + (f" until call {stop}" if stop else "")

    def simpler(self, value: int) -> list[int]:
        """Smaller values of a trace, the simplest first."""
        if self.stops is None:
            return [0, *range(1, value)]
        seed, stop = divmod(value, STOPS)
        tried = (0, *range(1, stop + 1), seed * STOPS, value - 1)
        return sorted({one for one in tried if one < value})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What an operation does to objects, and what holds between its parameters.

    Attributes:
        dies_with: the parameter with whose object the one dies that is made; empty for none.
        ends: objects of this kind that came from an object of the call are dead behind it.
        where: what holds between the parameters at each call.

    """

    dies_with: str = ""
    ends: str = ""
    where: tuple[Relation, ...] = ()


PLAIN: Final = Behaviour()
"""What most operations are like."""
