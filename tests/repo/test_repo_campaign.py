"""Campaigns on commits: what verify finds and more, whoever runs it and however often killed."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dirty.campaign.nodes import Nodes
from dirty.campaign.processes import children, end, gone, start, wait
from userrepo import MAKE, Done, UserRepo, cli

from replay.campaign.state import State, read_sums
from replay.campaign.sums import Task
from replay.errors import UsageError
from replay.repo.bindingfile import parse_binding
from replay.repo.campaign import CallCampaign
from replay.repo.campaigning import lasting, work
from replay.repo.campaigning.sums import LEAST, MOST, PairSums, round_of
from replay.repo.campaigning.work import Pairs, PairsBatch
from replay.repo.drafting import draft
from replay.repo.language import CallLanguage
from replay.repo.mining import mine
from replay.repo.opening import FIRST
from replay.repo.resolving import resolve
from replay.repo.shapes import read_shape
from replay.repo.tallies import PairTally

SOURCE = """static volatile unsigned wanted = %du;
static unsigned mix(unsigned n) {
    n ^= n >> 15; n *= 0x2c1b3c6du; n ^= n >> 12; n *= 0x297a2d39u; return n ^ n >> 15;
}
unsigned f(unsigned n) { %s return mix(n) %% 20000 == wanted ? %s : mix(n); }
"""
ONE = SOURCE % (4711, "", "0")
SLOW = SOURCE % (4711, "volatile unsigned k = n; n = k;", "0")
"""Other code that does the same."""
LATE = 480
"""The first trace that shows a difference has a number from here on."""


def mix(n: int) -> int:
    """As the libraries have it."""
    word = 0xFFFFFFFF
    n ^= n >> 15
    n = n * 0x2C1B3C6D & word
    n ^= n >> 12
    n = n * 0x297A2D39 & word
    return n ^ n >> 15


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> int:
    """What f is to look for, that no trace shows before number LATE, and one does soon after."""
    folder = tmp_path_factory.mktemp("late")
    (folder / "x.c").write_text(ONE)
    library = folder / "libx.so"
    subprocess.run(MAKE.split(), cwd=folder, check=True)
    shape = read_shape(library)
    drawn = resolve(parse_binding(draft(shape, "x"), "here"), [shape], lambda *_: False)
    language = CallLanguage(replace(drawn, mined=mine([library])))
    early, later = (
        {mix(int(call.values[0])) % 20000 for n in numbers for call in language.draw(1, n)}
        for numbers in (range(LATE), range(LATE, LATE + 8))
    )
    return min(later - early)


def read(path: Path) -> PairSums:
    found = read_sums(path, (PairSums,))
    assert isinstance(found, PairSums)
    return found


def repository(path: Path, *sources: str) -> UserRepo:
    repo = UserRepo(path)
    for number, source in enumerate(sources):
        repo.commit(f"commit {number}", x_c=source)
    return repo


def words(repo: UserRepo, *more: object) -> list[object]:
    return [
        "verify", "--repo", repo.path, "--build", MAKE, "--range",
        f"{repo.git('rev-list', '--max-parents=0', 'main')}..main",
        "--library", "libx.so", "--save", repo.path.parent / "saved", *more,
    ]  # fmt: skip


def verify(repo: UserRepo, *more: object) -> Done:
    return cli(*words(repo, *more))


def told(done: Done) -> dict[str, Any]:
    assert not done.stderr and done.stdout, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """A report but for what differs between two runs of one campaign."""
    whole = json.loads(json.dumps(found))
    del whole["campaign"]["state"], whole["campaign"]["seconds"]
    whole["notes"] = [note for note in whole["notes"] if "cache of builds" not in note]
    for row in whole["commits"]:
        del row["cached"]
    return whole


def calls(maps: Path, cache: Path) -> bool:
    """Whether a process has a library of this test loaded."""
    try:
        return f"{cache}/repo/" in maps.read_text()
    except OSError:
        return False


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    """Commits that do the same; the last one but one has the code of the one before."""
    path = tmp_path_factory.mktemp("equal") / "repo"
    return repository(path, ONE, SLOW, SLOW + "/* a remark */\n", ONE)


TRACES = 500
LONG = ("--traces", TRACES, "--ops", 10, "--json")


@pytest.fixture
def whole(equal: UserRepo, tmp_path: Path, once: dict[str, Any]) -> dict[str, Any]:
    """What a campaign comes to that one process runs and nothing breaks."""
    if not once:
        done = verify(equal, *LONG, "--jobs", 1, "--fresh", "--state", tmp_path / "whole")
        once.update(plain(told(done)))
    return once


@pytest.fixture(scope="module")
def once() -> dict[str, Any]:
    return {}


# --- what it finds ------------------------------------------------------------------------


def test_a_campaign_finds_what_verify_is_too_short_for(late: int, tmp_path: Path) -> None:
    texts = [SOURCE % (late, "", one) for one in ("0", "0 * n", "1")]
    repo = repository(tmp_path / "repo", *texts)
    alone = told(verify(repo, "--json"))
    assert [row["verdict"] for row in alone["commits"]] == ["base", "same", "same"]
    assert alone["commits"][2]["traces"] <= LATE
    found = told(verify(repo, "--json", "--state", tmp_path / "state"))
    rows = found["commits"]
    assert [row["verdict"] for row in rows] == ["base", "same", "undeclared difference"]
    assert found["guilty"] == rows[2]["commit"]
    (call,) = rows[2]["example"]["text"]
    assert call.startswith("f(n=") and rows[2]["example"]["shortest"]
    assert LATE < found["campaign"]["traces"] == found["traces"] == rows[2]["traces"] <= 800
    again = cli(*shlex.split(rows[2]["example"]["command"])[1:])
    assert again.returncode == 1 and "undeclared difference" in again.stdout


def test_its_first_traces_are_those_of_verify(equal: UserRepo, tmp_path: Path) -> None:
    few = ("--traces", 30, "--json", "--fresh")
    alone = told(verify(equal, *few))
    found = told(verify(equal, *few, "--state", tmp_path / "state"))
    assert found.pop("campaign")["traces"] == 30
    for one in (found, alone):
        one.pop("notes")
        for row in one["commits"]:
            row.pop("cached")
    assert found == alone


def test_commits_of_equal_code_are_told_and_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = repository(tmp_path / "repo", ONE, ONE + "/* a remark */\n")
    monkeypatch.setattr(CallCampaign, "look", None)
    state = tmp_path / "state"
    done = verify(repo, "--state", state, "--for", "1h")
    assert done.returncode == 0 and "identical code: no trace is needed" in done.stdout
    assert "1 of 1 commit as claimed" in done.stdout
    status = cli("campaign", "status", "--state", state).stdout
    assert "identical code" in status


def test_a_late_crash_is_found_beside_what_hangs_on_both_sides(late: int, tmp_path: Path) -> None:
    hang = "if (n == 7) for (;;);"
    crash = f"{hang} if (mix(n) % 20000 == wanted) __builtin_trap();"
    repo = repository(tmp_path / "repo", *(SOURCE % (late, one, "0") for one in (hang, crash)))
    found = told(verify(repo, "--json", "--state", tmp_path / "state", "--budget", 200))
    row = found["commits"][1]
    assert row["verdict"] == "crash" and len(row["example"]["text"]) == 1
    assert row["traces"] > LATE and row["evidence"]["functions"]["f"]["left_out"] > 0


EXPECT = """format = "replay-expect/1"

[[expect]]
subject = "commit 1"
functions = ["f"]
fields = ["ret"]
kind = "new result"
reason = "as meant"
rule = "rules.py:more"
"""
RULE = """def more(op, values, before, after):
    return after["ret"] == before["ret"] + 1
"""


def test_what_is_declared_passes_in_all_processes(tmp_path: Path) -> None:
    text = "long f(int n) { return (long)n %s; }\n"
    repo = repository(tmp_path / "repo", text % "+ 1", text % "+ 2")
    expect = tmp_path / "expect.toml"
    expect.write_text(EXPECT)
    (tmp_path / "rules.py").write_text(RULE)
    more = ("--json", "--expect", expect, "--traces", 220, "--ops", 2)
    found = told(verify(repo, *more, "--jobs", 2, "--state", tmp_path / "state"))
    row = found["commits"][1]
    assert (row["verdict"], row["traces"]) == ("deviates as declared", 220)


# --- whoever runs it, however often it is stopped -------------------------------------------


def test_two_processes_come_to_what_one_does(
    equal: UserRepo, whole: dict[str, Any], tmp_path: Path
) -> None:
    two = told(verify(equal, *LONG, "--jobs", 2, "--state", tmp_path / "two"))
    assert plain(two) == whole
    assert two["campaign"]["traces"] == TRACES
    assert [row["traces"] for row in two["commits"]][1:] == [
        TRACES + FIRST // 4, 0, TRACES + FIRST // 4,  # and those drawn from what is compared
    ]  # fmt: skip


def test_a_campaign_that_is_killed_goes_on_to_the_same_report(
    equal: UserRepo, whole: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    state = tmp_path / "state"
    process = start(*words(equal, *LONG, "--jobs", 2, "--state", state), cache=cache)
    try:
        wait(state, FIRST, process, PairSums)
        status = json.loads(cli("campaign", "status", "--state", state, "--json").stdout)
        assert status["traces"] >= FIRST and [row["said"] for row in status["commits"]][2] == (
            "identical code"
        )
        workers = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        assert workers and gone(workers), "the workers of a killed campaign end"
    finally:
        end(process)
    for path in (tmp_path / "scratch").glob("replay-*"):
        subprocess.run(["rm", "-r", path], check=True)  # as any kill leaves it
    assert read(state).end < TRACES
    done = cli("campaign", "--resume", "--state", state, "--traces", TRACES, "--json")
    assert plain(told(done)) == whole


def test_a_binding_is_part_of_what_is_kept(equal: UserRepo, tmp_path: Path) -> None:
    binding, state = tmp_path / "binding.toml", tmp_path / "state"
    binding.write_text(
        'format = "replay-binding/1"\n[[op]]\nfunction = "f"\n[op.args]\nn = { range = [0, 100] }\n'
    )
    done = verify(equal, "--binding", binding, "--traces", 20, "--jobs", 1, "--state", state)
    assert (done.returncode, done.stderr) == (0, ""), done
    again = cli("campaign", "--resume", "--state", state, "--traces", 30, "--jobs", 1)
    assert again.returncode == 0, again


def test_termination_keeps_the_state(equal: UserRepo, tmp_path: Path, cache: Path) -> None:
    state = tmp_path / "state"
    process = start(*words(equal, "--for", "1h", "--jobs", 1, "--state", state), cache=cache)
    try:
        wait(state, FIRST, process, PairSums)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert not [maps for maps in Path("/proc").glob("[0-9]*/maps") if calls(maps, cache)]
    finally:
        end(process)
    assert (process.returncode, out) == (130, "")
    assert err == (
        f"replay: stopped; {read(state).end} traces are in {state}: go on with replay campaign "
        f"--resume --state {state}\n"
    )


def test_a_full_disk_is_a_clear_error_and_loses_nothing(
    equal: UserRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    begin = State.begin

    def full(self: State[Any]) -> None:
        begin(self)
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._db.execute(f"PRAGMA max_page_count = {pages}")

    with monkeypatch.context() as patch:
        patch.setattr(State, "begin", full)
        done = verify(equal, "--traces", 20, "--state", state)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{state}: the state cannot be written: database or disk is full" in done.stderr
    assert "go on with --resume" in done.stderr
    assert read(state).end == 0
    found = told(cli("campaign", "--resume", "--state", state, "--traces", 20, "--json"))
    assert found["campaign"]["traces"] == 20


# --- what it refuses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--resume",), "--resume goes with --state FILE"),
        (("--cluster", "tcp://x:1"), "--cluster goes with --state FILE"),
        (("--state", "s", "--bisect"), "leave out --bisect"),
        (("--state", "s", "--cluster", "no://x"), "no scheduler answers at 'no://x'"),
        (("--state", "s", "--resume"), "there is no campaign to go on with"),
    ],
)
def test_what_does_not_go_together_is_one_message(
    equal: UserRepo, more: tuple[str, ...], said: str
) -> None:
    done = verify(equal, *more)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_a_state_belongs_to_one_campaign(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", ONE, SLOW)
    state = tmp_path / "state"
    few = ("--traces", 2, "--state", state)
    assert verify(repo, *few).returncode == 0
    assert "go on with it by --resume" in verify(repo, *few).stderr
    assert verify(repo, *few, "--resume").returncode == 0
    assert "has another --seed" in verify(repo, *few, "--resume", "--seed", 2).stderr
    resume = ("campaign", "--resume", "--state", state, "--traces", 2)
    assert "--lanes goes with the steps" in cli(*resume, "--lanes", "python").stderr
    assert "has another --ops" in cli(*resume, "--ops", 7).stderr
    repo.commit("one more", x_c=ONE)
    done = cli(*resume)
    assert done.returncode == 2 and "have changed since this campaign began" in done.stderr


def test_a_state_of_the_steps_is_told_from_one_of_commits(equal: UserRepo, tmp_path: Path) -> None:
    state = tmp_path / "state"
    steps = ("--steps", "38", "--ops", 5, "--lanes", "python", "--jobs", 1)
    assert cli("campaign", "--traces", 1, *steps, "--state", state).returncode == 0
    done = verify(equal, "--traces", 1, "--state", state, "--resume")
    assert done.returncode == 2 and "this is a campaign on the steps" in done.stderr


# --- its parts --------------------------------------------------------------------------------


def test_rounds_double_and_are_cut_into_whole_ranges() -> None:
    for pairs in (1, 3, 40, 1000):
        sums = PairSums({}, "", open=(True,) * pairs)
        at, sizes = 0, []
        while at < 400 * FIRST:
            end = sums.cut(at)
            start, stop = round_of(at)
            assert start <= at < end <= stop and sums.cut(end - 1) == end
            sizes.append(end - at)
            at = end
        assert max(sizes) <= max(MOST // pairs, LEAST, 1)
    assert [round_of(n) for n in (0, 199, 200, 400, 799)] == [
        (0, 200), (0, 200), (200, 400), (400, 800), (400, 800),
    ]  # fmt: skip


def test_a_pair_that_differs_is_run_no_further_than_the_round_after_the_next() -> None:
    tallies = [PairTally(), PairTally()]
    sums = PairSums({}, "", open=(True, True))
    sums.begin(lasting.Learned(), tallies, FIRST)
    assert sums.lead(FIRST) == (0, 1)
    assert sums.lead(2 * FIRST) == (0, 1)
    assert sums.lead(4 * FIRST) is None, "it is not known yet"
    differs = PairTally(differing={250: (True, 0)})
    sums.merge(PairsBatch(range(FIRST, 2 * FIRST), 0, {0: differs, 1: PairTally()}))
    assert sums.differences() == 1
    assert sums.lead(2 * FIRST) == (0, 1), "whenever it is asked"
    assert sums.lead(4 * FIRST) == (1,)


def test_libraries_go_along_to_another_machine(
    equal: UserRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Pairs] = []
    make = Pairs.of
    monkeypatch.setattr(Pairs, "of", lambda *given: kept.append(make(*given)) or kept[-1])
    assert verify(equal, "--traces", 2, "--state", tmp_path / "state").returncode == 0
    (here,) = kept
    task = Task(range(200, 210), (0, 1))
    packed = here.packed()
    # There the folders of this machine are not: the paths lead nowhere.
    elsewhere = {side.library: tmp_path / "gone" / f"{side.checksum}.so"
                 for pair in here.pairs for side in (pair.before, pair.after)}  # fmt: skip
    moved = replace(
        packed,
        files={elsewhere[path]: file for path, file in packed.files.items()},
        pairs=tuple(
            replace(
                pair, before=replace(pair.before, library=elsewhere[pair.before.library]),
                after=replace(pair.after, library=elsewhere[pair.after.library]),
            )
            for pair in packed.pairs
        ),
    )  # fmt: skip
    assert moved.run(task) == here.run(task)
    lost = {path: replace(file, needs=("liby.so",)) for path, file in moved.files.items()}
    monkeypatch.setattr(work, "FOLDER", "other")
    with pytest.raises(UsageError, match=r"needs liby\.so from a folder that this worker"):
        replace(moved, files=lost).run(task)
    with pytest.raises(UsageError, match="another version of replay"):
        replace(here, version="other").run(task)


def test_a_cluster_that_loses_a_worker_comes_to_the_same(
    equal: UserRepo, whole: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    state = tmp_path / "state"
    with contextlib.ExitStack() as stack:
        nodes = Nodes(stack, tmp_path)
        process = start(
            *words(equal, *LONG, "--state", state, "--cluster", nodes.address), cache=cache
        )  # fmt: skip
        try:
            wait(state, FIRST, process, PairSums)
            os.kill(nodes.workers[0].pid, signal.SIGKILL)
            out, err = process.communicate(timeout=100)
        finally:
            end(process)
        assert nodes.workers[1].poll() is None, "the cluster is left as it is"
    assert plain(told(Done(process.returncode, out, err))) == whole
