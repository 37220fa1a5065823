"""What ``verify --prove`` proves, and what it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from provecases import EQUAL, HARD, UNEQUAL, source
from userrepo import MAKE, UserRepo

from replay.base.pool import default_jobs
from replay.repo.pairing import Pair, neighbours
from replay.repo.prove.proof import FunctionProof, Proof, Rung
from replay.repo.prove.proving import Prover
from replay.repo.resolving import resolve
from replay.repo.shapes import LibraryShape
from replay.repo.targets import bound_to, drafted, prepare
from replay.repo.verify import Request, opened, workspace

PLAIN = MAKE.replace("-O1", "-O0")


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
        prover = Prover(history.builder, interface, request.jobs, folder)
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
    for one in found.values():
        print(one.text)
    assert {name: one.text for name, one in found.items() if one.is_proved} == {}


def test_most_pairs_that_do_the_same_get_one(tmp_path: Path) -> None:
    found = functions(tmp_path / "a", EQUAL, lambda name: name not in HARD)
    found |= functions(tmp_path / "b", EQUAL, lambda name: name in HARD)
    rungs = Counter(one.proved.rung for one in found.values() if one.proved is not None)
    for one in found.values():
        print(one.text)
    print(rungs)
    assert found.keys() == EQUAL.keys()
    assert rungs.total() >= 0.6 * len(EQUAL)
    assert rungs.keys() == {*Rung}
