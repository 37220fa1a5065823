"""A command run sealed ends in time, takes its children along, and is read within bounds."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from replay.build.command import Commands, Ended
from replay.build.output import Kept, telling_line

PATH = {"PATH": os.environ["PATH"]}


def run(script: str, folder: Path, limit: float = 20.0, keep: Kept | None = None) -> Ended:
    return Commands().run(["sh", "-c", script], folder, PATH, limit, keep or Kept(1000))


def gone(pid: int) -> bool:
    """Whether a process is no more, or waits only to be reaped."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_status_and_both_outputs_are_told(tmp_path: Path) -> None:
    ended = run("echo out; echo err >&2; exit 3", tmp_path)
    assert (ended.status, ended.output, ended.in_time) == (3, "out\nerr\n", True)
    assert run("kill -9 $$", tmp_path).status == -signal.SIGKILL


def test_what_a_command_leaves_behind_is_killed_with_it(tmp_path: Path) -> None:
    ended = run("sleep 300 & echo $!", tmp_path)
    assert ended.in_time and ended.seconds < 20
    assert gone(int(ended.output))


def test_a_late_command_is_ended_with_its_children(tmp_path: Path) -> None:
    ended = run("sleep 300 & echo $!; wait", tmp_path, limit=0.5)
    assert not ended.in_time and ended.seconds < 20
    assert gone(int(ended.output))


def test_nothing_but_the_given_environment_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-DTRAP")
    assert run("echo [$CFLAGS]; cat; pwd", tmp_path).output == f"[]\n{tmp_path.resolve()}\n"


def test_memory_is_limited_where_asked_for(tmp_path: Path) -> None:
    words = ["sh", "-c", "sleep 0.5; ulimit -v"]
    ended = Commands().run(words, tmp_path, PATH, 20, Kept(100), memory=1 << 30)
    assert ended.output == f"{1 << 20}\n"


def test_all_that_run_can_be_stopped_and_none_starts_after(tmp_path: Path) -> None:
    commands, ended = Commands(), []

    def work() -> None:
        ended.append(commands.run(["sleep", "300"], tmp_path, PATH, 100, Kept(10)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    commands.stop()
    for thread in threads:
        thread.join(20)
    assert [one.status for one in ended] == [-signal.SIGKILL] * 2
    assert commands.run(["true"], tmp_path, PATH, 9, Kept(10)).status == -signal.SIGKILL
    commands.resume()
    assert commands.run(["true"], tmp_path, PATH, 9, Kept(10)).status == 0


@pytest.mark.parametrize(("start", "end"), [(10, 0), (10, 20), (0, 20)])
def test_a_flood_is_kept_within_bounds(tmp_path: Path, start: int, end: int) -> None:
    script = "i=0; while [ $i -lt 30000 ]; do echo 0123456789; i=$((i+1)); done; echo the end"
    text = run(script, tmp_path, keep=Kept(start, end)).output
    assert text.startswith("0123456789"[:start])
    if end:
        gap = f"\n[{30000 * 11 + 8 - start - end} bytes left out]\n"
        assert text[start:].startswith(gap) and text.endswith("0123456789\nthe end\n")
        assert len(text) == start + len(gap) + end
    else:
        assert len(text) == start


def test_what_fits_is_kept_whole(tmp_path: Path) -> None:
    assert run("printf 0123456789abcdef", tmp_path, keep=Kept(8, 8)).output == "0123456789abcdef"


def test_the_first_error_tells_most() -> None:
    assert telling_line("make: x\n one.c:1: error: no\nerror: later\n") == "one.c:1: error: no"
    assert (telling_line("\n first \nsecond"), telling_line("")) == ("first", "")
