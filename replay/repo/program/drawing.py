"""Cases drawn from the inputs: a function of the seed and the number alone.

The first numbers go through all that is listed, in its order; later ones combine at random,
and change a little where the kind of run asks for that.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from replay.repo.program.case import Case
from replay.repo.program.inputs import (
    Content,
    Inputs,
    Kind,
    Letters,
    Ref,
    Rule,
    Span,
    Template,
    depth,
    depths,
)

DEEP: Final = 12
"""Rules within each other after which the shortest texts are taken."""
LONG: Final = 4096
"""Characters of a text after which the same holds."""
_PIECES: Final = (b"0", b"-1", b" ", b"\t", b"\n", b"9999999999", b"a", b"\xff", b"\0", b'"', b"%s")

T = TypeVar("T")


@dataclass(slots=True)
class _Drawer:
    rng: random.Random
    rules: Mapping[str, Rule]
    depths: Mapping[str, int]
    made: int = field(default=0)

    def text(self, parts: Template, deep: int = 0) -> str:
        """A template with a text in the place of each rule."""
        return "".join(
            part if isinstance(part, str) else self.rule(self.rules[part.name], deep + 1)
            for part in parts
        )

    def rule(self, rule: Rule, deep: int) -> str:
        if isinstance(rule, Span):
            return str(self.integer(rule))
        if isinstance(rule, Letters):
            count = self.rng.randint(rule.low, min(rule.high, rule.low + 64))
            text = "".join(self.rng.choice(rule.alphabet) for _ in range(count))
        else:
            few: Sequence[Template] = rule
            if deep > DEEP or self.made > LONG:
                least = min(depth(one, self.depths) or 0 for one in rule)
                few = [one for one in rule if (depth(one, self.depths) or 0) == least]
            chosen = self.rng.choice(few)
            self.made += sum(len(part) for part in chosen if not isinstance(part, Ref))
            return self.text(chosen, deep)
        self.made += len(text)
        return text

    def integer(self, span: Span) -> int:
        """An end, a small one, or any."""
        rng, dice = self.rng, self.rng.random()
        if dice < 0.15:
            return rng.choice((span.low, span.high))
        near = max(span.low, min(0, span.high))
        if dice < 0.6:
            return rng.randint(max(near - 3, span.low), min(near + 12, span.high))
        return rng.randint(span.low, span.high)

    def content(self, content: Content, place: int | None) -> bytes:
        """One of the texts, or files; the one of this place, where it is told."""
        every: Sequence[Template | bytes] = content
        one = self.chosen(every, place)
        return one if isinstance(one, bytes) else self.text(one).encode()

    def chosen(self, every: Sequence[T], place: int | None) -> T:
        return self.rng.choice(every) if place is None else every[min(place, len(every) - 1)]

    def changed(self, data: bytes) -> bytes:
        """A text changed in a few places."""
        for _ in range(self.rng.choice((0, 1, 1, 1, 2, 4))):
            data = self.change(data)
        return data

    def change(self, data: bytes) -> bytes:
        rng = self.rng
        lines = data.splitlines(keepends=True)
        if lines and rng.random() < 0.5:
            at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
            how = rng.randrange(4)
            if how == 0:
                del lines[at]
            elif how == 1:
                lines.insert(to, lines[at])
            elif how == 2:
                lines[at], lines[to] = lines[to], lines[at]
            else:
                del lines[at:]
            return b"".join(lines)
        at = rng.randint(0, len(data))
        gone = rng.choice((0, 0, 1, 1, 4))
        piece = rng.choice((*_PIECES, bytes((rng.randrange(32, 127),)), b""))
        return data[:at] + piece + data[at + gone :]


def draw(inputs: Inputs, seed: int, number: int) -> Case:
    """The case with this number of a seed."""
    kind = inputs.kinds[number % len(inputs.kinds)]
    turn = number // len(inputs.kinds)
    drawer = _Drawer(random.Random(f"{seed}:{number}"), inputs.rules, depths(inputs.rules))
    place = turn if turn < listed(kind) else None
    words = drawer.chosen(kind.args, place)
    args = tuple(drawer.text(word).replace("\0", "") for word in words)
    stdin = drawer.content(kind.stdin, place)
    files = [(name, drawer.content(content, place)) for name, content in kind.files]
    if kind.mutate and place is None:
        stdin = drawer.changed(stdin)
        files = [(name, drawer.changed(data)) for name, data in files]
    return Case(args, stdin, tuple(files))


def listed(kind: Kind) -> int:
    """How many numbers it takes to go through all that is listed."""
    contents = [kind.stdin, *(content for _, content in kind.files)]
    return max(len(kind.args), *map(len, contents))
