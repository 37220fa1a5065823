"""SPIN meets what our search meets, on a model that a fault in it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from refmodels import FOLD
from replay.dirty.bench import exploring, spin
from replay.dirty.bench.figures import Effort, silent
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.tables import Effects

FAST_TO_COMPILE = (("-O0",),)


def run(folder: Path, text: str) -> spin.Ran:
    (pan,) = spin.built(folder, text, FAST_TO_COMPILE)
    return spin.ran(pan)


@pytest.fixture(scope="module")
def reached() -> Reached:
    found = Reached(
        Effects.of(FOLD.build(exploring.STEP), exploring.SCOPE), {}, 1, 1 << 28, cut=False
    )
    while found.deeper() is not None:
        pass
    assert found.fixpoint
    return found


def test_spin_meets_as_many_states_by_as_many_transitions(reached: Reached, tmp_path: Path) -> None:
    ran = run(tmp_path, spin.model())
    assert ran.errors == 0
    assert (ran.states, ran.transitions) == (reached.states, reached.transitions)
    assert ran.states == 13_005
    assert ran.bytes > 12


CUT = "        ones = ones & (ONES >> ((BITS - end % BITS) % BITS));\n"
CLEARED = "        worded[AT(client, word * BITS)] = worded[AT(client, word * BITS)] & ~ones\n"


def test_a_fault_in_one_of_the_two_stores_fails_the_assertion(tmp_path: Path) -> None:
    """The last word of a range is cleared to its end."""
    text = spin.model()
    assert text.count(CUT + CLEARED) == 1
    ran = run(tmp_path, text.replace(CUT + CLEARED, CLEARED))
    assert ran.errors == 1
    assert ran.states < 13_005


def test_a_model_that_spin_refuses_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(exploring.UsageError, match="spin failed"):
        spin.built(tmp_path, spin.model().replace("init {", "init {{{"), FAST_TO_COMPILE)


def test_without_spin_the_section_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spin.shutil, "which", lambda name: None)  # type: ignore[attr-defined]
    assert "there is no spin" in spin.missing()


def test_the_figures_are_of_the_searches_that_they_name(reached: Reached) -> None:
    result = exploring.measure(Effort(quick=True), silent)
    assert (result.ours.states, result.ours.transitions) == (reached.states, reached.transitions)
    assert reached.states < result.ours.walked < reached.transitions / 4
    assert result.ours.bytes == reached.bytes / reached.states > 8
    assert result.plain.transitions == 2_000
    assert result.spun is None
    assert "--quick" in result.missing
    (goal,) = result.verdicts()
    assert goal.met
    assert len(result.tables()[0].rows) == 2


def test_the_report_has_spin_beside_us() -> None:
    ours = exploring.Compiled(13_005, 2_980_746, 447_372, (0.01, 0.02), 1.0, 1.0, 12.9)
    pan = spin.Pan(Path("pan"), ("-O2",), 1.0, 11.0)
    for states, met in ((13_005, True), (13_006, False)):
        ran = spin.Ran(states, 2_980_746, 0, 48.0, 0.3)
        spun = exploring.Spun(pan, ran, (0.3, 0.4))
        result = exploring.ExploreResult(
            ours, exploring.Plainly(2_000, (0.2, 0.2)), spun, ""
        )  # fmt: skip
        plain, ahead, equal = result.verdicts()
        assert plain.met
        assert ahead.met
        assert ahead.measured == "25.0 (20.0 to 30.0)"
        assert equal.met is met
        assert [row[0] for row in result.tables()[0].rows] == ["compiled", "plain", "SPIN"]
        assert any("-O2 -DSAFETY" in note for note in result.notes())
