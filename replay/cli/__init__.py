"""The command ``replay``: it parses, calls, renders; nothing else prints or exits."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from typing import Any, Final, NamedTuple

import click

from replay import __version__
from replay.cli.common import ExitCode, Stop, examples, guarded, heed_termination, interrupted


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it.

    The line stands here, so that showing the list need not import the commands.
    """

    target: str
    summary: str


COMMANDS: Final[dict[str, Entry]] = {
    "check": Entry("replay.cli.check:command", "Is every step what it claims to be?"),
    "explore": Entry("replay.cli.explore:command", "Prove each step on every small machine."),
    "coverage": Entry("replay.cli.coverage:command", "What do the traces of a check reach?"),
    "conform": Entry(
        "replay.cli.conform:command", "Run recorded vectors on the models and compare."
    ),
    "campaign": Entry(
        "replay.cli.campaign:command", "Run many traces over all steps and lanes; resumable."
    ),
    "traces": Entry("replay.cli.traces:command", "Keep traces; import recordings of programs."),
    "run": Entry("replay.cli.run:command", "Run a trace at one step and show every operation."),
    "compare": Entry("replay.cli.compare:command", "Show one trace at two steps, side by side."),
    "gallery": Entry("replay.cli.gallery:command", "The defects of the series, each played."),
    "series": Entry(
        "replay.cli.series:command", "List, materialize, import and verify the C series."
    ),
    "elf": Entry("replay.cli.elf:command", "Inspect, compare and identify binaries."),
    "bench": Entry("replay.cli.bench:command", "Measure speed, as ratios in one run."),
    "bisect": Entry("replay.cli.bisect:command", "From a symptom to the guilty step."),
    "probe": Entry("replay.cli.bisect:probe", "Judge one checked-out tree, for git bisect run."),
    "faults": Entry("replay.cli.faults:command", "Put faults into the models; which are found?"),
    "teach": Entry("replay.cli.teach:command", "Learn the series step by step, in the terminal."),
    "site": Entry("replay.cli.site:command", "Write the lessons and the player as a site."),
    "serve": Entry("replay.cli.serve:command", "Serve that site to this machine alone."),
    "verify": Entry("replay.cli.verify:command", "Check your own series in git, commit by commit."),
    "init": Entry("replay.cli.init:command", "Write a binding from a library, for verify."),
    "mail": Entry(
        "replay.cli.mail:command", "Read patches as they come by mail; compare versions."
    ),
    "show": Entry("replay.cli.show:command", "Show what a step of the series changes."),
}


ANY_SUBJECT: Final = ("check", "show", "bisect", "run", "compare")
"""The commands that take their steps from any subject."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a misspelt name is told the nearest."""
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = f"did you mean '{near[0]}'?" if near else "known are " + ", ".join(COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Click would turn these two into messages and codes of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stop(interrupted(error)) from None
        except BrokenPipeError:
            raise Stop(ExitCode.NO_READER) from None

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line and exit with its code; only give it when not standalone."""
        for stream in (sys.stdout, sys.stderr):
            # A name that the terminal's encoding lacks is no reason to fail.
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        # Also where it is started as `python -m replay`.
        extra.setdefault("prog_name", "replay")
        parent: Any = super().main
        if standalone_mode:
            heed_termination()
        code = guarded(lambda: parent(*args, standalone_mode=False, **extra))
        if standalone_mode:
            sys.exit(code)
        return code


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=examples(
        "replay check                           every step against its claim",
        "replay show 27                         what step 27 changes",
        "replay run trace.jsonl --step 39       one trace, operation by operation",
        "replay compare trace.jsonl 38 39       where two steps part",
        "replay conform vectors.jsonl.gz        the models against recordings",
    ),
)
@click.option(
    "--subject", metavar="DIR",
    help="Look at your own series of models; DIR/subject.py is EXECUTED. For: "
    + ", ".join(ANY_SUBJECT) + ".",
)  # fmt: skip
@click.version_option(__version__, prog_name="replay", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context, subject: str | None) -> None:
    """Replay a patch series step by step, and verify that it changes only what it says.

    The series is QEMU's dirty-bitmap series of 2013 in 39 steps; step 0 is the code
    before it. Each step has a model that can be run.
    """
    if subject and ctx.invoked_subcommand not in ANY_SUBJECT:
        raise click.UsageError(f"{ctx.invoked_subcommand} knows the built-in subject alone")
