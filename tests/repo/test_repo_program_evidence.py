"""What a verdict on programs rests on; how many runs are made; what a hang costs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from replay.base.pool import Threads
from replay.repo.program import limits
from replay.repo.program.campaign import BOTH, HUNG, ProgramCampaign
from replay.repo.program.case import Case
from replay.repo.program.evidence import Evidence, decide
from replay.repo.program.examples import SLOW, example
from replay.repo.program.inputs import parse_inputs
from replay.repo.program.limits import RunLimits
from replay.repo.program.packing import Target
from replay.repo.program.running import HANG, Outcome
from replay.repo.program.seeing import ERR, OUT
from replay.repo.program.tallies import Example, Pair, Sampling, Sighting
from replay.report.programs import evidence_text
from replay.search.verdict import Verdict

INPUTS = """\
format = "replay-inputs/1"
[[run]]
args = ["", "-v"]
stdin = ["", "{word}\\n", "{word} {n}\\n{word}"]
[rules]
word = { alphabet = "abcdef", length = [1, 8] }
n = { range = [0, 100000] }
"""
Behaves = Callable[[Case], Outcome]


def shown(out: bytes = b"", end: str = "status 0", err: bytes = b"") -> Outcome:
    return Outcome(end, tuple((name, text) for name, text in ((OUT, out), (ERR, err)) if text))


def evidence(behaves: Behaves, cases: list[Case]) -> Evidence:
    found = Evidence()
    for case in cases:
        found.add(case, behaves(case), behaves(case))
    return found


CASES = [Case(("-n", str(n)), b"x" * n) for n in range(20)]


@pytest.mark.parametrize(
    ("behaves", "said"),
    [
        (lambda case: shown(b"ready\n"), "all 20 runs show the same (status 0), whatever they are"),
        (lambda case: shown(), "nothing is seen of any run but its end (status 0)"),
        (
            lambda case: shown(err=b"usage: tool FILE\n", end="status 2"),
            "20 of 20 runs fail in the same way on both sides (status 2: usage: tool FILE)",
        ),
        (
            lambda case: shown(err=b"no " + b"y" * len(case.stdin), end="status 1"),
            "all 20 runs fail, and show error output alone (status 1: no",
        ),
        (lambda case: Outcome(HANG), "only 0 of 20 runs ended on both sides"),
    ],
)
def test_runs_that_all_show_the_same_decide_nothing(behaves: Behaves, said: str) -> None:
    verdict, reason = decide(evidence(behaves, CASES), given=False)
    assert verdict is Verdict.UNDECIDED
    assert reason.startswith(said) and "replay init --program" in reason


def test_the_report_tells_hangs_from_failures() -> None:
    text = evidence_text(evidence(hangs_on_a, [Case(stdin=text) for text in (b"a", b"b", b"aa")]))
    assert text.startswith("1 of 3 runs ended on both sides (1 with status 0); ")
    assert text.endswith("2 hang on both sides")


def test_runs_that_are_all_given_the_same_decide_nothing() -> None:
    count = iter(range(100))
    found = evidence(lambda case: shown(b"%d" % next(count)), [Case()] * 5)
    assert decide(found, given=False)[1].startswith("all 5 runs are given the same")


def test_what_is_not_the_same_twice_is_no_different_result() -> None:
    count = iter(range(1000))

    def pid(case: Case) -> Outcome:
        return shown(b"ready\npid %d\n" % next(count))

    found = evidence(pid, CASES)
    for case in CASES[:3]:
        found.repeat([pid(case), pid(case)])
    verdict, reason = decide(found, given=False)
    assert verdict is Verdict.UNDECIDED and "but for what is not the same twice" in reason
    found.repeat([shown(b"other\n"), shown(b"other\n")])
    assert decide(found, given=False) == (Verdict.SAME, "")


def test_a_run_that_somebody_chose_may_fail() -> None:
    found = evidence(lambda case: shown(err=b"no\n", end="status 1"), CASES[:1])
    assert decide(found, given=True) == (Verdict.SAME, "")


def test_the_report_says_how_runs_ended_and_what_they_were_given() -> None:
    def behaves(case: Case) -> Outcome:
        return shown(b"%d\n" % len(case.stdin), end="status 1" if case.stdin else "status 0")

    text = evidence_text(evidence(behaves, CASES))
    assert text.startswith("20 of 20 runs ended on both sides (19 with status 1, 1 with status 0)")
    assert "20 different results" in text
    assert "given were 20 lists of arguments, 20 standard inputs, no files" in text


# --- rounds, and hangs ------------------------------------------------------------------


class FakeRunner:
    """Runs functions in place of programs, by the keys of the targets."""

    def __init__(self, **behaves: Behaves) -> None:
        self.behaves = behaves
        self.ran: list[tuple[str, Case, bool]] = []
        self.limits = {key: RunLimits(5.0) for key in behaves}
        self._lock = threading.Lock()

    def limit(self, target: Target) -> RunLimits:
        return self.limits[target.key]

    def run(self, target: Target, case: Case, fill: int = 0, *, sure: bool = False) -> Outcome:
        with self._lock:
            self.ran.append((target.key, case, sure))
        return self.behaves[target.key](case)

    def hangs(self, key: str) -> int:
        return sum(self.behaves[key](case).end == HANG for who, case, _ in self.ran if who == key)


class Campaigning:
    def __init__(self, tmp_path: Path, deeper: bool, runs: int = 100, **behaves: Behaves) -> None:
        inputs = parse_inputs(INPUTS, tmp_path / "inputs.toml")
        targets = {key: Target(key, tmp_path, (key,)) for key in behaves}
        self.pair = Pair(*targets.values())
        self.runner = FakeRunner(**behaves)
        self.sampling = Sampling(inputs, 1, runs, deeper=deeper)
        self.threads = Threads(2)
        self.told: list[str] = []

    def __enter__(self) -> Campaigning:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.threads.close()

    def run(self) -> Evidence:
        campaign = ProgramCampaign(self.runner, self.threads, self.sampling, [self.pair])  # type: ignore[arg-type]
        tally = campaign.run(lambda done, total, text: self.told.append(text), None)
        self.tally = tally.pairs[0]
        return self.tally.evidence


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay.repo.program.campaign.tick", lambda: None)


def test_rounds_follow_as_long_as_output_of_a_new_kind_appears(tmp_path: Path) -> None:
    def echo(case: Case) -> Outcome:
        return shown(case.stdin)

    with Campaigning(tmp_path, True, before=echo, after=echo) as campaign:
        assert campaign.run().runs == 200  # one round more, which shows nothing new
    with Campaigning(tmp_path, False, before=echo, after=echo) as campaign:
        assert campaign.run().runs == 100
    with Campaigning(tmp_path, True, before=echo, after=lambda case: shown(b"!")) as campaign:
        assert campaign.run().runs == 100  # a pair that differs is done
    seen: dict[Case, bytes] = {}

    def new(case: Case) -> Outcome:
        signs = bytes(b"+-*:;?!<>="[int(digit)] for digit in str(len(seen)))
        return shown(seen.setdefault(case, signs))

    with Campaigning(tmp_path, True, before=new, after=new) as campaign:
        assert campaign.run().runs == 400


def hangs_on_a(case: Case) -> Outcome:
    return Outcome(HANG) if b"a" in case.stdin else shown(case.stdin)


def fine(case: Case) -> Outcome:
    return shown(case.stdin)


def test_a_side_that_hangs_alone_is_sure_after_few_hangs(tmp_path: Path) -> None:
    with Campaigning(tmp_path, True, before=fine, after=hangs_on_a) as campaign:
        found = campaign.run()
        assert campaign.tally.differing and found.runs == 50
        assert HUNG <= campaign.runner.hangs("after") < 35
        assert sum(sure for _, _, sure in campaign.runner.ran) <= 20
        assert any("hung" in text for text in campaign.told)


def test_a_hang_that_does_not_come_again_is_no_difference(tmp_path: Path) -> None:
    asked: set[Case] = set()

    def once(case: Case) -> Outcome:
        if b"a" in case.stdin and case not in asked:
            asked.add(case)
            return Outcome(HANG)
        return shown(case.stdin)

    with Campaigning(tmp_path, False, before=fine, after=once) as campaign:
        campaign.run()
        assert campaign.tally.differing == {}


def test_where_both_hang_the_rest_is_compared_and_it_ends(tmp_path: Path) -> None:
    with Campaigning(tmp_path, True, runs=400, before=hangs_on_a, after=hangs_on_a) as campaign:
        found = campaign.run()
        assert not campaign.tally.differing and decide(found, given=False)[0] is Verdict.SAME
        assert BOTH <= found.ends[HANG] < BOTH + 50 and found.runs < 400


def test_an_input_that_hangs_is_made_short_with_few_hangs(tmp_path: Path) -> None:
    with Campaigning(tmp_path, False, before=fine, after=hangs_on_a) as campaign:
        campaign.run()
        campaign.runner.ran.clear()
        numbers, asked = tuple(campaign.tally.differing)[:1], list[int]()
        found = example(
            campaign.runner, campaign.sampling, campaign.pair, Sighting(0, numbers), 1500,  # type: ignore[arg-type]
            lambda: asked.append(1),
        )  # fmt: skip
        assert isinstance(found, Example) and found.complete
        assert found.case == Case((), b"a") and found.divergence.verdict is Verdict.HANG
        assert campaign.runner.hangs("after") <= SLOW
        assert asked
        # Once with the longer limit: the one that is shown.
        sure = [case for key, case, sure in campaign.runner.ran if sure and key == "after"]
        assert sure == [found.case]


def test_a_limit_follows_what_runs_take_and_is_short_once_a_hang_is_sure() -> None:
    own = RunLimits(5.0)
    assert own.long.processor == 5.0  # nothing is known yet
    for _ in range(8):
        own.ended(0.004, 0.005, False)
    assert own.now.processor == limits.LEAST and own.now.waiting == limits.PATIENCE
    assert own.again("case") and not own.again("case")
    own.hung(confirmed=True)
    assert own.now.processor == limits.SHORT and own.now.waiting == limits.BRIEF
    assert own.long.processor > own.now.processor
    assert not own.again("another")
    own.ended(0.04, 1.04, True)  # it waits for a second, and ends
    assert own.now.processor == pytest.approx(0.08) and own.now.waiting == pytest.approx(4)
    own.doubted()
    assert own.now.processor == limits.LEAST


def test_after_very_many_hangs_a_program_is_run_no_further(tmp_path: Path) -> None:
    with Campaigning(tmp_path, False, before=fine, after=fine) as campaign:
        campaign.runner.limits["after"].hangs = limits.MOST_HANGS
        found = campaign.run()
        assert found.runs == 0 and found.lost == 100
        assert decide(found, given=False) == (Verdict.UNDECIDED, "no run could be compared")
