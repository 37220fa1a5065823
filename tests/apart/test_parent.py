"""A process apart is started sealed, answers in full or is gone, and leaves nothing behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replay.apart import parent
from replay.apart.parent import Apart, Gone
from replay.errors import WorkerError

LIMIT = 60.0


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that has the server of the tests where the package's would be."""
    here = Path(__file__).parent
    (tmp_path / "replay").mkdir()
    (tmp_path / "replay" / "apart").symlink_to(Path(parent.__file__).parent)
    (tmp_path / "replay" / "echo.py").write_text((here / "echoserver.py").read_text())
    monkeypatch.setattr(parent, "ROOT", tmp_path)


@pytest.fixture
def apart() -> Iterator[Apart]:
    with Apart("replay.echo", {"ONLY": "this", "LC_ALL": "C"}) as made:
        yield made


def test_it_is_sealed_and_knows_nothing_of_the_package(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, data = apart.ask({"do": "look"}, b"abc", LIMIT)
    assert data == b"cba"
    assert seen["environment"] == {"ONLY": "this", "LC_ALL": "C"}
    assert seen["modules"] == [] and seen["leads"] and seen["flags"] == [1, 1]


def test_long_messages_go_through_whole(apart: Apart) -> None:
    payload = bytes(range(256)) * 20_000
    for _ in range(2):
        assert apart.ask({"do": "look"}, payload, LIMIT)[1] == payload[::-1]


def test_an_exit_is_told_with_its_last_words(apart: Apart) -> None:
    with pytest.raises(Gone) as caught:
        apart.ask({"do": "die", "status": 5}, patience=LIMIT)
    death = caught.value.death
    assert (death.cause, death.how, death.status) == ("crash", "status 5", 5)
    assert death.words() == "it exits with status 5: the end is near" and not apart.alive


def test_a_signal_is_told(apart: Apart) -> None:
    apart.process.send_signal(signal.SIGTERM)
    with pytest.raises(Gone) as caught:
        apart.ask({"do": "look"}, patience=LIMIT)
    assert (caught.value.death.how, caught.value.death.status) == ("SIGTERM", None)


def test_a_server_that_raises_says_so(apart: Apart) -> None:
    with pytest.raises(Gone) as caught:
        apart.ask({"do": "raise"}, patience=LIMIT)
    assert caught.value.death.words().endswith("ValueError: a fault of the server")


@pytest.mark.parametrize("do", ["sleep", "nonsense"])
def test_what_is_late_or_nonsense_is_ended(apart: Apart, do: str) -> None:
    with pytest.raises(Gone) as caught:
        apart.ask({"do": do}, patience=0.5)
    assert caught.value.death.cause == "hang" and not apart.alive


def test_what_it_started_ends_with_it() -> None:
    with Apart("replay.echo", {}) as apart:
        pid = apart.ask({"do": "spawn"}, patience=LIMIT)[0]["pid"]
        assert Path(f"/proc/{pid}").exists()
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            break
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("a child of the process is still there")
    apart.close()  # may be called again


def test_an_interrupted_answer_is_not_taken_for_the_next(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(patience: float | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(apart, "_more", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apart.ask({"do": "look"})
    assert not apart.alive


def test_a_python_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(WorkerError, match="cannot be started"):
        Apart("replay.echo", {})
