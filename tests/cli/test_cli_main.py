import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from refmodels import FOLD
from replay import __version__
from replay.cli import COMMANDS, Entry, common, main, steps
from replay.cli.common import ExitCode, guarded
from replay.errors import DomainError, ReplayError, SeriesError, TraceError, UsageError, WorkerError

VECTORS = Path(__file__).parent.parent / "vectors"


def replay(*arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "replay", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **extra},
    )


# --- exit codes and errors, mapped in one place -------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TraceError("bad", "t.jsonl", 3), 2, "replay: error: t.jsonl:3: bad\n"),
        (SeriesError("bad"), 2, "replay: error: bad\n"),
        (UsageError("bad"), 2, "replay: error: bad\n"),
        (DomainError("bad"), 2, "replay: error: bad\n"),
        (ReplayError("bad"), 2, "replay: error: bad\n"),
        (WorkerError("bad"), 3, "replay: error: bad\n"),
        (click.UsageError("bad."), 2, "replay: error: bad\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (
            OSError(28, "No space left"),
            3,
            "replay: error: the system refused: [Errno 28] No space left\n",
        ),
    ],
)
def test_each_cause_has_its_exit_code_and_at_most_one_message(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def call() -> None:
        raise error

    assert guarded(call) == code
    assert capsys.readouterr() == ("", message)


def test_a_fault_of_the_program_shows_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: 1 // 0) == ExitCode.FAILURE
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith(
        "replay: error: internal: ZeroDivisionError: integer division or modulo by zero\n"
    )


def test_the_code_of_a_command_is_that_of_the_process() -> None:
    assert guarded(lambda: ExitCode.DIFFERENCE) == 1
    assert guarded(lambda: None) == 0


def test_an_interrupt_is_quiet_and_gives_130(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def interrupted() -> None:
        raise KeyboardInterrupt

    @click.command
    def unread() -> None:
        raise BrokenPipeError

    for command, code in ((interrupted, 130), (unread, 141)):
        monkeypatch.setattr(sys.modules[__name__], "command", command, raising=False)
        monkeypatch.setitem(COMMANDS, "stop", Entry(f"{__name__}:command", "stop"))
        result = CliRunner().invoke(main, ["stop"])
        assert (result.exit_code, result.stdout, result.stderr) == (code, "", "")


def test_ctrl_c_ends_a_long_command_at_once_and_quietly(tmp_path: Path) -> None:
    pipe = tmp_path / "endless.jsonl"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "replay", "conform", str(pipe)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with pipe.open("wb"):  # returns when the command has opened its end
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    script = f"{sys.executable} -m replay show 0 --whole | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("# ====")
    assert done.stdout.splitlines()[1] in ("0", "141"), "0 if all of it fitted into the pipe"


def test_a_full_disk_is_one_message() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "replay", "show", "27"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == (
        "replay: error: the system refused: [Errno 28] No space left on device\n"
    )


# --- the command line ------------------------------------------------------------------------


def test_python_m_replay_is_the_command() -> None:
    done = replay("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"replay {__version__}\n", "")
    assert replay("--help").stdout.startswith("Usage: replay [OPTIONS]")


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys, replay.cli\n"
        "code = replay.cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'rich', 'msgspec', 'refmodels', 'replay.dirty', 'replay.series'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, entry in COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert entry.summary.split()[0] in done.stdout
    assert "Examples:" in done.stdout
    assert "Exit codes: 0 as claimed or equal, 1 a difference" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_it_is_said_to_be_and_has_help(name: str) -> None:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert command.name == name
    assert command.callback is not None
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: replay {name}") or "Usage: main" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_no_command_shows_the_help_as_a_usage_error() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw", "3"], "there is no command 'shw'; did you mean 'show'?"),
        (["xyz"], "there is no command 'xyz'; known are "),
        (["--nope"], "No such option"),
        (["show"], "name a step, 0 to 39"),
        (["show", "40"], "'40' is no step; steps are 0 to 39"),
        (["show", "-1"], "No such option"),
        (["show", "1e1"], "'1e1' is no step"),
        (["show", "٣"], "is no step"),
        (["show", "3", "--whole", "--function", "x"], "two views"),
        (["conform"], "Missing argument 'FILE...'"),
        (["conform", "x", "--steps", "3-"], None),
        (["conform", "x", "--steps", "5-3"], "'5-3' names no steps; write 0-39, or 27,30"),
        (["conform", "x", "--steps", "0-40"], "'0-40' names no steps"),
        (["conform", "x", "--steps", ""], "'' names no steps"),
        (["conform", "x", "--jobs", "0"], "0 is not in the range"),
        (["conform", "x", "--max-mismatches", "-1"], "-1 is not in the range"),
        (["run", "x"], "Missing option '--step'"),
        (["run", "x", "--step", "3", "--ops", "9-4"], "'9-4' is no range of operations"),
        (["compare", "x", "3"], "Missing argument 'B'"),
    ],
)
def test_misuse_is_one_message_and_exit_2(arguments: list[str], message: str | None) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("replay: error: ")
    assert result.stderr.count("\n") == 1
    if message:
        assert message in result.stderr


def test_the_steps_of_the_command_line_are_those_of_the_models() -> None:
    assert steps.STEPS.convert("0-", None, None) == tuple(range(FOLD.last + 1))


def test_steps_and_operations_are_read_as_written() -> None:
    convert = steps.STEPS.convert
    assert convert("0-39", None, None) == tuple(range(40))
    assert convert("27,30", None, None) == (27, 30)
    assert convert("38-,0-1,1", None, None) == (0, 1, 38, 39)
    assert common.OPS.convert("3", None, None) == range(3, 4)
    assert common.OPS.convert("3-7", None, None) == range(3, 8)
    assert 10**9 in common.OPS.convert("3-", None, None)


# --- colour ------------------------------------------------------------------------------------


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_no_color_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal: object = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert common.wants_color(terminal)  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "")
    assert common.wants_color(terminal)  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not common.wants_color(terminal)  # type: ignore[arg-type]
    assert common.on_terminal(terminal)  # type: ignore[arg-type]
    monkeypatch.setenv("TERM", "dumb")
    assert not common.on_terminal(terminal)  # type: ignore[arg-type]


def test_no_colour_and_no_bar_where_nobody_watches() -> None:
    done = replay("conform", str(VECTORS / "named.jsonl"), "--jobs", "1", "--steps", "0")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_name_that_the_terminal_cannot_show_is_no_failure() -> None:
    done = replay("show", "0", "--whole", PYTHONIOENCODING="ascii")
    assert done.returncode == 0


# --- formats by name ----------------------------------------------------------------------


def test_a_format_is_asked_for_by_its_name_and_json_is_short_for_one() -> None:
    def show(*words: str) -> str:
        done = CliRunner().invoke(main, ["show", "27", *words])
        assert done.exit_code == 0
        return done.stdout

    assert show() == show("--format", "text") != show("--json")
    assert show("--json") == show("--format", "json") == show("--format", "json", "--json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "xml"], "there is no format 'xml'; there are text, json"),
        (["--format", "text", "--json"], "--json and --format text are two"),
        (["--json", "--format", "text"], "--json and --format text are two"),
    ],
)
def test_a_format_that_is_not_there_or_two_at_once_is_a_usage_error(
    words: list[str], said: str
) -> None:
    done = CliRunner().invoke(main, ["show", "27", *words])
    assert (done.exit_code, done.stdout) == (2, "") and said in done.stderr


def test_code_that_ends_the_program_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        raise SystemExit(0)

    assert guarded(call) == ExitCode.USAGE
    assert "sys.exit(0)" in capsys.readouterr().err
