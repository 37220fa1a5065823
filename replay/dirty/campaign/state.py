"""The state of a campaign: one SQLite file, in which what is done stands whole or not at all.

What was merged is held in memory, and written in one transaction: the range of traces that
are done, a tally a lane, the coverage, what the generator is steered to, and the traces
that were kept. A process that is killed leaves what the last transaction wrote. One
campaign at a time writes a state; anybody may read it meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from replay.base.closing import Closing
from replay.dirty.campaign.drawing import Wanted
from replay.dirty.campaign.values import tally_of, tally_values
from replay.dirty.campaign.work import Asked, Batch, Tally
from replay.dirty.language.files import parse_trace, trace_to_text
from replay.dirty.language.paths import Path as TracePath
from replay.dirty.language.trace import Trace
from replay.dirty.machine.coverage import Coverage, Found
from replay.errors import ReplayError, UsageError

FORMAT: Final = "replay-campaign/1"

TABLES: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE ranges (first INTEGER PRIMARY KEY, end INTEGER, ops INTEGER, seconds REAL);
CREATE TABLE tallies (lane TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE coverage (operation TEXT, labels TEXT, turns TEXT NOT NULL, first INTEGER,
                       PRIMARY KEY (operation, labels));
CREATE TABLE steered (epoch INTEGER PRIMARY KEY, paths TEXT NOT NULL);
CREATE TABLE kept (file TEXT PRIMARY KEY, why TEXT NOT NULL);
"""

T = TypeVar("T")


class StateError(ReplayError):
    """The state of a campaign cannot be read or written; the message says what to do."""


@dataclass(slots=True)
class Sums:
    """What a campaign has done so far.

    Attributes:
        asked, made: what it asks, and of what (``work.made_of``).
        end: the traces from 0 to here are done.
        ops: operations made, in all lanes and at all steps.
        seconds: that it ran.
        tallies: by lane; those of the corpus begin with CORPUS.
        coverage: what its traces reached in lane python.
        wanted: what the generator is steered to, epoch by epoch.
        kept: the files in the corpus that it wrote, and why.
        folder: the corpus that it reads and writes.
        corpus: the traces that were run first; None before that is done.

    """

    asked: Asked
    made: str
    end: int = 0
    ops: int = 0
    seconds: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=lambda: Coverage(()))
    wanted: Wanted = ((), ())
    kept: dict[str, str] = field(default_factory=dict)
    corpus: tuple[Trace, ...] | None = None
    folder: str = ""

    def merge(self, batch: Batch, prefix: str = "") -> None:
        """Add a range: the next one, or with a prefix the corpus."""
        for lane, tally in batch.tallies.items():
            have = self.tallies.get(prefix + lane)
            if have is None:
                self.tallies[prefix + lane] = tally
            else:
                have.merge(tally)  # type: ignore[arg-type]
        self.ops += batch.ops
        if not prefix:
            assert batch.numbers.start == self.end, "ranges are merged in their order"
            self.end = batch.numbers.stop
            if batch.coverage is not None:
                self.coverage.merge(batch.coverage)


class State(Closing):
    """A state file that is open for writing; see the module."""

    def __init__(self, path: Path, sums: Sums, db: sqlite3.Connection, lock: IO[str]) -> None:
        self.path, self.sums = path, sums
        self._db, self._lock = db, lock
        self._since = time.monotonic()
        self._written: dict[Found, list[int]] = {}

    @classmethod
    def create(cls, path: Path, asked: Asked, made: str, folder: str = "") -> State:
        """A new state of a campaign with its corpus in a folder.

        Raises:
            UsageError: there is one already.
            StateError: the file cannot be written, or another campaign has it.

        """
        lock = _locked(path)
        if path.exists() and path.stat().st_size:
            lock.close()
            raise UsageError(
                f"{path}: there is a campaign in it; go on with it by --resume, or name another "
                "file with --state"
            )
        db = _connect(path, "rwc")
        sums = Sums(asked, made, coverage=Coverage(asked.plan().needed), folder=folder)
        state = cls(path, sums, db, lock)

        def begin() -> None:
            for statement in TABLES.split(";"):
                db.execute(statement)
            about = {"format": FORMAT, "made": made, "asked": json.dumps(asked.to_json()),
                     "folder": folder}  # fmt: skip
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())

        try:
            state.write(begin)
        except BaseException:
            state.close()
            path.unlink(missing_ok=True)
            raise
        return state

    @classmethod
    def resume(cls, path: Path) -> State:
        """A state that is there.

        Raises:
            UsageError: there is none.
            StateError: the file is no state, or another campaign has it.

        """
        if not path.is_file():
            raise UsageError(f"{path}: there is no campaign to go on with; leave out --resume")
        lock = _locked(path)
        try:
            return cls(path, read_sums(path), _connect(path, "rw"), lock)
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Let go of the file; what was not committed is not in it."""
        self._db.close()
        self._lock.close()

    def begin(self) -> None:
        """The time of the campaign begins now; what was built before it is not counted."""
        self._since = time.monotonic()

    def commit(self) -> None:
        """Write all that was merged, or nothing.

        Raises:
            StateError: there is no room, or the file may not be written; it holds what the
                last commit wrote.

        """
        sums, now = self.sums, time.monotonic()
        sums.seconds, self._since = sums.seconds + now - self._since, now
        self.write(self._all)
        self._written = dict(sums.coverage.turns)

    def _all(self) -> None:
        sums, put = self.sums, self._db.executemany
        if sums.end or sums.ops:
            self._db.execute(
                "REPLACE INTO ranges VALUES (0, ?, ?, ?)", (sums.end, sums.ops, sums.seconds)
            )
        tallies = [(lane, json.dumps(tally_values(one))) for lane, one in sums.tallies.items()]
        put("REPLACE INTO tallies VALUES (?, ?)", tallies)
        put("REPLACE INTO coverage VALUES (?, ?, ?, ?)", self._changed())
        steered = [(epoch, json.dumps(paths)) for epoch, paths in enumerate(sums.wanted)]
        put("REPLACE INTO steered VALUES (?, ?)", steered)
        put("REPLACE INTO kept VALUES (?, ?)", sums.kept.items())
        put("REPLACE INTO about VALUES (?, ?)", [("folder", sums.folder)])
        if sums.corpus is not None:
            texts = json.dumps([trace_to_text(trace) for trace in sums.corpus])
            put("REPLACE INTO about VALUES (?, ?)", [("corpus", texts)])

    def _changed(self) -> Iterator[tuple[str, str, str, int]]:
        coverage = self.sums.coverage
        yield "", "", json.dumps([coverage.traces, coverage.left_out]), 0
        for found, turns in coverage.turns.items():
            if self._written.get(found) is not turns:
                yield found[0], " ".join(found[1]), json.dumps(turns), coverage.first[found]

    def write(self, statements: Callable[[], None]) -> None:
        """Make one transaction.

        Raises:
            StateError: it could not be made.

        """
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                statements()
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StateError(
                f"{self.path}: the state cannot be written: {error}; what was written before is "
                "in it: make room, or see to its permissions, and go on with --resume"
            ) from None


# --- files ------------------------------------------------------------------------------------


def _locked(path: Path) -> IO[str]:
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("w")
    except OSError as error:
        raise StateError(
            f"{path}: the state cannot be written: {error.strerror}; name another file with --state"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        raise StateError(
            f"{path}: another campaign is at work with it; see replay campaign status"
        ) from None
    return held


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    name = f"{path.resolve().as_uri()}?mode={mode}"
    try:
        return sqlite3.connect(name, uri=True, isolation_level=None, timeout=20.0)
    except sqlite3.Error as error:
        raise StateError(f"{path}: the state cannot be opened: {error}") from None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    # Not read-only: whoever reads first behind a kill rolls back what is half written.
    db = _connect(path, "rw")
    try:
        yield db
    except (sqlite3.Error, KeyError, ValueError, TypeError) as error:
        raise StateError(
            f"{path}: this is no state of a campaign of this version, or it is damaged ({error}); "
            "name another file with --state"
        ) from None
    finally:
        db.close()


def read_sums(path: Path) -> Sums:
    """What a state file holds.

    Raises:
        UsageError: there is no such file.
        StateError: it is no state, or damaged.

    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no campaign; start one, or name its file with --state")
    with _reading(path) as db:
        db.execute("BEGIN")  # all of it as of one moment
        about = dict(db.execute("SELECT name, value FROM about"))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}")
        sums = Sums(Asked.of(json.loads(about["asked"])), about["made"])
        for _, sums.end, sums.ops, sums.seconds in db.execute("SELECT * FROM ranges"):
            pass
        for lane, value in db.execute("SELECT * FROM tallies ORDER BY lane"):
            sums.tallies[lane] = tally_of(json.loads(value))
        sums.coverage, sums.folder = _coverage(db, sums.asked), about.get("folder", "")
        steered = db.execute("SELECT paths FROM steered ORDER BY epoch").fetchall()
        sums.wanted = tuple(tuple(_path(one) for one in json.loads(paths)) for (paths,) in steered)
        sums.wanted = sums.wanted or ((), ())
        sums.kept = dict(db.execute("SELECT * FROM kept ORDER BY file"))
        if "corpus" in about:
            sums.corpus = tuple(parse_trace(text) for text in json.loads(about["corpus"]))
    return sums


def _coverage(db: sqlite3.Connection, asked: Asked) -> Coverage:
    coverage = Coverage(asked.plan().needed)
    for op, labels, turns, first in db.execute("SELECT * FROM coverage"):
        if not op:
            coverage.traces, coverage.left_out = json.loads(turns)
            continue
        found = (op, tuple(labels.split(" ")))
        coverage.turns[found], coverage.first[found] = json.loads(turns), first
    return coverage


def _path(values: Any) -> TracePath:
    return TracePath(values[0], tuple((name, label) for name, label in values[1]))
