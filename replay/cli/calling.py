"""The options of commands that build a project by its own command and call its library."""

from __future__ import annotations

from pathlib import Path

import click

from replay.repo.opening import BUILD_LIMIT, CALL_LIMIT

binding_option = click.option(
    "--binding", type=click.Path(path_type=Path), metavar="FILE",
    help="What to call, and with what; replay init writes one. By default it is guessed.",
)  # fmt: skip

timeout_option = click.option(
    "--timeout", type=click.FloatRange(0.1, 86_400), default=BUILD_LIMIT, show_default=True,
    metavar="S", help="Seconds that one build may take.",
)  # fmt: skip

call_timeout_option = click.option(
    "--call-timeout", type=click.FloatRange(0.01, 3600), default=CALL_LIMIT, show_default=True,
    metavar="S", help="Seconds of processor time that a trace of calls may take; then it hangs.",
)  # fmt: skip

wrapper_option = click.option(
    "--wrapper", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
    help="A C file to build into each commit's library, whose functions are then called too; "
    "may be repeated. The build command links it where it names $REPLAY_WRAPPER; else it is "
    "compiled and added where the build links the library, by a compiler on its PATH.",
)  # fmt: skip

incremental_option = click.option(
    "--incremental", is_flag=True,
    help="Keep what the build of one commit left for the next, as in a work tree that is moved "
    "along. A sample of the commits is built clean too, and must give the same code.",
)  # fmt: skip
