"""Steps on the command line, by number and by name; and which of them a command takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from replay.cli.subjects import last_step, step_names
from replay.errors import UsageError


class StepType(click.ParamType[int]):
    """A step by its number, or by its name where it comes after the last: ``K+a+b``."""

    name = "step"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A step of the subject, or a usage error that says which there are."""
        if isinstance(value, int):
            return value
        from replay.series.names import parse_step  # it knows models, which no help needs

        try:
            return parse_step(str(value), step_names(ctx))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class StepsType(click.ParamType[tuple[int, ...]]):
    """Steps as on the command line; ``series.names`` has the grammar."""

    name = "steps"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The steps in order, each once, or a usage error that shows the form."""
        if isinstance(value, tuple):
            return value
        from replay.series.names import parse_steps

        try:
            return parse_steps(str(value), step_names(ctx))
        except UsageError as error:
            self.fail(str(error), param, ctx)


STEP: Final = StepType()
STEPS: Final = StepsType()


def steps_option(
    text: str = "The steps to judge, each against the one before.", default: str = "1-"
) -> Callable[..., Any]:
    """``--steps``: which are meant."""
    return click.option(
        "--steps", type=STEPS, default=default, show_default=True, metavar="STEPS", help=text
    )


def of_the_series(what: str, steps: Iterable[int]) -> tuple[int, ...]:
    """Steps that are no later ones than the last.

    Raises:
        click.UsageError: one of them comes after it, which a command knows nothing of.

    """
    from replay.series.names import parts_of

    found = tuple(steps)
    for step in found:
        if parts_of(step):
            raise click.UsageError(
                f"{what} is for the steps of the series, 0 to {last_step()}; {step} comes after it"
            )
    return found


def judged(steps: Iterable[int], why: str = "step 0 has no step before it") -> tuple[int, ...]:
    """The steps that can be judged: all but step 0.

    Raises:
        click.UsageError: there is none; ``why`` says what is wrong with step 0.

    """
    found = tuple(step for step in steps if step)
    if not found:
        raise click.UsageError(f"{why}; --steps takes steps from 1 to {last_step()}")
    return found
