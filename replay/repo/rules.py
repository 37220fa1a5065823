"""Our side of the rules of ``expect.toml``: Python of the user's, in a process apart."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from replay.apart.parent import Apart, Gone
from replay.repo.expectfile import Entry

SERVER: Final = "replay.repo.ruleserver"
LOADING: Final = 30.0
"""Seconds that loading the files may take."""
LIMIT: Final = 5.0
"""Seconds that one answer may take."""
MOST_GIVEN: Final = 300
"""Characters of the values of a call that a message shows."""


class Rules:
    """The rules of some entries; use it in a ``with`` statement, which ends the process.

    Threads may ask, one after the other. There is no process where no entry has a rule.

    Raises:
        ExpectError: a file cannot be loaded, or has no such function.
        WorkerError: the process cannot be started.

    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = [entry for entry in entries if entry.rule is not None]
        self._places = {entry.number: place for place, entry in enumerate(self.entries)}
        self._known: dict[tuple[int, str, str, bytes, bytes], bool] = {}
        self._lock = threading.Lock()
        self._apart: Apart | None = None

    def __enter__(self) -> Self:
        if not self.entries:
            return self
        self._apart = Apart(SERVER, dict(os.environ), site=True)
        rules = [[str(path), name] for path, name in (e.rule for e in self.entries if e.rule)]
        try:
            answer, _ = self._apart.ask({"rules": rules}, patience=LOADING)
        except Gone as gone:
            self.close()
            self._fail(self.entries[0], f"loading it ended the process: {gone.death.how}")
        except BaseException:
            self.close()
            raise
        if "error" in answer:
            self.close()
            self._fail(self.entries[answer["rule"]], answer["error"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._apart is not None:
            with contextlib.suppress(OSError):
                self._apart.close()

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are executed."""
        return tuple(dict.fromkeys(str(entry.rule[0]) for entry in self.entries if entry.rule))

    def fits(
        self, entry: Entry, op: str, values: Mapping[str, Any], before: bytes, after: bytes
    ) -> bool:
        """Whether a difference is the declared one.

        Args:
            entry: with a rule.
            op: the operation that was called; empty for what comes after the last call.
            values: of its parameters, by name.
            before: the record of the call, as JSON.
            after: the same of the later side.

        Raises:
            ExpectError: the rule raises, gives no truth value, or takes too long.

        """
        asked = (entry.number, op, repr(sorted(values.items())), before, after)
        with self._lock:
            if asked not in self._known:
                self._known[asked] = self._ask(entry, op, values, before + b"\n" + after)
            return self._known[asked]

    def _ask(self, entry: Entry, op: str, values: Mapping[str, Any], records: bytes) -> bool:
        assert self._apart is not None
        head = {"rule": self._places[entry.number], "op": op, "values": dict(values)}
        given = ", ".join(f"{name}={value!r}" for name, value in values.items())
        given = given if len(given) <= MOST_GIVEN else f"{given[:MOST_GIVEN]}…"
        try:
            answer, _ = self._apart.ask(head, records, patience=LIMIT)
        except Gone as gone:
            late = f"no answer within {LIMIT:g} s"
            how = late if gone.death.cause == "hang" else f"it ended the process: {gone.death.how}"
            self._fail(entry, f"{how}, of {op}({given})")
        if "error" in answer:
            self._fail(entry, f"{answer['error']}, of {op}({given})")
        return bool(answer["fits"])

    def _fail(self, entry: Entry, problem: str) -> NoReturn:
        assert entry.rule is not None
        path, name = entry.rule
        entry.fail(f"{path.name}:{name}: {problem}", "rule")
