"""Rung one: equal code under another compiler or level.

Both commits are built by the user's command with other compilers and levels, until one makes
equal code of both. *Equal* is what :mod:`replay.repo.code` calls so. Since a compiler keeps
what a program does, two programs with equal code do the same.

It is the programs *as that compiler reads them* that are the same. Where C leaves a choice to
the compiler (what is undefined, the order in which operands are evaluated, contracted
floating-point expressions), another compiler may read the two otherwise. Signed overflow,
and pointers to another type, are defined by an option here. A build whose options let each
level calculate otherwise (-ffast-math) is not asked.

A function by itself is proved, too, where its code is equal under some compiler, and all
changed functions that it leads to are: for two functions that differ only in that they call
equal ones are equal.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.build.errors import BuildError
from replay.elf.errors import ElfError
from replay.errors import UsageError
from replay.repo.building import Builder, Built, Outcome
from replay.repo.code import CodeComparison, compare_code
from replay.repo.errors import RepoError
from replay.repo.prove.leading import Leading
from replay.repo.prove.proof import Proved, Rung
from replay.repo.prove.shims import Recipe, switched

RECIPES: Final = (
    Recipe("clang", "-O2"), Recipe("gcc", "-O2"), Recipe("gcc", "-O1"), Recipe("clang", "-O1"),
    Recipe("gcc", "-O3"), Recipe("gcc", "-O0"), Recipe("clang", "-O3"), Recipe("clang", "-O0"),
)  # fmt: skip
"""The likeliest first; those of a compiler that is not there are left out."""

UNCHANGED: Final = "nothing changes in the build"


@dataclass(slots=True)
class Recompiled:
    """What other compilers make of a pair of trees.

    Attributes:
        whole: the recipe by which all code is equal; None for none.
        equal: of functions with equal code of their own, by a recipe each, the changed
            functions that they lead to there.
        tried: the recipes that made two libraries.
        why: why nothing could be tried.

    """

    whole: Recipe | None = None
    equal: dict[str, list[tuple[Recipe, frozenset[str]]]] = field(default_factory=dict)
    tried: list[Recipe] = field(default_factory=list)
    why: str = ""

    def proved(self, function: str, others: frozenset[str] = frozenset()) -> Proved | None:
        """The proof of a function, where ``others`` are known to do the same."""
        for recipe, led in self.equal.get(function, ()):
            if led <= others:
                given = [f"given {', '.join(sorted(led))}, proved too"] if led else []
                return Proved(Rung.CODE, f"proved: equal code by {recipe.text}", tuple(given))
        return None

    def reason(self, function: str) -> str:
        """Why it is not proved."""
        if self.why:
            return self.why
        names = ", ".join(recipe.text for recipe in self.tried)
        if function in self.equal:
            led = self.equal[function][0][1]
            return f"its own code is equal, but it leads to {', '.join(sorted(led))}"
        return f"other code by each of {names}"


def recompiled(
    builder: Builder, trees: tuple[str, str], jobs: int, changed: frozenset[str],
    sides: tuple[Path, Path],
) -> Recompiled:  # fmt: skip
    """Build two trees by other compilers, until their code is equal or each was asked.

    Args:
        builder: builds them as the user does.
        trees: their ids.
        jobs: builds at a time.
        changed: the functions that have other code in the user's build.
        sides: the libraries of the user's build.

    """
    found = Recompiled()
    problems: list[str] = []
    for recipe in RECIPES:
        if shutil.which(recipe.compiler) is None:
            problems.append(f"there is no {recipe.compiler}")
            continue
        built = _built(builder, trees, jobs, recipe)
        if isinstance(built, str):
            problems.append(f"{recipe.text}: {built}")
            continue
        found.tried.append(recipe)
        if _try(found, recipe, built, changed):
            return found
        if all(compare_code(*each).identical for each in zip(built, sides, strict=True)):
            # The user's own compiler at its own level, or a build that takes no other.
            problems.append(UNCHANGED)
    if not found.tried:
        found.why = "; ".join(dict.fromkeys(problems))
    elif len(found.tried) == problems.count(UNCHANGED):
        found.why = "the build takes no compiler from the PATH or CC: each made the same code"
    return found


def _try(
    found: Recompiled, recipe: Recipe, built: tuple[Path, Path], changed: frozenset[str]
) -> bool:
    """Note what is equal in two libraries by one recipe; whether no more is needed."""
    code = compare_code(*built)
    if code.identical:
        found.whole = recipe
        return True
    _note(found, recipe, code, built, changed)
    return bool(changed) and all(found.proved(name) for name in changed)


def _built(
    builder: Builder, trees: tuple[str, str], jobs: int, recipe: Recipe
) -> tuple[Path, Path] | str:
    try:
        command = switched(builder.command, recipe)
        outcomes = builder.by(command, builder.rebuild).build_all(trees, jobs)
    except (RepoError, BuildError) as error:
        return str(error)
    old, new = (outcomes[tree] for tree in trees)
    if isinstance(old, Built) and isinstance(new, Built):
        return old.library, new.library
    return next(_reasons((old, new)))


def _reasons(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Why there is no library; what the compilers that stand in said comes first."""
    for one in outcomes:
        if not isinstance(one, Built):
            said = [line for line in one.output.splitlines() if line.startswith("replay: ")]
            yield said[0].removeprefix("replay: ") if said else one.reason


def _note(
    found: Recompiled, recipe: Recipe, code: CodeComparison, built: tuple[Path, Path],
    changed: frozenset[str],
) -> None:  # fmt: skip
    """Note the changed functions that have equal code of their own here."""
    if code.unknown or not code.changed:
        return
    try:
        sides = [Leading.read(path) for path in built]
    except (ElfError, UsageError):
        return
    for name in changed - code.changed:
        led = [side.reached(name) for side in sides]
        if any(one is None or one.unknown for one in led):
            continue
        names = frozenset[str]().union(*(one.functions for one in led if one is not None))
        found.equal.setdefault(name, []).append((recipe, names & code.changed))
