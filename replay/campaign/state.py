"""The state of a campaign: one SQLite file, in which what is done stands whole or not at all.

What was merged is held in memory, and written in one transaction: how many traces are done,
and the rows of the sums. A process that is killed leaves what the last transaction wrote.
One campaign at a time writes a state; anybody may read it meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Generic, TypeVar

from replay.base.closing import Closing
from replay.campaign.sums import Row, Sums
from replay.errors import ReplayError, UsageError

FORMAT: Final = "replay-campaign/2"

TABLES: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE done (first INTEGER PRIMARY KEY, end INTEGER, ops INTEGER, seconds REAL);
CREATE TABLE sums (part TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (part, name));
"""

S = TypeVar("S", bound=Sums)


class StateError(ReplayError):
    """The state of a campaign cannot be read or written; the message says what to do."""


class State(Closing, Generic[S]):
    """A state file that is open for writing; see the module."""

    def __init__(self, path: Path, sums: S, db: sqlite3.Connection, lock: IO[str]) -> None:
        self.path, self.sums = path, sums
        self._db, self._lock = db, lock
        self._since = time.monotonic()

    @classmethod
    def create(cls, path: Path, sums: S) -> State[S]:
        """A new state of a campaign that has done nothing.

        Raises:
            UsageError: there is one already.
            StateError: the file cannot be written, or another campaign has it.

        """
        lock = _locked(path)
        try:
            insist_on_none(path)
        except UsageError:
            lock.close()
            raise
        db = _connect(path, "rwc")
        state = cls(path, sums, db, lock)

        def begin() -> None:
            for statement in TABLES.split(";"):
                db.execute(statement)
            about = {
                "format": FORMAT, "kind": sums.kind, "made": sums.made,
                "asked": json.dumps(sums.about()),
            }  # fmt: skip
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            state.put_all()

        try:
            state.write(begin)
            sums.written()
        except BaseException:
            state.close()
            path.unlink(missing_ok=True)
            raise
        return state

    @classmethod
    def resume(cls, path: Path, kind: type[S]) -> State[S]:
        """A state that is there, of a campaign of a kind.

        Raises:
            UsageError: there is none, or it is of another kind.
            StateError: the file is no state, or another campaign has it.

        """
        insist_on_one(path)
        lock = _locked(path)
        try:
            sums = read_sums(path, (kind,))
            assert isinstance(sums, kind)
            return cls(path, sums, _connect(path, "rw"), lock)
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
        self.write(self.put_all)
        sums.written()

    def put_all(self) -> None:
        """Put what may have changed into the transaction."""
        sums = self.sums
        done = (sums.end, sums.ops, sums.seconds)
        self._db.execute("REPLACE INTO done VALUES (0, ?, ?, ?)", done)
        self._db.executemany("REPLACE INTO sums VALUES (?, ?, ?)", sums.rows())

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


def insist_on_none(path: Path) -> None:
    """Refuse to begin a campaign where there is one.

    Raises:
        UsageError: there is.

    """
    if path.exists() and path.stat().st_size:
        raise UsageError(
            f"{path}: there is a campaign in it; go on with it by --resume, or name another "
            "file with --state"
        )


def insist_on_one(path: Path) -> None:
    """Refuse to go on with a campaign where there is none.

    Raises:
        UsageError: there is none.

    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no campaign to go on with; leave out --resume")


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


def kind_of(path: Path) -> str:
    """The kind of the campaign in a state file.

    Raises:
        UsageError: there is no such file.
        StateError: it is no state, or damaged.

    """
    _insist_on_file(path)
    with _reading(path) as db:
        return _about(db)["kind"]


def read_sums(path: Path, kinds: Iterable[type[Sums]]) -> Sums:
    """What a state file holds, of a campaign of one of these kinds.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        StateError: it is no state, or damaged.

    """
    _insist_on_file(path)
    with _reading(path) as db:
        db.execute("BEGIN")  # all of it as of one moment
        about = _about(db)
        kind = next((one for one in kinds if one.kind == about["kind"]), None)
        if kind is not None:
            sums = kind.of(json.loads(about["asked"]), about["made"])
            for _, sums.end, sums.ops, sums.seconds in db.execute("SELECT * FROM done"):
                pass
            rows: Any = db.execute("SELECT * FROM sums ORDER BY part, name")
            sums.take(Row(*row) for row in rows)
            return sums
    raise UsageError(
        f"{path}: this is a campaign on {about['kind']}; go on with it by "
        f"replay campaign --resume --state {path}, or name another file with --state"
    )


def _about(db: sqlite3.Connection) -> dict[str, str]:
    about = dict(db.execute("SELECT name, value FROM about"))
    if about["format"] != FORMAT:
        raise ValueError(f"its format is {about['format']}")
    return about


def _insist_on_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path}: there is no campaign; start one, or name its file with --state")
