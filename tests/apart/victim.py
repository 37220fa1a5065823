"""Started by the tests as a script: does one thing in a child and prints how that ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable

from replay.apart import child


def crash(pipe: int) -> None:
    os.write(pipe, b"before")
    os.write(2, b"last words")
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(pipe: int) -> None:
    os._exit(3)


def leave_well(pipe: int) -> None:
    os.write(pipe, b"before")
    os._exit(0)


def compute(pipe: int) -> None:
    os.write(pipe, b"before")
    while True:
        pass


def sleep(pipe: int) -> None:
    time.sleep(300)


def sleep_without_alarm(pipe: int) -> None:
    """Code that takes away the alarm, and the processor's timer too."""
    for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    time.sleep(300)


def ring(pipe: int) -> None:
    os.kill(os.getpid(), signal.SIGALRM)


def flood_words(pipe: int) -> None:
    for _ in range(64):
        os.write(1, b"w" * (1 << 20))


def flood_pipe(pipe: int) -> None:
    while True:
        os.write(pipe, b"d" * (1 << 16))


def close_and_leave(pipe: int) -> None:
    os.closerange(0, 64)
    os._exit(0)


def close_and_sleep(pipe: int) -> None:
    os.closerange(0, 64)
    time.sleep(300)


def fail(pipe: int) -> None:
    raise ValueError("no such thing")


def grow(pipe: int) -> None:
    kept = bytearray(1 << 34)
    os.write(pipe, bytes(kept[:1]))


def well(pipe: int) -> None:
    os.write(1, b"said")
    os.write(pipe, b"all")


def silent(pipe: int) -> None:
    pass


def main() -> None:
    words, answers = os.dup(2), os.dup(1)
    os.dup2(words, 1)
    child.confine(4 << 30)
    for name in sys.argv[3:]:
        work: Callable[[int], None] = globals()[name]
        end, data = child.run(
            work, float(sys.argv[1]), float(sys.argv[2]), alarm=name == "sleep",
            most_said=100, most_data=1 << 20,
        )  # fmt: skip
        shown = data.decode() if len(data) < 100 else len(data)
        os.write(answers, json.dumps([end.kind, end.number, end.said, shown]).encode() + b"\n")


if __name__ == "__main__":
    main()
