"""Values as JSON and back."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.repo.calls import Call
from replay.repo.coded import NotCoded, decode, encode
from replay.repo.evidence import Evidence, Stop
from replay.repo.lines import Line
from replay.repo.masks import Field
from replay.repo.reach import Reach
from replay.repo.results import Counterexample, Divergence, PairResult
from replay.repo.runner import Run
from replay.search.verdict import Verdict

TEXT = st.text(st.characters(), max_size=8)
INTS = st.integers(-(1 << 80), 1 << 80)
FLOATS = st.floats(allow_nan=False)
SCALARS = st.none() | st.booleans() | INTS | FLOATS | TEXT | st.binary(max_size=8)
ANY = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)
COUNTS = st.dictionaries(TEXT, INTS, max_size=3).map(Counter)
STOPS = st.dictionaries(st.builds(Stop, TEXT, TEXT, TEXT), INTS, max_size=3).map(Counter)
LINES = st.builds(Line, TEXT, INTS, st.booleans())
CALLS = st.builds(Call, TEXT, st.lists(INTS | FLOATS | TEXT, max_size=3).map(tuple), INTS)
RUNS = st.builds(
    Run, st.lists(st.binary(max_size=9), max_size=3).map(tuple), TEXT, TEXT,
    st.lists(INTS, max_size=2).map(tuple), TEXT,
)  # fmt: skip
VERDICTS = st.sampled_from(Verdict)
DIVERGENCES = st.builds(
    Divergence, VERDICTS, INTS, st.lists(st.tuples(TEXT, ANY, ANY), max_size=3).map(tuple)
)
EXAMPLES = st.builds(
    Counterexample, TEXT, st.lists(CALLS, max_size=3).map(tuple), RUNS, RUNS, DIVERGENCES,
    st.booleans(), st.tuples(TEXT, TEXT),
)  # fmt: skip
EVIDENCE = st.builds(
    Evidence, st.booleans(), INTS, INTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, STOPS,
    st.sets(TEXT, max_size=3),
)  # fmt: skip
REACHES = st.builds(
    Reach, st.dictionaries(LINES, INTS, max_size=3), st.lists(LINES, max_size=3).map(tuple), TEXT,
    INTS,
)  # fmt: skip
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
RESULTS = st.builds(
    PairResult, INTS, INTS, VERDICTS, st.none() | TEXT | EXAMPLES, TEXT, EVIDENCE, TEXTS, TEXTS,
    st.none() | REACHES,
)  # fmt: skip


def through_json(value: Any, kind: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value, kind), allow_nan=False)), kind)


@settings(deadline=None)
@given(RESULTS)
def test_a_result_is_the_same_after_json(result: PairResult) -> None:
    again = through_json(result, PairResult)
    assert again == result
    # What takes no part in the comparison of two runs comes back too.
    if isinstance(result.shown, Counterexample):
        assert again.shown.before.reached == result.shown.before.reached
        assert repr(again.shown) == repr(result.shown)
    assert list(again.evidence.generated) == list(result.evidence.generated)
    assert type(again.evidence.stops) is Counter
    assert again.evidence.stops[Stop("no such", "crash")] == 0


@dataclass(frozen=True)
class Holder:
    value: Any
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Found:
    place: Path | str


@pytest.mark.parametrize("place", [Path("a") / "b.toml", "a/b.toml", "here"])
def test_a_path_is_a_path_again_and_a_text_a_text(place: Path | str) -> None:
    again = through_json(Found(place), Found).place
    assert again == place
    assert isinstance(again, Path) is isinstance(place, Path)


@settings(deadline=None)
@given(ANY)
def test_a_value_of_any_type_keeps_its_type(value: Any) -> None:
    assert repr(through_json(Holder(value, (Field("ret", "f"),)), Holder)) == repr(
        Holder(value, (Field("ret", "f"),))
    )


@pytest.mark.parametrize(
    "value", [math.nan, -math.inf, -0.0, "\ud83d\ude00", 1 << 70_000, -(1 << 64), True],
    ids=["nan", "inf", "zero", "surrogates", "long", "beyond", "true"],
)  # fmt: skip
def test_what_json_does_not_know_comes_back(value: Any) -> None:
    again = through_json(Holder(value), Holder).value
    assert type(again) is type(value)
    if isinstance(value, float):
        assert repr(again) == repr(value)
    else:
        assert again == value


@pytest.mark.parametrize(
    "data",
    [
        None, [], {}, {"traces": 1}, {"file": "a", "number": "1", "removed": False},
        {"file": "a", "number": True, "removed": False}, {"file": 1, "number": 1, "removed": False},
        {"file": "a", "number": 1, "removed": False, "more": 1},
        {"file": {"text": "zz"}, "number": 1, "removed": False},
        {"file": {"bytes": "00"}, "number": 1, "removed": False},
    ],
)  # fmt: skip
def test_what_is_of_another_type_is_no_value(data: Any) -> None:
    with pytest.raises(NotCoded):
        decode(data, Line)


def test_a_value_of_another_type_has_no_form() -> None:
    with pytest.raises(NotCoded):
        encode(Line("a", "1"), Line)  # type: ignore[arg-type]
    with pytest.raises(NotCoded):
        encode(Holder(object()), Holder)
