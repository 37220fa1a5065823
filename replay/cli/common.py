"""What all commands share: exit codes, errors, colour, JSON, and how steps are named.

The exit codes are a promise to scripts; nothing else in the package exits.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import IO, Any, Final, NoReturn

import click

from replay.base.style import Style
from replay.errors import ReplayError, WorkerError
from replay.report.output import JSON, TEXT, can_show, format_names, render


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    """As claimed, or equal."""
    DIFFERENCE = 1
    """A difference was found."""
    USAGE = 2
    """Bad input or usage: the message says what to mend."""
    FAILURE = 3
    """The program itself failed, or a worker of it."""
    NOT_DECIDED = 4
    """No difference was found, and something could not be built, judged or decided."""
    INTERRUPTED = 130
    """Ctrl-C."""
    NO_READER = 141
    """Whoever read the output has left; as if the signal SIGPIPE had ended the process."""
    TERMINATED = 143
    """SIGTERM: a job that is cancelled, or runs out of time."""


EXIT_HELP: Final = (
    "Exit codes: 0 as claimed or equal, 1 a difference, 2 bad input or usage, "
    "3 an internal failure, 4 no difference found but something not decided, 130 interrupted, "
    "143 terminated."
)


class Terminated(KeyboardInterrupt):
    """SIGTERM came. Whoever cleans up behind Ctrl-C cleans up behind it, too."""


def heed_termination() -> None:
    """Let SIGTERM unwind this process as Ctrl-C does, so that nothing is left behind.

    A process that is told to ignore it, or has a handler of its own, keeps its way.
    """
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: object) -> NoReturn:
    # A second one finds nobody to unwind: it ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated


def interrupted(error: BaseException) -> ExitCode:
    """The code for a signal that ended a run."""
    return ExitCode.TERMINATED if isinstance(error, Terminated) else ExitCode.INTERRUPTED


class Stop(Exception):
    """Leave with a code and no message. Not an error of click, so click lets it pass."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


def error_text(message: str) -> str:
    """The one form of every error."""
    return f"replay: error: {message}"


def guarded(call: Callable[[], Any]) -> int:
    """Run a command line; all that can go wrong becomes one message and an exit code."""
    code: int = ExitCode.OK
    message = ""
    try:
        given = call()
        sys.stdout.flush()
        code = given if isinstance(given, int) else ExitCode.OK
    except Stop as stop:
        code = stop.code
    except ReplayError as error:
        code = ExitCode.FAILURE if isinstance(error, WorkerError) else ExitCode.USAGE
        message = str(error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = ExitCode.USAGE
    except click.ClickException as error:
        code, message = ExitCode.USAGE, _usage(error)
    except (KeyboardInterrupt, click.Abort) as error:
        code = interrupted(error)
    except BrokenPipeError:
        code = ExitCode.NO_READER
    except SystemExit as error:
        # Only code that was executed for somebody ends the program: that is no success.
        code, message = ExitCode.USAGE, f"code that was executed called sys.exit({error})"
    except OSError as error:
        code, message = ExitCode.FAILURE, f"the system refused: {error}"
    except Exception as error:
        # A fault of the program: whoever mends it needs to know where it was.
        click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
        code, message = ExitCode.FAILURE, f"internal: {type(error).__name__}: {error}"
    if message:
        click.echo(error_text(message), err=True)
    if code not in (ExitCode.OK, ExitCode.DIFFERENCE, ExitCode.NOT_DECIDED):
        _drop_output()
    return code


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}; see '{error.ctx.command_path} --help'"
    return message


def _drop_output() -> None:
    """Write out what is buffered if that is possible; if not, let it go nowhere.

    Else the interpreter would fail at it once more when it ends.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


# --- output -------------------------------------------------------------------------


def on_terminal(stream: IO[str]) -> bool:
    """Whether a person watches: progress bars go nowhere else."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_color(stream: IO[str]) -> bool:
    """Colour only on a terminal, and never where NO_COLOR is set to something."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are no report to standard output: what was done, or what goes on."""
    click.echo("\n".join(lines), color=True)


def print_error(text: str) -> None:
    """Say something that is no result: to standard error."""
    click.echo(f"replay: {text}", err=True)


def emit(shown: object, format: str = TEXT) -> None:
    """Print a result in a format: the one place where a report leaves the program.

    Raises:
        UsageError: there is no such format, or it does not show such a result.
    """
    click.echo(render(shown, format, Style(wants_color(sys.stdout))), color=True)


def tell(news: object, format: str = TEXT) -> None:
    """Print news on the way to a result to standard error, if a format has any."""
    if can_show(type(news), format):
        click.echo(render(news, format), err=True)


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say in which format a command prints; it is given ``format``."""
    named = click.option(
        "--format", metavar="NAME", callback=_format, help="Print in this format; text by default."
    )
    short = click.option(
        "--json", "as_document", is_flag=True, is_eager=True, expose_value=False,
        callback=_remembered, help="Print one JSON document.",
    )  # fmt: skip
    return short(named(command))


_DOCUMENT: Final = "replay.cli.common.document"


def _remembered(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[_DOCUMENT] = value


def _format(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """``--json`` is short for one of the formats; another one beside it is a mistake."""
    known = format_names()
    if value is not None and value not in known:
        raise click.BadParameter(f"there is no format {value!r}; there are {', '.join(known)}")
    if ctx.meta[_DOCUMENT]:
        if value not in (None, JSON):
            raise click.BadParameter(f"--json and --format {value} are two; give one of them")
        return JSON
    return value or TEXT


# --- operations and other values on the command line ---------------------------------


class OpsType(click.ParamType[range]):
    """A range of operations: ``3``, ``3-7``, ``3-``; both ends are included."""

    name = "operations"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        """The range, or a usage error that shows the form."""
        if isinstance(value, range):
            return value
        first, last = _span(str(value), sys.maxsize - 1)
        if first is None or last is None or last < first:
            self.fail(f"{value!r} is no range of operations; write 3, or 3-7, or 3-", param, ctx)
        return range(first, last + 1)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII) else None


def _span(text: str, end: int) -> tuple[int | None, int | None]:
    """``A``, ``A-B`` or ``A-``, which goes to ``end``."""
    first, dash, last = text.partition("-")
    if not dash:
        return _number(first), _number(first)
    return _number(first), _number(last) if last.strip() else end


OPS: Final = OpsType()


def examples(*lines: str) -> str:
    """The end of a command's help: command lines to copy, then the exit codes."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines) + "\n\n" + EXIT_HELP


seed_option = click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N",
    help="The same seed gives the same traces and the same report.",
)  # fmt: skip


def traces_option(
    default: int | None,
    text: str = "How many random traces.",
    most: int | None = 10_000_000,
    shown: str | bool = True,
) -> Callable[..., Any]:
    """``--traces``: how many are run."""
    return click.option(
        "--traces", type=click.IntRange(1, most), default=default, show_default=shown,
        metavar="N", help=text,
    )  # fmt: skip


class Seconds(click.ParamType[float]):
    """A time: ``90``, ``10s``, ``5m``, ``2h``; its value is in seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds that a text means."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh]?)", str(value).strip())
        if found is None or not float(found[1]):
            self.fail(f"{value!r}; write a time as in 10s, 5m or 1h", param, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def ops_option(
    default: int | Callable[[], int],
    text: str = "Operations a trace.",
    most: int = 100_000,
    shown: str | bool = True,
) -> Callable[..., Any]:
    """``--ops``: how long a trace is."""
    return click.option(
        "--ops", type=click.IntRange(1, most), default=default, show_default=shown,
        metavar="N", help=text,
    )  # fmt: skip


def budget_option(
    default: int,
    text: str = "Candidates tried to shorten each example; 0 leaves them as found.",
) -> Callable[..., Any]:
    """``--budget``: the evaluations that shortening may take."""
    return click.option(
        "--budget", type=click.IntRange(0), default=default, show_default=True, metavar="N",
        help=text,
    )  # fmt: skip


def jobs_option(default: Callable[[], int]) -> Callable[..., Any]:
    """``--jobs``, by default the processors this process may use."""
    return click.option(
        "--jobs", type=click.IntRange(1, 512), default=default, metavar="N",
        help="Worker processes; by default one a processor. Results do not depend on it.",
    )  # fmt: skip
