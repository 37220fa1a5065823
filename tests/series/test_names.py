"""Steps as a person writes them: each form means what it says, and the rest is refused."""

from __future__ import annotations

import json

import pytest

from refmodels.later import Later, Names
from replay.errors import UsageError
from replay.report.output import document
from replay.series.names import number_in_series, parse_step, parse_steps, parts_of, plain

NAMES = Names(9, ("one", "two-b"), ("flush",))


def written(text: str) -> list[str]:
    return [str(step) for step in parse_steps(text, NAMES)]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("3", "3"),
        ("7-", "7 8 9"),
        ("8-,0-1,1", "0 1 8 9"),
        (" 2 , 4 - 5 ", "2 4 5"),
        ("9+two-b", "9+two-b"),
        ("9+flush+one", "9+one+flush"),
        ("9+all,3", "3 9+all"),
        ("8-9+all", "8 9 9+one 9+all"),
        ("9-9+flush+two-b", "9 9+two-b 9+two-b+flush"),
        ("9+one,9+one", "9+one"),
    ],
)
def test_steps_are_read_as_written(text: str, steps: str) -> None:
    assert written(text) == steps.split()


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "5-3", "0-10", "10", "-", "9+", "9+three", "8+one", "9+one-9", "3-9+three", "٣",
        "1,,2",
    ],
)  # fmt: skip
def test_what_names_no_steps_is_told_in_one_message_with_what_there_is(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_steps(text, NAMES)
    said = str(caught.value)
    assert "9+ any of one, two-b, flush, joined by +; 9+all has all but flush" in said
    assert "\n" not in said


def test_a_series_with_no_fixes_speaks_of_none() -> None:
    with pytest.raises(UsageError, match=r"'12' names no steps; write 0-9, or 6,6, or 0-1,9$"):
        parse_steps("12", Names(9))
    with pytest.raises(UsageError, match="nothing comes after step 9"):
        parse_step("9+one", Names(9))


def test_a_step_after_the_last_counts_as_the_last_and_knows_its_parts() -> None:
    step = parse_step("9+all", NAMES)
    assert isinstance(step, Later) and step > 9
    assert (number_in_series(step), parts_of(step)) == (9, ("one", "two-b"))
    assert (number_in_series(4), parts_of(4)) == (4, ())


def test_a_document_names_a_step_after_the_last_and_numbers_the_others() -> None:
    step = parse_step("9+one", NAMES)
    shown = json.loads(document({"steps": [9, step], "by": {step: (True, step)}}))
    assert shown == {"steps": [9, "9+one"], "by": {"9+one": [True, "9+one"]}}
    assert plain(True) is True
