"""Verdicts remembered: what is found again, and what is not."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxcases import BOXES, interface, op
from userrepo import MAKE, UserRepo

from replay.repo import remembered, verify
from replay.repo.bound import Bound
from replay.repo.calls import Call, CallTrace
from replay.repo.evidence import Evidence, Stop
from replay.repo.judging import Judged
from replay.repo.keys import DECIDING, Question, pair_key, sources_digest
from replay.repo.lines import Line
from replay.repo.mining import Constants, Mined
from replay.repo.pairing import Pair
from replay.repo.reach import Reach
from replay.repo.remembered import Calls, Known, Memory, total
from replay.repo.results import Counterexample, Divergence, PairResult
from replay.repo.runner import Run
from replay.repo.targets import Target
from replay.search.verdict import Verdict

# --- the key ------------------------------------------------------------------------------

ASKED = Question(BOXES, 1, "200 traces", 40, 1500, 1.0)
BOUND = Bound(({"name": "open"}, {"name": "put"}), (), (), (), ())
TREES = ("a" * 40, "b" * 40)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "own"))
    sides = []
    for name in ("before", "after"):
        path = tmp_path / f"{name}.so"
        path.write_bytes(b"\x7fELF" + name.encode() + b"\0BOX_DEBUG\0")
        sides.append(Target(BOUND, path, hashlib.sha256(path.read_bytes()).hexdigest()))
    return Pair(*sides, frozenset(("open", "put")))


def named(question: Question, pair: Pair, trees: tuple[str, ...] = TREES) -> str | None:
    return pair_key(question.digest(), pair, trees)


MINED = replace(BOXES, mined=Mined(Constants((7,)), Constants((7,))))
NARROW = interface(*BOXES.ops.values(), op("more"))


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, seed=2), replace(ASKED, effort="201 traces"), replace(ASKED, ops=41),
        replace(ASKED, budget=0), replace(ASKED, limit=1.5), replace(ASKED, interface=MINED),
        replace(ASKED, interface=NARROW),
    ],
)  # fmt: skip
def test_another_question_has_another_key(other: Question, pair: Pair) -> None:
    assert named(other, pair) != named(ASKED, pair)


def test_where_something_stands_in_the_binding_makes_no_difference(pair: Pair) -> None:
    moved = {
        name: replace(one, draft=replace(one.draft, line=9, key=f"op[{name}]"))
        for name, one in BOXES.ops.items()
    }
    there = replace(BOXES, ops=moved, binding=replace(BOXES.binding, path=Path("/x.toml")))
    assert named(replace(ASKED, interface=there), pair) == named(ASKED, pair)


OTHERS: dict[str, Callable[[Pair], Pair]] = {
    "names": lambda p: replace(p, names=frozenset(("open",))),
    "swapped": lambda p: Pair(p.after, p.before, p.names),
    "bound": lambda p: replace(p, after=replace(p.after, bound=replace(BOUND, errno=True))),
    "missing": lambda p: replace(p, after=replace(p.after, bound=replace(BOUND, missing=("x",)))),
    "preload": lambda p: replace(p, after=replace(p.after, preload="libasan.so.8")),
    "checksum": lambda p: replace(p, before=replace(p.before, checksum="00")),
}


@pytest.mark.parametrize("change", OTHERS)
def test_another_pair_has_another_key(change: str, pair: Pair) -> None:
    assert named(ASKED, OTHERS[change](pair)) not in (named(ASKED, pair), None)


def test_other_bytes_of_a_library_and_other_trees_are_another_key(pair: Pair) -> None:
    before = named(ASKED, pair)
    assert named(ASKED, pair, ()) != before != named(ASKED, pair, ("a" * 40, "c" * 40))
    with pair.after.library.open("ab") as file:
        file.write(b"more")
    assert named(ASKED, pair) != before


def test_the_place_of_a_library_is_not_in_its_key(pair: Pair, tmp_path: Path) -> None:
    moved = Path(shutil.copy(pair.after.library, tmp_path / "elsewhere.so"))
    there = replace(pair, after=replace(pair.after, library=moved))
    assert named(ASKED, there) == named(ASKED, pair)


@pytest.mark.parametrize(
    ("name", "counts"),
    [("BOX_DEBUG", True), ("LC_ALL", True), ("LD_LIBRARY_PATH", True), ("BOX_OTHER", False)],
)
def test_a_variable_counts_that_something_may_ask_for(
    name: str, counts: bool, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = named(ASKED, pair)
    monkeypatch.setenv(name, "/nowhere")
    assert (named(ASKED, pair) != before) is counts


def test_a_library_that_is_needed_and_stands_elsewhere_counts(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dep.c").write_text("int dep(void) { return 1; }\n")
    (tmp_path / "x.c").write_text("int dep(void); int x(void) { return dep(); }\n")
    for words in (["-o", "libdep.so", "dep.c"], ["-o", "x.so", "x.c", "-L.", "-ldep"]):
        more = ["-Wl,-rpath,$ORIGIN"] if "x.c" in words else []
        subprocess.run(["cc", "-shared", "-fPIC", *words, *more], cwd=tmp_path, check=True)
    there = replace(pair, after=replace(pair.after, library=tmp_path / "x.so"))
    before = named(ASKED, there)
    assert before == named(ASKED, there)
    with (tmp_path / "libdep.so").open("ab") as file:
        file.write(b"another")
    assert named(ASKED, there) != before


def test_a_model_and_a_library_that_is_gone_have_no_key(pair: Pair) -> None:
    assert named(ASKED, replace(pair, before=replace(pair.before, model="Ring"))) is None
    pair.after.library.unlink()
    assert named(ASKED, pair) is None


@pytest.mark.parametrize("room", DECIDING)
def test_another_version_of_what_decides_is_another_key(room: str, tmp_path: Path) -> None:
    for name in (*DECIDING, "cli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.py").write_text("x = 1\n")
    before = sources_digest(tmp_path)
    (tmp_path / "cli" / "one.py").write_text("x = 2\n")
    assert sources_digest(tmp_path) == before
    (tmp_path / room / "inner").mkdir()
    (tmp_path / room / "inner" / "two.c").write_text("int x;\n")
    assert sources_digest(tmp_path) != before


# --- what is remembered -------------------------------------------------------------------

TRACE: CallTrace = (Call("open", (), 1), Call("put", (1, 3, "a\xff", "nan")))
DIVERGED = Divergence(Verdict.UNDECLARED, 1, (("returns", 1, [1, {"x": None}]),))
SHOWN = Counterexample("", TRACE, Run((b'{"ret":1}',)), Run((b"\xff\0",)), DIVERGED)
SAME = PairResult(3, 0, Verdict.SAME, reach=Reach({Line("x.c", 4): 0}))
DIFFERS = PairResult(3, 1, Verdict.UNDECLARED, SHOWN)
FOUND = Known(DIFFERS, Calls(Counter(open=3), Counter(put=1)), frozenset(("id1",)))


def put(memory: Memory, pair: Pair, found: Known = FOUND) -> None:
    memory.remember(pair, TREES, found, noisy=False)


def test_what_was_remembered_is_known_to_the_next_run_alone(pair: Pair) -> None:
    memory = Memory.of(ASKED)
    assert memory.known(pair, TREES) is None
    put(memory, pair)
    assert Memory.of(ASKED).known(pair, TREES) == FOUND
    assert Memory.of(replace(ASKED, seed=2)).known(pair, TREES) is None
    assert Memory.of(ASKED).known(pair, ("c", "d")) is None
    assert Memory.of(ASKED, fresh=True).known(pair, TREES) is None


def test_a_fresh_run_is_remembered(pair: Pair) -> None:
    put(Memory.of(ASKED), pair)
    put(Memory.of(ASKED, fresh=True), pair, replace(FOUND, result=SAME))
    known = Memory.of(ASKED).known(pair, TREES)
    assert known is not None and known.result == SAME


def test_with_a_trace_that_is_given_nothing_is_remembered(pair: Pair, tmp_path: Path) -> None:
    memory = Memory.of(ASKED, given=True)
    put(memory, pair)
    assert memory.known(pair, TREES) is None and not (tmp_path / "own").exists()


def test_a_verdict_counts_only_if_all_kept_traces_were_run(pair: Pair) -> None:
    memory = Memory.of(ASKED)
    put(memory, pair)
    assert memory.known(pair, TREES, ["id1"]) == FOUND
    assert memory.known(pair, TREES, ["id1", "id2"]) is None


NOT_STEADY = {
    "crash": replace(DIFFERS, verdict=Verdict.CRASH),
    "hang": replace(DIFFERS, verdict=Verdict.HANG),
    "not repeatable": PairResult(3, 1, Verdict.SAME, "a trace that differed does not"),
    "noise": replace(SAME, notes=("what f returns is not the same twice",)),
    "left out": replace(SAME, evidence=Evidence(left_out=Counter(f=1))),
    "hangs alike": replace(SAME, evidence=Evidence(stops=Counter({Stop("f", "hang"): 1}))),
    "no helper": replace(SAME, reach=Reach(unknown="without a C compiler")),
}


@pytest.mark.parametrize("kind", NOT_STEADY)
def test_what_may_be_chance_is_not_remembered(kind: str, pair: Pair) -> None:
    memory = Memory.of(ASKED)
    put(memory, pair, Known(NOT_STEADY[kind]))
    assert memory.known(pair, TREES) is None


def test_noise_and_an_example_that_was_not_shortened_are_not_remembered(pair: Pair) -> None:
    memory = Memory.of(ASKED)
    memory.remember(pair, TREES, FOUND, noisy=True)
    memory.remember(pair, TREES, FOUND, noisy=False, shortened=False)
    assert memory.known(pair, TREES) is None
    memory.remember(pair, TREES, Known(SAME), noisy=False, shortened=False)
    assert memory.known(pair, TREES) == Known(SAME)


def entry(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "own").rglob("*.json")
    return found


def forged(data: bytes, body: bytes) -> bytes:
    """An entry with another body, and the digest of that."""
    head = json.loads(data.partition(b"\n")[0])
    return json.dumps({**head, "sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-1],
    "head alone": lambda data: data.partition(b"\n")[0],
    "a bit": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "a digit": lambda data: data.replace(b'"traces":3', b'"traces":4'),
    "a list": lambda data: b"[]\n" + data.partition(b"\n")[2],
    "no text": lambda data: b"\xff\xfe" + data,
    "another form": lambda data: data.replace(b"replay-judged/", b"replay-judged/9"),
    "nested": lambda data: forged(data, b"[" * 100_000),
    "no value": lambda data: forged(data, b"{}"),
    "type": lambda data: forged(
        data, data.partition(b"\n")[2].replace(b'"traces":3', b'"traces":""')
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_entry_is_none_and_is_made_anew(kind: str, pair: Pair, tmp_path: Path) -> None:
    memory = Memory.of(ASKED)
    put(memory, pair)
    path = entry(tmp_path)
    damaged = DAMAGE[kind](path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    assert memory.known(pair, TREES) is None
    put(memory, pair)
    assert memory.known(pair, TREES) == FOUND and not memory.problem


def test_the_entry_of_another_pair_is_none(pair: Pair, tmp_path: Path) -> None:
    memory = Memory.of(ASKED)
    put(memory, pair)
    path = entry(tmp_path)
    data = path.read_bytes()
    path.unlink()
    other = OTHERS["swapped"](pair)
    put(memory, other)
    entry(tmp_path).write_bytes(data)
    assert memory.known(other, TREES) is None


def test_where_nothing_can_be_written_nothing_is_remembered(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").write_text("a file where the folder should be")
    memory = Memory.of(ASKED)
    put(memory, pair)
    assert memory.known(pair, TREES) is None
    assert "are not remembered" in memory.problem and "REPLAY_CACHE" in memory.problem
    full = Memory.of(ASKED)
    (tmp_path / "own").unlink()

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(remembered, "replace_file", no_room)
    put(full, pair)
    assert "No space left" in full.problem


def test_two_runs_at_once_see_whole_entries_alone(pair: Pair) -> None:
    memory, other = Memory.of(ASKED), Memory.of(ASKED)
    put(memory, pair)

    def both(number: int) -> Known | None:
        put(memory if number % 2 else other, pair, replace(FOUND, ran=frozenset((str(number),))))
        return other.known(pair, TREES)

    with ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(both, range(40)))
    assert all(one is not None and one.result == DIFFERS for one in seen)


def test_traces_that_several_pairs_have_count_once() -> None:
    names, few = frozenset("ab"), frozenset("a")
    drawn, longer = Counter(a=2, b=1), Counter(a=4, b=2)
    rows = [
        (names, Calls(drawn, Counter(a=1))), (names, Calls(longer)), (few, Calls(Counter(a=9))),
    ]  # fmt: skip
    assert total(rows) == Counter(a=4 + 1 + 9, b=2)


# --- what verify finds ----------------------------------------------------------------------

SUM = "int sum(int a, int b) {{ return a + b{more}; }}\nint twice(int a) {{ return 2 * a; }}\n"


def test_what_verify_finds_is_remembered_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = UserRepo(tmp_path / "repo")
    first = repo.commit("one", x_c=SUM.format(more=""))
    repo.commit("other", x_c=SUM.format(more=" + (a > 0)"))
    judge, seen = verify.judge, []

    def watched(*given: Any) -> Judged:
        seen.append((given, judge(*given)))
        return seen[0][1]

    monkeypatch.setattr(verify, "judge", watched)
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "own"))
    request = verify.Request(
        repo.path, f"{first}..main", MAKE, "libx.so", traces=9, budget=40, jobs=2
    )
    start = time.monotonic()
    verify.verify(request)
    took = time.monotonic() - start
    ((_, sampling, *_), judged) = seen[0]
    question = Question(sampling.interface, 1, "9", 40, request.budget, request.call_limit)
    memory = Memory.of(question)
    pairs = {place: one.pair for place, one in enumerate(judged.standings) if one.pair}
    verdicts = [judged.neighbours[place].verdict for place in pairs]
    assert verdicts == [Verdict.UNDECLARED]
    for place, pair in pairs.items():
        memory.remember(pair, TREES, Known(judged.neighbours[place]), noisy=False)
    start = time.monotonic()
    again = {place: Memory.of(question).known(pair, TREES) for place, pair in pairs.items()}
    assert time.monotonic() - start < took / 2
    assert again == {place: Known(judged.neighbours[place]) for place in pairs}
