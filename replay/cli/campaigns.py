"""What the campaigns have in common on the command line, on the steps or on commits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from replay.campaign.cluster import Cluster
from replay.campaign.drive import Limits, News
from replay.campaign.state import State
from replay.campaign.workers import Local, Workers
from replay.cli.common import print_error
from replay.cli.progress import Bar


def state_option(text: str) -> Callable[..., Any]:
    """``--state``: the file of a campaign, given as ``path``."""
    return click.option(
        "--state", "path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
        help=text,
    )  # fmt: skip


def until_option(text: str) -> Callable[..., Any]:
    """``--until-difference``."""
    return click.option("--until-difference", is_flag=True, help=text)


resume_option = click.option(
    "--resume", is_flag=True, help="Go on with the campaign in the state."
)  # fmt: skip

cluster_option = click.option(
    "--cluster", metavar="ADDRESS",
    help="Run on a Dask cluster; the address of its scheduler, as in tcp://host:8786.",
)  # fmt: skip


def workers_of(cluster: str | None, jobs: int) -> Workers:
    """Those of a cluster, or processes of this machine.

    Raises:
        UsageError: there is no such cluster.

    """
    return Cluster(cluster) if cluster else Local(jobs)


def show(bar: Bar, news: News, limits: Limits, what: str = "operations") -> None:
    """Show how far a campaign is."""
    rate = news.ops / news.seconds if news.seconds else 0.0
    lost = f", {news.lost} ranges handed out again" if news.lost else ""
    text = (
        f"{news.traces} traces, {rate:,.0f} {what} a second, "
        f"{news.reached}, {news.differences} differences{lost}"
    )
    if limits.traces is not None:
        bar.show(news.traces, limits.traces, text)
    else:
        bar.show(news.seconds, limits.seconds or 0, text)


@contextlib.contextmanager
def stopping(opened: Callable[[], State[Any] | None]) -> Iterator[None]:
    """Say how to go on where Ctrl-C or SIGTERM ends the run; nothing before a state is open."""
    try:
        yield
    except KeyboardInterrupt:
        state = opened()
        if state is not None:
            print_error(
                f"stopped; {state.sums.end} traces are in {state.path}: go on with "
                f"replay campaign --resume --state {state.path}"
            )
        raise
