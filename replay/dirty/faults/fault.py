"""One small change of the series, in a model or in the C: what is put in to be found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Fault:
    """One change of one step.

    Attributes:
        step: the step.
        file: the path of the C file it is in; "" for the step's model.
        function: the function it is in ("" for a constant).
        operator: what sort of mistake it is.
        line: its line in the file, from 1.
        start, end: the place in the file's text (characters) that is replaced.
        old, new: what stands there, and what is put there.
        number: how many faults of the same step, function and change come before it.
    """

    step: int
    file: str
    function: str
    operator: str
    line: int
    start: int
    end: int
    old: str
    new: str
    number: int = 0

    @property
    def in_c(self) -> bool:
        """Whether it is a fault of the C."""
        return bool(self.file)

    @property
    def name(self) -> str:
        """Place and change in one line; unique, and the same as long as the code is."""
        where = " ".join(
            filter(None, (f"{self.step:02d}", PurePosixPath(self.file).name, self.function))
        )
        again = f" (no. {self.number + 1})" if self.number else ""
        return f"{where}: {_flat(self.old)} -> {_flat(self.new)}{again}"

    def put_into(self, text: str) -> str:
        """The file's text with the fault in it."""
        assert text[self.start : self.end] == self.old
        return text[: self.start] + self.new + text[self.end :]


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """In the order of the text, without doubles, and numbered where names are the same."""
    once: dict[tuple[str, int, int, str], Fault] = {}
    for fault in faults:
        once.setdefault((fault.file, fault.start, fault.end, fault.new), fault)
    seen: dict[str, int] = {}
    numbered = []
    for fault in sorted(once.values(), key=lambda f: (f.file, f.start, f.end, f.new)):
        number = seen.get(fault.name, 0)
        seen[fault.name] = number + 1
        numbered.append(replace(fault, number=number))
    return numbered


def _flat(text: str) -> str:
    return " ".join(text.split()) or "nothing"
