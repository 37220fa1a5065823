"""Which subject a command is about: the built-in one, or that of ``replay --subject DIR``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

import click

from replay.errors import UsageError
from replay.series.names import parts_of

if TYPE_CHECKING:
    from refmodels.later import Names
    from replay.series.subject import Subject

BUILT_IN = "replay.dirty.subject:SUBJECT"


def named(ctx: click.Context | None = None) -> str:
    """The name of the subject; "" for the built-in one."""
    context = ctx or click.get_current_context(silent=True)
    return str(context.find_root().params.get("subject") or "") if context else ""


def command_line() -> str:
    """How this command is called again for the same subject."""
    return shlex.join(["replay", *(["--subject", named()] if named() else [])])


def the_subject(ctx: click.Context | None = None) -> Subject:
    """The subject of this command line.

    Raises:
        UsageError: there is none of that name, or it is broken.

    """
    from replay.series.subject import subject_of

    return subject_of(named(ctx) or BUILT_IN)


def step_names(ctx: click.Context | None = None) -> Names:
    """How the subject's steps are named; those of the built-in one without loading it."""
    if named(ctx):
        return the_subject(ctx).names
    from refmodels import FOLD

    return FOLD.names


def last_step(ctx: click.Context | None = None) -> int:
    """The number of the subject's last step."""
    return step_names(ctx).last


def only_built_in(what: str) -> None:
    """Refuse ``--subject`` where a command knows the built-in subject alone.

    Raises:
        UsageError: another subject is named.

    """
    if named():
        raise UsageError(f"{what} is for the built-in subject; leave out --subject")


def insist_on_use(copies: Iterable[tuple[int, str]], run: Collection[int], option: str) -> None:
    """Refuse a changed copy of a step that is not among those to be run, nor a fix in them.

    Raises:
        click.UsageError: the first copy that nothing would compare.

    """
    fixes = {part for step in run for part in parts_of(step)}
    for step, path in copies:
        if step not in run and not fixes.intersection(parts_of(step)):
            raise click.UsageError(
                f"--model {step}={path} changes step {step}, which {option} leaves out, so that "
                f"nothing would compare it; add step {step}, or leave out --model"
            )


def _copies(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, str], ...]:
    from replay.series.copies import copies_of

    return copies_of(values, step_names(ctx))


def copies_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--model STEP=FILE``: changed copies of models, given as ``copies``."""
    return click.option(
        "--model", "copies", multiple=True, callback=_copies, metavar="STEP=FILE",
        help="Use a changed copy of a step's module. FILE is executed.",
    )(command)  # fmt: skip
