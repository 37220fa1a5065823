"""Relations between the parameters of a call, as ``want <= n`` or ``lo + 2 < hi``.

What they are; ``replay.repo.relations`` makes them hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SIDES: Final = re.compile(r"(.+?)(<=|>=|==|!=|<|>)(.+)")
_TERM: Final = re.compile(r"\s*([+-]?)\s*(?:(\d+)|([A-Za-z_]\w*))\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Relation:
    """The sum of the terms, each so many times the parameter, and the constant is ``sign`` 0.

    ``text`` is as in the binding, ``sign`` one of ``<=``, ``==``, ``!=``.
    """

    text: str
    terms: tuple[tuple[str, int], ...]
    constant: int
    sign: str

    def holds(self, numbers: Mapping[str, int]) -> bool:
        """Whether it does, for these numbers of the parameters."""
        total = self.constant + sum(times * numbers[name] for name, times in self.terms)
        return {"<=": total <= 0, "==": total == 0, "!=": total != 0}[self.sign]


def parse(text: str) -> Relation | str:
    """A relation, or what is wrong with it."""
    sides = _SIDES.fullmatch(text)
    if sides is None:
        return 'no comparison: write for instance "want <= n" or "lo + 1 < hi"'
    left, right = _sum(sides[1]), _sum(sides[3])
    for side, words in ((left, sides[1]), (right, sides[3])):
        if side is None:
            return f"{words.strip()!r} is no sum of parameters and integers"
    assert left is not None and right is not None
    sign = sides[2]
    if sign in (">", ">="):
        left, right, sign = right, left, sign.replace(">", "<")
    total = dict(left)
    for name, times in right.items():
        total[name] = total.get(name, 0) - times
    constant = total.pop("", 0) + (sign == "<")
    terms = tuple((name, times) for name, times in total.items() if times)
    return Relation(text, terms, constant, "<=" if sign == "<" else sign)


def _sum(text: str) -> dict[str, int] | None:
    """How often each name is in a sum; its constant under the empty name."""
    found: dict[str, int] = {}
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None or (at and not term[1]):
            return None
        sign = -1 if term[1] == "-" else 1
        name = term[3] or ""
        found[name] = found.get(name, 0) + sign * (1 if name else int(term[2]))
        at = term.end()
    return found or None
