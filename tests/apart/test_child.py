"""Whatever a child does, its end is told for what it was, and what it wrote is kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from replay.apart.child import FAILED
from replay.apart.death import Death

VICTIM = Path(__file__).with_name("victim.py")


def ends(*names: str, cpu: float = 5.0, wall: float = 60.0) -> list[list[Any]]:
    """How each did end: kind, number, last words, data (its size if it is long)."""
    with tempfile.TemporaryFile() as words:
        done = subprocess.run(
            [sys.executable, str(VICTIM), str(cpu), str(wall), *names],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, check=True, timeout=120,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("well", ["done", 0, "said", "all"]),
        ("silent", ["done", 0, "", ""]),
        ("crash", ["signal", signal.SIGSEGV, "last words", "before"]),
        ("leave", ["exit", 3, "", ""]),
        ("leave_well", ["exit", 0, "", "before"]),
        ("ring", ["signal", signal.SIGALRM, "", ""]),
        ("fail", ["exit", FAILED, "ValueError: no such thing", ""]),
        ("grow", ["exit", FAILED, "MemoryError: ", ""]),
        ("close_and_leave", ["exit", 0, "", ""]),
        ("flood_pipe", ["signal", signal.SIGXFSZ, "", 1 << 20]),
    ],
)
def test_an_end_is_told_for_what_it_was(name: str, end: list[Any]) -> None:
    assert ends(name) == [end]


def test_computing_without_end_is_a_hang_and_what_was_written_is_kept() -> None:
    assert ends("compute", cpu=0.2) == [["hang", signal.SIGPROF, "", "before"]]


@pytest.mark.parametrize("name", ["sleep_without_alarm", "close_and_sleep"])
def test_sleeping_is_a_hang_whatever_the_child_takes_away(name: str) -> None:
    began = time.monotonic()
    assert ends(name, wall=0.5) == [["hang", signal.SIGKILL, "", ""]]
    assert time.monotonic() - began < 30


def test_an_alarm_that_was_asked_for_is_a_hang_too() -> None:
    # Whichever comes first, the alarm in the child or the deadline of the process apart.
    ((kind, number, *_),) = ends("sleep", wall=0.5)
    assert kind == "hang" and number in (signal.SIGALRM, signal.SIGKILL)


def test_a_flood_of_words_fills_no_disk_and_only_the_start_is_kept() -> None:
    ((kind, number, said, _),) = ends("flood_words")
    assert (kind, number, said) == ("exit", FAILED, "w" * 100)


def test_last_words_are_those_of_the_last_child() -> None:
    assert [end[2] for end in ends("crash", "leave", "well", "flood_words", "crash")] == [
        "last words", "", "said", "w" * 100, "last words",
    ]  # fmt: skip


def death(kind: str, number: int = 0, said: str = "") -> Death:
    return Death.of({"kind": kind, "number": number, "said": said})


@pytest.mark.parametrize(
    ("made", "cause", "how", "words"),
    [
        (death("signal", 11, "a\nb\n"), "crash", "SIGSEGV", "SIGSEGV: b"),
        (death("signal", 99), "crash", "signal 99", "signal 99"),
        (death("exit", 3, "no"), "crash", "status 3", "it exits with status 3: no"),
        (death("hang", 27, "no"), "hang", "SIGPROF", "it does not end (SIGPROF)"),
        (death("lost"), "crash", "it ends early", "it ends early"),
        (
            death("exit", 86, "==1==ERROR: x\nSUMMARY: AddressSanitizer: overflow\nShadow"),
            "crash", "status 86", "it exits with status 86: AddressSanitizer: overflow",
        ),
        (
            death("exit", 1, "SUMMARY: y\na.c:1: runtime error: z\n"),
            "crash", "status 1", "it exits with status 1: a.c:1: runtime error: z",
        ),
        (Death.of_process(-6, "w"), "crash", "SIGABRT", "SIGABRT: w"),
        (Death.of_process(2, ""), "crash", "status 2", "it exits with status 2"),
    ],
)  # fmt: skip
def test_a_death_is_said_in_a_line(made: Death, cause: str, how: str, words: str) -> None:
    assert (made.cause, made.how, made.words()) == (cause, how, words)


def test_last_words_are_made_fit_to_be_shown() -> None:
    told = {"kind": "signal", "number": 6, "said": "\x1b[2J"}
    assert Death.of(told, lambda text: text.replace("\x1b", "?")).report == "?[2J"
