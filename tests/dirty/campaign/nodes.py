"""A Dask cluster on this machine, for the tests."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from dirty.campaign.processes import end


class Nodes:
    """A scheduler and its workers."""

    def __init__(self, stack: ExitStack, folder: Path, workers: int = 2) -> None:
        self.stack, self.folder = stack, folder
        scheduler = self.node("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
        self.scheduler = scheduler
        self.address = self.said(scheduler, "Scheduler at:").split()[-1]
        self.workers = [self.worker() for _ in range(workers)]

    def node(self, what: str, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + what, *words],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=self.folder,
            start_new_session=True,
        )  # fmt: skip
        self.stack.callback(end, process)
        return process

    def worker(self) -> subprocess.Popen[str]:
        process = self.node(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--local-directory", str(self.folder),
        )  # fmt: skip
        self.said(process, "Registered to:")
        return process

    @staticmethod
    def said(process: subprocess.Popen[str], what: str) -> str:
        """The line that says something, once it does."""
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if what in line:
                return line
        raise AssertionError("".join(lines))
