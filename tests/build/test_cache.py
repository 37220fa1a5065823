"""An entry of the cache counts only if it holds what was put there."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from replay.build.cache import NOTE, Entry, key
from replay.build.errors import BuildError


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    (tmp_path / "made").write_bytes(b"library")
    made = Entry(tmp_path / "cache" / "entry", "library.so", "format/1")
    with made.locked():
        made.enter(tmp_path / "made", notes=["a note"])
    return made


def test_what_was_entered_is_found_with_its_note(entry: Entry) -> None:
    note = entry.note()
    assert note is not None and (note["format"], note["notes"]) == ("format/1", ["a note"])
    assert entry.path.read_bytes() == b"library"
    assert {path.name for path in entry.folder.iterdir()} == {"library.so", NOTE, "lock"}


@pytest.mark.parametrize("note", [b"", b"[1]", b"null", b'{"sha256": 5}', b"{", b"\xff"])
def test_a_damaged_note_is_no_entry(entry: Entry, note: bytes) -> None:
    (entry.folder / NOTE).write_bytes(note)
    assert entry.note() is None


def test_another_file_is_no_entry_and_an_absent_one_neither(entry: Entry) -> None:
    entry.path.write_bytes(b"another")
    assert entry.note() is None
    entry.path.unlink()
    assert entry.note() is None
    assert Entry(entry.folder / "none", "library.so", "format/1").note() is None


def test_the_note_comes_last(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, moved = Path.replace, []

    def noted(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    with entry.locked():
        entry.enter(tmp_path / "made")
    assert moved == ["library.so", NOTE]


def test_no_two_lists_of_parts_have_the_same_key() -> None:
    lists = [[b"ab", b"c"], [b"a", b"bc"], [b"abc"], [b"1:ab", b"c"], [b"ab", b"c", b""]]
    assert len({key(parts) for parts in lists}) == len(lists)


def test_one_at_a_time_has_the_lock(entry: Entry) -> None:
    order: list[str] = []

    def second() -> None:
        with entry.locked():
            order.append("second")

    with entry.locked():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_made_is_told_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(BuildError, match="name another folder in REPLAY_CACHE"),
        Entry(tmp_path / "file" / "entry", "x", "format/1").locked(),
    ):
        pass
