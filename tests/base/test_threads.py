"""Threads give results in the order of tasks, and what fails first is what is raised."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from replay.base.pool import Threads, interrupts_held


def test_results_come_in_the_order_of_tasks_however_they_end() -> None:
    later = threading.Event()

    def work(task: int) -> int:
        if task == 0:
            assert later.wait(30)
        else:
            later.set()
        return task * task

    with Threads(2) as threads:
        # The first task ends only after the second: they run at a time.
        assert list(threads.map(work, [("a", 0), ("b", 1), ("c", 2)])) == [
            ("a", 0), ("b", 1), ("c", 4),
        ]  # fmt: skip


def test_the_first_task_that_fails_is_the_one_that_is_told() -> None:
    seen: list[str] = []

    def work(task: str) -> str:
        if task != "good":
            raise ValueError(task)
        return task

    tasks = [(task, task) for task in ("good", "bad", "worse")]
    with Threads(3) as threads, pytest.raises(ValueError, match=r"^bad$"):
        seen.extend(tag for tag, _ in threads.map(work, tasks))
    assert seen == ["good"]


def test_work_that_waits_is_given_up_when_the_threads_are_left() -> None:
    started, go = threading.Event(), threading.Event()
    done: list[int] = []

    def work(task: int) -> None:
        started.set()
        assert go.wait(30)
        done.append(task)

    with Threads(1) as threads:
        results = threads.map(work, [(task, task) for task in range(3)])
        taking = threading.Thread(target=lambda: list(results), daemon=True)
        taking.start()
        assert started.wait(30)
        threading.Timer(0.05, go.set).start()
    assert done == [0]


def test_a_process_is_started_whole_though_another_thread_takes_the_signal() -> None:
    over = threading.Event()
    other = threading.Thread(target=over.wait, args=(30,))
    other.start()
    assert other.ident is not None
    told: list[str] = []
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_held():
            signal.pthread_kill(other.ident, signal.SIGINT)
            time.sleep(0.1)
            told.append("it was started")
    finally:
        over.set()
        other.join()
    assert told
