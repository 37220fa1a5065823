"""The options of commands that build a project by its own command and call its library."""

from __future__ import annotations

from pathlib import Path

import click

from replay.repo.verify import BUILD_LIMIT, CALL_LIMIT

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
