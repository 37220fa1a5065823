"""How the steps after the last one are named and numbered: each fix, in any combination.

What came after a series is a set of *fixes*, and of *variants* of the machine, each a delta
on the last step. A step after the last one is a combination of them, named ``K+a+b`` where
K is the last step. ``K+all`` is K with all fixes and no variant. Names may be given in any
order; fixes have an order of their own, that in which they came, and variants follow them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ALL = "all"
"""Stands for all fixes."""


class Later(int):
    """The number of a step after the last: a number to reckon with, shown as its name.

    Attributes:
        base: the last step of the series.
        before: the step that it is judged against: the same line without its last part.
        parts: the names of its fixes and variants, in order.
        name: as a person writes it.

    """

    base: int
    before: int
    parts: tuple[str, ...]
    name: str

    def __new__(
        cls, number: int, base: int, before: int, parts: tuple[str, ...], name: str
    ) -> Later:
        """A number with its name."""
        made = super().__new__(cls, number)
        made.base, made.before, made.parts, made.name = base, before, parts, name
        return made

    def __getnewargs__(self) -> Any:
        return int(self), self.base, self.before, self.parts, self.name

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(self.name, spec.removesuffix("d"))


def before(step: int) -> int:
    """The step that one is judged against: for a fix the same line without it."""
    return step.before if isinstance(step, Later) else step - 1


def line(step: int) -> tuple[int, ...]:
    """All steps on the way from step 0 to a step, both included."""
    way = [step]
    while way[-1] > 0:
        way.append(before(way[-1]))
    return tuple(reversed(way))


class NoSuchStep(Exception):
    """A name that no step has; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all steps of a series.

    Attributes:
        last: the number of the last step.
        fixes, variants: the names of what came after it, each in order.

    """

    last: int
    fixes: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """All fixes and variants, in order."""
        return (*self.fixes, *self.variants)

    @property
    def highest(self) -> int:
        """The greatest number that a step has."""
        return self.last + (1 << len(self.parts)) - 1

    def numbered(self, number: int) -> int:
        """The step with a number: a :class:`Later` past the last one.

        Raises:
            NoSuchStep: there is none.

        """
        if not 0 <= number <= self.highest:
            raise NoSuchStep(f"there is no step {int(number)}: {self.words()}")
        if number <= self.last:
            return int(number)
        mask = number - self.last
        return self.later(p for i, p in enumerate(self.parts) if mask >> i & 1)

    def later(self, parts: Iterable[str]) -> int:
        """The last step with some fixes and variants; ``all`` is all fixes.

        Raises:
            NoSuchStep: one of them is none; the text says which there are.

        """
        wanted: set[str] = set()
        for part in parts:
            if part == ALL and self.fixes:
                wanted.update(self.fixes)
            elif part in self.parts:
                wanted.add(part)
            else:
                near = difflib.get_close_matches(part, self.parts, 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise NoSuchStep(f"step {self.last} has no fix {part!r}: {hint}{self}")
        if not wanted:
            return self.last
        mask = sum(1 << i for i, part in enumerate(self.parts) if part in wanted)
        own = tuple(part for part in self.parts if part in wanted)
        fixes = own[: len(self.fixes)] == self.fixes and len(self.fixes) > 1
        shown = (ALL, *own[len(self.fixes) :]) if fixes else own
        name = "+".join((str(self.last), *shown))
        return Later(self.last + mask, self.last, self.later(own[:-1]), own, name)

    def parse(self, text: str) -> int:
        """The step of a name: ``7``, ``K+a+b``.

        Raises:
            NoSuchStep: there is none; the text says which there are.

        """
        base, *parts = (part.strip() for part in text.split("+"))
        known = base.isascii() and base.isdecimal() and len(base) < 10
        if not known or int(base) > self.last:
            raise NoSuchStep(f"{text!r} is no step; {self.words()}")
        if parts and int(base) != self.last:
            raise NoSuchStep(f"{text!r} is no step: fixes are those of step {self.last}; {self}")
        return self.later(parts) if parts else int(base)

    def before(self, step: int) -> int:
        """The step that one is judged against: for a fix the same line without it.

        That is the line without its last part, in order. Step 0 has none: it gives -1.
        """
        return before(self.numbered(step))

    def line(self, step: int) -> tuple[int, ...]:
        """All steps on the way from step 0 to a step, both included."""
        return line(self.numbered(step))

    def words(self) -> str:
        """Which steps there are, in words."""
        return f"steps are 0 to {self.last}" + (f", and {self}" if self.parts else "")

    def __str__(self) -> str:
        """What comes after the last step, in words."""
        if not self.parts:
            return f"nothing comes after step {self.last}"
        last = self.last
        text = f"{last}+ any of {', '.join(self.parts)}, joined by +"
        others = f" but {' and '.join(self.variants)}" if self.variants else ""
        return f"{text}; {last}+{ALL} has all{others}" if self.fixes else text
