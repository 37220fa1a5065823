"""A campaign on a real cluster of this machine, one of whose workers is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner
from dirty.campaign.campaigns import (
    ASKED,
    COMMAND,
    drive,
    read_sums,
    values,
    wait_for,
)
from dirty.campaign.nodes import Nodes
from dirty.campaign.processes import end, start

from replay.campaign.workers import Local
from replay.cli import main
from replay.dirty.campaign.work import SHARE

TRACES = 160


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(stack, tmp_path_factory.mktemp("cluster"))


def test_a_worker_that_is_killed_loses_nothing(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    process = start(
        "campaign", "--traces", TRACES, "--state", path, "--cluster", nodes.address,
        "--budget", "0", *COMMAND, cache=tmp_path,
    )  # fmt: skip
    try:
        wait_for(path, SHARE, process)
        os.kill(nodes.workers[0].pid, signal.SIGKILL)
        out, err = process.communicate(timeout=100)
    finally:
        end(process)
    assert process.returncode == 0, (out, err)
    assert nodes.workers[1].poll() is None, "the cluster is left as it is"
    alone = drive(tmp_path / "alone", Local(1), TRACES, ASKED)
    assert values(read_sums(path)) | {"corpus": None} == values(alone)


def test_a_scheduler_that_is_killed_is_one_message(nodes: Nodes, tmp_path: Path) -> None:
    """It is the last that is done to these nodes."""
    path = tmp_path / "state"
    process = start(
        "campaign", "--state", str(path), "--cluster", nodes.address, *COMMAND, cache=tmp_path
    )
    try:
        wait_for(path, SHARE, process)
        os.kill(nodes.scheduler.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=100)
    finally:
        end(process)
    assert (process.returncode, out) == (3, "")
    assert err == (
        "replay: error: the scheduler is gone, or gave up; what was done is in the state: go on "
        "with --resume\n"
    )
    assert read_sums(path).end >= SHARE


def test_no_scheduler_is_one_message(tmp_path: Path) -> None:
    words = ["campaign", "--traces", "1", "--lanes", "python", "--state", str(tmp_path / "s"),
             "--corpus", str(tmp_path / "c"), "--cluster", "nonsense://x"]  # fmt: skip
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and done.stdout == ""
    assert "no scheduler answers at 'nonsense://x'" in done.stderr
    assert "start one with dask scheduler" in done.stderr
