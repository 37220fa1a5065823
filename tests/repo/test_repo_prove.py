"""What ``verify --prove`` proves, and what it must not."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import provecases
import pytest
from faults import ASK_ALL
from provecases import HARD, SHARED, source
from userrepo import MAKE, Done, UserRepo, cli

from replay.base.pool import default_jobs
from replay.build.command import Commands
from replay.repo.opening import Request, opened, workspace
from replay.repo.pairing import Pair, neighbours
from replay.repo.prove.engines import MISSING, Engine, _believed, doubt, find_engine
from replay.repo.prove.proof import FunctionProof, Proof, Rung
from replay.repo.prove.proving import Prover
from replay.repo.prove.recompiling import Recompiled
from replay.repo.resolving import resolve
from replay.repo.shapes import LibraryShape
from replay.repo.targets import bound_to, drafted, prepare

PLAIN = MAKE.replace("-O1", "-O0")


def sampled(cases: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Half of those that are easy, unless all are asked: each takes a second and more."""
    easy = [name for name in cases if name not in HARD]
    left_out = set() if ASK_ALL else set(easy[1::2])
    return {name: pair for name, pair in cases.items() if name not in left_out}


EQUAL, UNEQUAL = sampled(provecases.EQUAL), sampled(provecases.UNEQUAL)


class Prepared(NamedTuple):
    """Two commits, ready to be proved: as traces would find them."""

    prover: Prover
    pair: Pair
    trees: tuple[str, str]
    shapes: tuple[LibraryShape, LibraryShape]

    def prove(self) -> Proof:
        return self.prover.prove(self.pair, self.trees, self.shapes, lambda trace: False)


@contextmanager
def two(place: Path, before: str, after: str, make: str = PLAIN) -> Iterator[Prepared]:
    """Two versions of x.c, committed and built."""
    repo = UserRepo(place)
    repo.commit("before", x_c=before)
    repo.commit("after", x_c=after)
    request = Request(repo.path, "HEAD^..HEAD", make, "libx.so", jobs=default_jobs())
    with workspace() as folder:
        history = opened(request, None, folder)
        trees = [commit.tree for commit in history.commits]
        built = prepare(history.builder, trees, request.jobs, lambda done, total, text: None)
        assert all(one.shape is not None for one in built), [one.obstacle for one in built]
        binding = drafted(built)
        interface = resolve(binding, [one.shape for one in built], history.holds)
        bound = [bound_to(interface, one, history.at(at)) for at, one in enumerate(built)]
        pair = neighbours(bound, frozenset())[1].pair
        shapes = [one.shape for one in built if one.shape is not None]
        assert pair is not None
        prover = Prover(history.builder, interface, request.jobs)
        yield Prepared(prover, pair, (trees[0], trees[1]), (shapes[0], shapes[1]))


def functions(
    place: Path, cases: dict[str, tuple[str, str]], keep: Callable[[str], bool]
) -> dict[str, FunctionProof]:
    """The proof, or the lack of one, of each case that is kept."""
    kept = {name: pair for name, pair in cases.items() if keep(name)}
    with two(place, source(kept, 0), source(kept, 1)) as pair:
        proof = pair.prove()
    assert not proof.why and proof.whole is None
    return {one.function: one for one in proof.functions if one.function in kept}


@pytest.mark.parametrize("hard", [False, True], ids=["easy", "hard"])
def test_no_pair_that_differs_gets_a_proof(tmp_path: Path, hard: bool) -> None:
    found = functions(tmp_path / "r", UNEQUAL, lambda name: (name in HARD) == hard)
    wanted = {name for name in UNEQUAL if (name in HARD) == hard}
    assert found.keys() == wanted
    assert {name: one.text for name, one in found.items() if one.is_proved} == {}


def test_most_pairs_that_do_the_same_get_one(tmp_path: Path) -> None:
    found = functions(tmp_path / "a", EQUAL, lambda name: name not in HARD)
    found |= functions(tmp_path / "b", EQUAL, lambda name: name in HARD)
    rungs = Counter(one.proved.rung for one in found.values() if one.proved is not None)
    assert found.keys() == EQUAL.keys()
    assert rungs.total() >= 0.6 * len(EQUAL)
    assert rungs.keys() == {*Rung}


# --- what stands in the way of a proof --------------------------------------------------


def one(place: Path, before: str, after: str, make: str = PLAIN) -> FunctionProof:
    """What is said of the one function that changed."""
    with two(place, SHARED + before, SHARED + after, make) as pair:
        proof = pair.prove()
    assert not proof.why, proof.why
    if proof.whole is not None:
        return FunctionProof("all", proof.whole)
    (found,) = proof.functions
    return found


def test_an_overflow_that_c_leaves_undefined_is_no_proof(tmp_path: Path) -> None:
    before = "int32_t f(int32_t a, int32_t b) { return a + b - 1; }"
    after = "int32_t f(int32_t a, int32_t b) { int32_t c = b; c--; return a + c; }"
    found = one(
        tmp_path / "a",
        before.replace("- 1", "- 1 + (b == 1 && a > b)"),
        after.replace("a + c", "(a > b && b == 1 ? a + c + 1 : a + c)"),
    )
    assert not found.is_proved
    assert "undefined: arithmetic overflow" in found.why[Rung.BOUNDED]


def test_a_constant_that_the_compiler_folded_is_not_taken_for_the_other_one(tmp_path: Path) -> None:
    body = "static const uint32_t k = {}; uint32_t f(uint32_t v) {{ return v % 1000 + k; }}"
    found = one(tmp_path / "r", body.format(1), body.format(2), MAKE.replace("-O1", "-O2"))
    assert not found.is_proved
    assert "finds a violation" in found.why[Rung.BOUNDED]


@pytest.fixture
def no_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rung is left out."""
    monkeypatch.setattr(
        "replay.repo.prove.proving.recompiled", lambda *a: Recompiled(why="left out")
    )


@pytest.mark.usefixtures("no_compilers")
def test_structs_of_one_tag_may_differ_inside(tmp_path: Path) -> None:
    body = (
        "struct pair {{ {} a; {} b; }};\n"
        "static uint32_t add(struct pair p) {{ return p.a + p.b; }}\n"
        "uint32_t f(uint32_t v, uint32_t w) {{ struct pair p = {{{}}}; return add(p); }}"
    )
    before = body.format("uint16_t", "uint32_t", "(uint16_t)v, w")
    after = body.format("uint32_t", "uint32_t", "v & 0xffff, w")
    with two(tmp_path / "r", SHARED + before, SHARED + after) as pair:
        found = {one.function: one for one in pair.prove().functions}
    assert found["f"].is_proved
    assert found["add"].through == ("f",)
    wrong = body.format("uint32_t", "uint32_t", "v, w")
    with two(tmp_path / "s", SHARED + before, SHARED + wrong) as pair:
        found = {one.function: one for one in pair.prove().functions}
    assert not found["f"].is_proved
    assert not found["add"].is_proved


def test_what_a_binding_cannot_see_is_refused(tmp_path: Path) -> None:
    body = "int a = {}; int f(int v) {{ return {}; }}"
    both = "int f(int v) { return v; } int g(int v) { return v; }"
    cases = [
        (body.format(1, "v % 9"), body.format(2, "-(-v % 9)"), "starts as something else"),
        (both, "int f(int v) { return v; }", "g is no longer exported"),
    ]
    for number, (before, after, why) in enumerate(cases):
        with two(tmp_path / str(number), before, after) as pair:
            proof = pair.prove()
        assert not proof.complete
        assert why in proof.why


def test_a_loose_build_or_one_with_a_compiler_of_its_own_says_so(tmp_path: Path) -> None:
    before = "double f(double a, double b, double c) { return a + b + c; }"
    after = "double f(double a, double b, double c) { return c + b + a; }"
    loose = one(tmp_path / "a", before, after, PLAIN.replace("-O0", "-O0 -ffast-math"))
    assert not loose.is_proved
    assert "-ffast-math lets each level calculate otherwise" in loose.why[Rung.CODE]
    assert "compiled with -ffast-math" in loose.why[Rung.BOUNDED]
    own = shutil.which("cc")
    fixed = one(tmp_path / "b", before, after, f"{own}{PLAIN.removeprefix('cc')}")
    assert "takes no compiler from the PATH or CC" in fixed.why[Rung.CODE]
    assert "calls no compiler from the PATH or CC" in fixed.why[Rung.BOUNDED]


@pytest.mark.parametrize("cc", ["gcc", "/usr/bin/gcc"])
def test_a_build_by_make_takes_other_compilers(
    tmp_path: Path, cc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", cc)
    make = "$CC -O0 -g -fPIC -c x.c && ar rc x.a x.o && rm x.o && ar x x.a"
    make += " && $CC -shared -o libx.so x.o"
    before = "unsigned f(unsigned v) { unsigned s = 0; while (v) { s++; v &= v - 1; } return s; }"
    after = "unsigned f(unsigned v) { unsigned s; for (s = 0; v; s++) v = v & (v - 1); return s; }"
    with two(tmp_path / "r", before, after, make) as pair:
        proof = pair.prove()
    assert proof.whole is not None
    assert proof.whole.rung is Rung.CODE
    assert proof.lines() == [proof.whole.text]
    assert proof.whole.text.startswith("proved: equal code by ")


# --- engines ----------------------------------------------------------------------------


def test_an_engine_that_lies_is_not_believed(tmp_path: Path) -> None:
    for said, why in (("SUCCESSFUL", "it says"), ("FAILED", "it says"), ("", "it said nothing")):
        liar = tmp_path / "esbmc"
        liar.write_text(f"#!/bin/sh\necho {f'VERIFICATION {said}' if said else ''}\n")
        liar.chmod(0o755)
        _believed.clear()
        assert why in doubt(Engine("esbmc", str(liar), "0")), said


def test_the_engine_of_the_extra_is_believed() -> None:
    engine = find_engine(Commands())
    assert engine is not None, MISSING
    assert doubt(engine) == ""


def test_without_an_engine_the_other_rungs_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.repo.prove.proving.find_engine", lambda commands: None)
    body = "uint32_t f(uint32_t v) {{ return {}; }}"
    found = one(tmp_path / "r", body.format("v / 3 * 3 + v % 3"), body.format("v"))
    assert found.proved is None or found.proved.rung is Rung.CODE
    found = one(tmp_path / "s", body.format("v % 3"), body.format("(v & 1) + (v >> 1) % 2"))
    assert found.why[Rung.BOUNDED] == MISSING


# --- the command ------------------------------------------------------------------------


def verified(repo: UserRepo, *more: str, make: str = PLAIN) -> Done:
    return cli(
        "verify", "--repo", repo.path, "--range", "HEAD^..HEAD", "--build", make,
        "--library", "libx.so", "--traces", "50", "--prove", *more,
    )  # fmt: skip


def test_a_proof_stands_beside_the_verdict(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "r")
    repo.commit("before", x_c=SHARED + provecases.EQUAL["gray"][0] + provecases.EQUAL["total"][0])
    repo.commit("after", x_c=SHARED + provecases.EQUAL["gray"][1] + provecases.EQUAL["total"][1])
    done = verified(repo)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.endswith("  after")]
    assert "same (proved, bounded)" in row
    told = " ".join(done.stdout.split())
    assert "gray: proved on these ranges: v in 0..255 (256 calls)" in told
    assert "total: proved at unwinding 10 by esbmc" in told
    assert "(p has at most 4 elements)" in told
    assert "proved: 1 of 1 commit that traces find the same" in done.stdout
    (_, row_json) = json.loads(verified(repo, "--json").stdout)["commits"]
    assert row_json["verdict"] == "same"
    proof = row_json["proof"]
    assert proof["complete"] and proof["bounded"]
    assert [one["proved"]["rung"] for one in proof["functions"]] == [
        "enumeration", "bounded model checking",
    ]  # fmt: skip
    assert proof["functions"][1]["proved"]["assumptions"] == ["p has at most 4 elements"]


def test_what_an_engine_suspects_the_libraries_must_show(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "r")
    body = "#include <stdint.h>\nint f(uint32_t v) {{ return {}; }}\n"
    repo.commit("before", x_c=body.format("v * 2654435761u * v == 3355443201u"))
    repo.commit("after", x_c=body.format("(int)(v - v)"))
    without = cli(
        "verify", "--repo", repo.path, "--range", "HEAD^..HEAD", "--build", PLAIN,
        "--library", "libx.so", "--traces", "50",
    )  # fmt: skip
    assert without.returncode == 0, "the traces find it by themselves: another number is needed"
    done = verified(repo)
    assert done.returncode == 1
    assert "undeclared difference" in done.stdout
    assert "shown by 1 of 1 trace" in done.stdout


def test_overflow_is_not_proved_by_a_compiler_that_may_do_as_it_likes(tmp_path: Path) -> None:
    before = "int f(int v) { int w = v + 1; return w > v; }"
    assert not one(tmp_path / "r", before, "int f(int v) { return 1; }").is_proved


def test_a_difference_that_traces_find_is_never_hidden(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "r")
    repo.commit(
        "before", x_c=SHARED + provecases.EQUAL["gray"][0] + provecases.UNEQUAL["is_upper"][0]
    )
    repo.commit(
        "after", x_c=SHARED + provecases.EQUAL["gray"][1] + provecases.UNEQUAL["is_upper"][1]
    )
    done = verified(repo)
    assert done.returncode == 1
    assert "undeclared difference" in done.stdout
    assert "proved" not in done.stdout


def test_no_proof_is_told_with_the_reasons_and_changes_no_verdict(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "r")
    repo.commit("before", x_c=SHARED + provecases.EQUAL["wave"][0])
    repo.commit("after", x_c=SHARED + provecases.EQUAL["wave"][1])
    done = verified(repo, make=PLAIN + " -lm")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert "wave: not proved (equal code: other code by each of" in told
    assert "bounded model checking: it leads to cos, sin of other libraries" in told
    assert "proved: 0 of 1 commit that traces find the same" in told


@pytest.mark.parametrize(
    "more", [("--bisect",), ("--trace", "x.jsonl"), ("--program", "x")], ids=lambda more: more[0]
)
def test_prove_goes_with_random_traces_alone(tmp_path: Path, more: tuple[str, ...]) -> None:
    repo = UserRepo(tmp_path / "r")
    repo.commit("before", x_c="")
    repo.commit("after", x_c="int f(void) { return 1; }")
    words = ["verify", "--repo", repo.path, "--range", "HEAD^..HEAD", "--build", MAKE, "--prove"]
    words += [] if more[0] == "--program" else ["--library", "libx.so"]
    done = cli(*words, *more)
    assert done.returncode == 2
    assert "--prove goes with" in done.stderr
    assert "Traceback" not in done.stderr
