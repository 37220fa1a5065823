"""A model that runs one trace in two ways is one clear message, wherever it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main
from replay.dirty.subject import SUBJECT
from replay.errors import SeriesError
from replay.series.repeats import insist, unrepeated
from replay.series.small_language import SmallOp, SmallTrace
from replay.series.subject import subject_of

COUNTER = Path(__file__).parent / "counter"
(STEP_27,) = (Path(__file__).parents[2] / "refmodels").glob("s27_*.py")
BEGIN = "STEP = Step(27"
LINE = "    page = start >> vm.TARGET_PAGE_BITS\n"
MORE = "        vm.xen_modified_memory(start, 1)\n"

KEEPING = {
    "a list of the module": ("SEEN = []\n", "    SEEN.append(1)\n    if len(SEEN) % 7 == 0:\n"),
    "more than some": ("SEEN = []\n", "    SEEN.append(1)\n    if len(SEEN) > 60:\n"),
    "a class": (
        "class Kept:\n    calls = 0\n\n\n",
        "    Kept.calls += 1\n    if Kept.calls % 5 == 0:\n",
    ),
    "chance": ("import random\n\n", "    if random.random() < 0.2:\n"),
}  # fmt: skip
"""What stands before the step, and the condition on which it tells Xen once more."""


@pytest.fixture(params=KEEPING)
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    text = STEP_27.read_text(encoding="utf-8")
    assert text.count(LINE) == text.count(BEGIN) == 1
    before, condition = KEEPING[request.param]
    text = text.replace(BEGIN, before + BEGIN).replace(LINE, LINE + condition + MORE)
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    return tmp_path / "mine.py"


def replay(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def refused(done: Result, copy: Path, step: int = 27) -> None:
    """One line that names the step, the file and the operation, and exit code 2."""
    assert done.exit_code == 2, done.output
    error = done.stderr.splitlines()[-1]
    assert error.startswith(f"replay: error: the model of step {step}, with {copy} (step 27), does")
    assert "does not repeat" in error and "at operation " in error and len(error) < 900
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("lane", ["python", "both"])
def test_check_says_that_it_does_not_repeat(copy: Path, lane: str) -> None:
    few = ("--steps", "27", "--traces", "20", "--jobs", "1", "--budget", "30")
    refused(replay("check", *few, "--lane", lane, "--model", f"27={copy}"), copy)


def test_bisect_says_so(copy: Path) -> None:
    words = ("--property", "no-lost-store", "--good", "25", "--bad", "27", "--traces", "12")
    refused(replay("bisect", *words, "--model", f"27={copy}"), copy)


def test_a_campaign_says_so_when_it_makes_its_examples(copy: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    few = ("--steps", "27", "--traces", "20", "--jobs", "1", "--lanes", "python")
    where = ("--state", state, "--corpus", tmp_path / "corpus")
    refused(replay("campaign", *few, *where, "--model", f"27={copy}"), copy)
    assert "20 traces" in replay("campaign", "status", "--state", state).stdout


def test_what_a_fresh_copy_does_otherwise_does_not_repeat(tmp_path: Path) -> None:
    """The copy has made up its mind long before: on one machine it repeats."""
    text = STEP_27.read_text(encoding="utf-8")
    before, condition = KEEPING["more than some"]
    copy = tmp_path / "mine.py"
    copy.write_text(text.replace(BEGIN, before + BEGIN).replace(LINE, LINE + condition + MORE))
    copies = ((27, str(copy)),)
    machines = SUBJECT.machines(copies, 27)
    trace = SUBJECT.language.draw(1, 0)
    for _ in range(20):
        SUBJECT.run(27, machines[27], trace)
    insist(SUBJECT, machines, copies, (26, 27), trace, afresh=False)
    with pytest.raises(SeriesError, match="does not repeat"):
        insist(SUBJECT, machines, copies, (26, 27), trace)


def test_models_as_they_are_repeat() -> None:
    counter = subject_of(str(COUNTER))
    trace = SmallTrace((SmallOp("add", (1,)), SmallOp("take", (2,))), "t")
    insist(counter, counter.machines(), (), (-1, 0, 3, 4), trace)


def test_a_difference_at_the_end_or_a_long_one_is_told_in_short() -> None:
    trace = SmallTrace((SmallOp("reset"),), "t")
    said = str(unrepeated((), 4, trace, 1, "x" * 999))
    assert "the model of step 4 does not repeat" in said and "at its end: xxx" in said
    assert len(said) < 600


def test_somebody_s_own_model_must_repeat_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.chdir(tmp_path)
    shutil.copytree(COUNTER, tmp_path / "mine")
    model = tmp_path / "mine/models/s04_take_once.py"
    text = model.read_text().replace("had = vm.value()", "had = vm.value() + random.choice((0, 1))")
    model.write_text(text.replace("from refmodels", "import random\n\nfrom refmodels", 1))
    done = replay("--subject", tmp_path / "mine", "check", "--traces", "40", "--jobs", "1")
    assert done.exit_code == 2 and "the model of step 4 does not repeat" in done.stderr
