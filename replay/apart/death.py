"""How what was run apart died, as a value."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

SHOWN: Final = 200
_TELLING: Final = ("runtime error:", "SUMMARY:")
"""What marks the line of a sanitizer's report that says the most."""


def signal_name(number: int) -> str:
    """As people write it, or ``signal N`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _as_it_came(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Death:
    """How something died that was run apart.

    Attributes:
        cause: "crash" or "hang".
        how: the signal or ``status N``, or a sentence of whoever says that it is one.
        report: its last words.
        status: its exit status, if it has one.

    """

    cause: str
    how: str
    report: str = ""
    status: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any], fit: Callable[[str], str] = _as_it_came) -> Death:
        """From the end of a child, as it is told; see ``replay.apart.child.End``.

        ``fit`` makes its last words fit to be shown.
        """
        kind, number, said = told["kind"], told["number"], fit(told["said"])
        if kind == "exit":
            return cls("crash", f"status {number}", said, number)
        if kind == "lost":
            return cls("crash", "it ends early", said)
        return cls("hang" if kind == "hang" else "crash", signal_name(number), said)

    @classmethod
    def of_process(cls, code: int, said: str) -> Death:
        """From the return code of a process, negative for a signal."""
        if code < 0:
            return cls("crash", signal_name(-code), said)
        return cls("crash", f"status {code}", said, code)

    def words(self) -> str:
        """In a line: the signal or the exit status, and the line that says the most."""
        how = self.how
        if self.cause == "hang":
            return f"it does not end ({how})"
        if self.status is not None:
            how = f"it exits with {how}"
        lines = [line.strip() for line in self.report.splitlines() if line.strip()]
        telling = [line for mark in _TELLING for line in lines if mark in line]
        said = (telling or lines[-1:] or [""])[0].removeprefix("SUMMARY: ")
        return f"{how}: {said[:SHOWN]}" if said else how
