"""The search: right for every place of a fault, few probes, skipped steps told honestly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.errors import UsageError
from replay.search.bisect import (
    Answer,
    Bisection,
    Probe,
    binary_search,
    full_scan,
    log_lines,
    read_log,
)


def going_bad_at(guilty: int, skipped: frozenset[int] = frozenset()):
    def predicate(step: int) -> tuple[Answer, str]:
        if step in skipped:
            return Answer.SKIP, "does not build"
        return (Answer.BAD if step >= guilty else Answer.GOOD), ""

    return predicate


@pytest.mark.parametrize("guilty", range(1, 40))
def test_every_guilty_step_is_found_in_a_handful_of_probes(guilty: int) -> None:
    result = binary_search(going_bad_at(guilty), 0, 39)
    assert result.guilty == (guilty,)
    assert len(result.probes) <= 2 + math.ceil(math.log2(39))


@given(st.integers(1, 39), st.frozensets(st.integers(1, 38)))
def test_a_skipped_step_is_never_acquitted(guilty: int, skipped: frozenset[int]) -> None:
    result = binary_search(going_bad_at(guilty, skipped), 0, 39)
    named = set(result.guilty) | set(result.suspects)
    if guilty in skipped or guilty - 1 in skipped:
        assert guilty in named
    else:
        assert result.guilty == (guilty,)
    scan = full_scan(going_bad_at(guilty, skipped), range(40))
    assert named == set(scan.guilty) | set(scan.suspects)


def test_a_scan_finds_all_that_go_bad_and_good_again() -> None:
    bad = {5, 6, 7, 20}
    result = full_scan(lambda step: (Answer.BAD if step in bad else Answer.GOOD, ""), range(40))
    assert result.guilty == (5, 20)
    assert result.mended == (8, 21)
    assert result.method == "full scan"


def test_wrong_ends_are_refused_with_the_cure() -> None:
    with pytest.raises(UsageError, match=r"step 0 is bad, not good.*--good"):
        binary_search(lambda step: (Answer.BAD, ""), 0, 39)
    with pytest.raises(UsageError, match="step 39 is good, not bad"):
        binary_search(lambda step: (Answer.GOOD, ""), 0, 39)


def test_a_log_gives_back_question_and_probes(tmp_path: Path) -> None:
    result = binary_search(going_bad_at(27), 0, 39)
    log = tmp_path / "log"
    log.write_text("\n".join(log_lines({"property": "no-lost-store"}, result)), encoding="utf-8")
    question, probes = read_log(log, 39)
    assert question == {"property": "no-lost-store"}
    assert probes == result.probes


HEAD = '{"format": "replay-bisect/1", "question": {}}\n'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", ":1: not a bisect log"),
        ("{", ":1: not a line of JSON"),
        ("[1]", ":1: a line of a bisect log is a JSON object"),
        (
            '{"format": "replay-bisect/1", "question": {}}\n{"step": 3, "answer": "maybe"}',
            ":2: ans",
        ),
        (
            '{"format": "replay-bisect/1", "question": {}}\n{"step": 99, "answer": "bad"}',
            ":2: step",
        ),
    ],
)
def test_a_wrong_log_is_one_clear_error(tmp_path: Path, text: str, where: str) -> None:
    log = tmp_path / "log"
    log.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=where):
        read_log(log, 39)


def test_probes_are_told_as_they_are_made() -> None:
    told: list[Probe] = []
    result: Bisection = binary_search(going_bad_at(13), 0, 39, told.append)
    assert told == result.probes
