"""``replay campaign``: what it prints and keeps, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dirty.campaign.campaigns import read_sums
from faults.catalogue import FAULTS

from replay.cli import main
from replay.cli.campaign import RAREST
from replay.dirty.campaign.corpus import path_of, reaching
from replay.dirty.language.files import read_trace
from replay.dirty.subject import plan

FAULT = next(fault for fault in FAULTS if fault.step == 38)
FEW = ("--steps", "38", "--ops", "25", "--jobs", "1", "--lanes", "python")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def replay(*words: object) -> Result:
    return CliRunner().invoke(main, ["campaign", *map(str, words)])


def test_a_campaign_tells_what_it_did_and_goes_on(cache: Path) -> None:
    done = replay("--traces", 20, *FEW)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"campaign {cache / 'campaign.sqlite'}"
    assert lines[1].startswith("20 traces of 25 operations, seed 1: 1,500 operations at 3 steps")
    assert lines[-2:] == ["python: 1 same", "no difference found: all steps as claimed"]
    assert replay("--traces", 30, "--resume", "--jobs", 1).exit_code == 0
    found = json.loads(replay("status", "--json").stdout)
    assert (found["traces"], found["passed"], found["lanes"]["python"][0]["traces"]) == (
        30, True, 30,
    )  # fmt: skip
    assert "at step" in replay("status", "--missed").stdout


def test_a_time_ends_a_campaign_and_rare_paths_are_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.dirty.campaign.verdicts.ENOUGH", 1)
    done = replay("--for", "1s", "--budget", 60, *FEW)
    assert done.exit_code == 0 and "1" <= done.stdout.splitlines()[1][0] <= "9", done.output
    kept = sorted((cache / "traces").iterdir())
    assert len(kept) == RAREST and f"kept in {cache / 'traces'}:" in done.stdout
    asked = plan(steps=(38,))
    for trace in map(read_trace, kept):
        path = path_of(trace)
        assert path is not None and reaching(asked, trace, path) is not None
        assert len(trace.ops) < 25, "it was made small"


def test_a_difference_is_kept_and_run_first_the_next_time(tmp_path: Path, cache: Path) -> None:
    copy = f"38={FAULT.write(tmp_path)}"
    done = replay(*FEW, "--model", copy)
    assert done.exit_code == 1, done.output
    assert "step 38, lane python: difference in" in done.stdout
    assert "shortest trace" in done.stdout and "2 differences found" in done.stdout
    (kept,) = (cache / "traces").iterdir()  # one trace shows both
    assert len(read_trace(kept).ops) <= 8
    assert done.stdout.count(f"replay compare {kept} 37 38") == 2
    # The same fault again: the corpus shows it before any trace is drawn.
    again = tmp_path / "again.sqlite"
    done = replay(*FEW, "--model", copy, "--state", again)
    assert done.exit_code == 1 and "lane corpus/python: difference" in done.stdout
    assert read_sums(again).end == 0
    # Without the fault it shows nothing.
    done = replay(*FEW, "--state", tmp_path / "sound.sqlite", "--traces", 5)
    assert done.exit_code == 0 and "1 trace of the corpus ran first" in done.stdout


def test_a_campaign_that_goes_on_remembers_its_corpus(tmp_path: Path, cache: Path) -> None:
    mine = tmp_path / "mine"
    assert replay("--traces", 5, *FEW, "--corpus", mine).exit_code == 0
    done = replay("--traces", 10, "--resume", "--jobs", 1, "--json")
    assert done.exit_code == 0, done.output
    assert read_sums(cache / "campaign.sqlite").folder == str(mine)
    other = tmp_path / "other"
    assert replay("--traces", 12, "--resume", "--jobs", 1, "--corpus", other).exit_code == 0
    assert read_sums(cache / "campaign.sqlite").folder == str(other)


def test_a_state_knows_its_corpus_from_the_first_moment(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign that is killed before it has written anything goes on with the same."""

    def killed(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("replay.cli.campaign.run_corpus", killed)
    replay("--traces", 5, *FEW, "--corpus", tmp_path / "mine")
    assert read_sums(cache / "campaign.sqlite").folder == str(tmp_path / "mine")


def test_all_lanes_run_where_there_is_a_compiler(tmp_path: Path) -> None:
    words = ("--steps", "37", "--traces", "12", "--jobs", "1", "--state", tmp_path / "s",
             "--corpus", tmp_path / "c")  # fmt: skip
    done = replay(*words)
    assert done.exit_code in (0, 4), done.output
    told = [line.partition(":")[0] for line in done.stdout.splitlines()[-4:-1]]
    assert told == ["python", "native", "both"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--resume",), "there is no campaign to go on with; leave out --resume"),
        (("status",), "there is no campaign; start one"),
        (("--lanes", "pyhton"), "'pyhton' is no lane; lanes are python, native, both"),
        (("--for", "soon"), "write a time as in 10s, 5m or 1h"),
        (("--model", "38=none.py", "--traces", "1", *FEW), "none.py"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_what_cannot_be_is_one_message(words: tuple[str, ...], said: str) -> None:
    done = replay(*words)
    assert (done.exit_code, done.stdout) == (2, "") and said in done.stderr
    assert done.stderr.startswith("replay: error: ")


def test_a_state_belongs_to_one_campaign(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay("--traces", 3, *FEW).exit_code == 0
    done = replay("--traces", 3, *FEW)
    assert done.exit_code == 2 and "go on with it by --resume" in done.stderr
    done = replay("--traces", 3, "--resume", "--seed", 2)
    assert done.exit_code == 2 and "this campaign has another --seed" in done.stderr
    done = replay("--traces", 3, "--resume", *FEW)
    assert done.exit_code == 0, done.output
    monkeypatch.setattr("replay.cli.campaign.made_of", lambda asked: "other")
    done = replay("--traces", 3, "--resume")
    assert done.exit_code == 2 and "have changed since this campaign began" in done.stderr
