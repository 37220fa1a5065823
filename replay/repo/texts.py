"""Strings from a grammar: a list, a template, or rules; drawn, and recognized.

A rule is a list of alternatives. In one, ``{name}`` stands for a rule of that name, or for
one of the kinds of characters below; ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

LONGEST: Final = 4096
"""Characters of a string."""
DEEP: Final = 8
"""Rules in rules after which the alternative that ends soonest is taken."""
BUILT_IN: Final = {
    "word": ("abcdefghijklmnopqrstuvwxyz", 8),
    "digits": ("0123456789", 4),
    "digit": ("0123456789", 1),
    "letter": ("abcdefghijklmnopqrstuvwxyz", 1),
    "hex": ("0123456789abcdef", 8),
    "space": (" ", 3),
}
"""Kinds of characters: which, and how many at most; at least one."""

_PART: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}|[^{}]+|[{}]")

Part: TypeAlias = tuple[bool, str]
"""Whether it is the name of a rule, and the name, or characters."""


class BadText(ValueError):
    """A grammar that makes no strings; the text says why."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, each a row of alternatives made of parts; the first rule is the start."""

    rules: tuple[tuple[str, tuple[tuple[Part, ...], ...]], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All strings, in order, where there are but fixed ones; else nothing."""
        alternatives = self.rules[0][1]
        if any(named for one in alternatives for named, _ in one):
            return ()
        return tuple("".join(text for _, text in one) for one in alternatives)

    def draw(self, rng: random.Random) -> str:
        """A string."""
        return "".join(_Drawing(self, rng).rule(self.rules[0][0], 0))[:LONGEST]

    def holds(self, text: str) -> bool:
        """Whether a string is one of the grammar."""
        words = self.words
        if words:
            return text in words
        return len(text) <= LONGEST and _Recognizer(self, text).whole()


def grammar_of(rules: Mapping[str, Sequence[str]]) -> Grammar:
    """The grammar of some rules, the first of which is where it starts.

    Raises:
        BadText: a rule has no alternatives, names none that there is, or never ends.

    """
    made = {name: tuple(map(_parts, alternatives)) for name, alternatives in rules.items()}
    for name, alternatives in made.items():
        if not alternatives:
            raise BadText(f"the rule {name} has no alternative")
        for named, part in (part for one in alternatives for part in one):
            if named and part not in made and part not in BUILT_IN:
                known = ", ".join([*made, *BUILT_IN])
                raise BadText(f"no rule {{{part}}}; there are {known}")
    grammar = Grammar(tuple(made.items()))
    endless = set(made) - set(depths(grammar))
    if endless:
        raise BadText(f"the rule {sorted(endless)[0]} never ends")
    return grammar


def literal(words: Sequence[str]) -> Grammar:
    """The grammar of some strings as they are."""
    return Grammar((("start", tuple(((False, word),) for word in words)),))


def _parts(text: str) -> tuple[Part, ...]:
    found: list[Part] = []
    for match in _PART.finditer(text):
        if match[1]:
            found.append((True, match[1]))
        elif match[0] in ("{", "}"):
            raise BadText(f"a single {match[0]} in {text!r}; write it twice")
        else:
            found.append((False, match[0].replace("{{", "{").replace("}}", "}")))
    return tuple(found)


def depths(grammar: Grammar) -> dict[str, int]:
    """Of each rule that can end: in how many rules at least."""
    known = dict.fromkeys(BUILT_IN, 0)
    rules = dict(grammar.rules)
    while True:
        more = {
            name: 1 + min(found)
            for name, alternatives in rules.items()
            if name not in known
            and (
                found := [
                    max([known[part] for named, part in one if named], default=0)
                    for one in alternatives
                    if all(part in known for named, part in one if named)
                ]
            )
        }
        if not more:
            return {name: depth for name, depth in known.items() if name in rules}
        known |= more


class _Drawing:
    def __init__(self, grammar: Grammar, rng: random.Random) -> None:
        self.rules = dict(grammar.rules)
        self.depths = depths(grammar)
        self.rng = rng
        self.left = LONGEST

    def rule(self, name: str, depth: int) -> list[str]:
        if name not in self.rules:
            letters, most = BUILT_IN[name]
            made = "".join(self.rng.choice(letters) for _ in range(self.rng.randint(1, most)))
            return [made]
        alternatives = self.rules[name]
        if depth > DEEP:
            alternatives = (min(alternatives, key=self._depth),)
        parts = self.rng.choice(alternatives)
        made_of: list[str] = []
        for named, part in parts:
            made_of += self.rule(part, depth + 1) if named else [part]
        return made_of

    def _depth(self, parts: tuple[Part, ...]) -> int:
        return max([self.depths.get(part, 0) for named, part in parts if named], default=-1)


class _Recognizer:
    """Where the strings of rules end in a text; rules may refer to themselves, also first."""

    def __init__(self, grammar: Grammar, text: str) -> None:
        self.text = text
        self.start = grammar.rules[0][0]
        self.rules = dict(grammar.rules)
        self.ends: dict[tuple[str, int], set[int]] = {}

    def whole(self) -> bool:
        """Whether all of the text is one string of the start; until nothing new is found."""
        self.ends = {(self.start, 0): set()}
        while True:
            before = sum(map(len, self.ends.values())) + len(self.ends)
            for name, at in list(self.ends):
                for parts in self.rules[name]:
                    self.ends[name, at] |= self.after(parts, at)
            if before == sum(map(len, self.ends.values())) + len(self.ends):
                return len(self.text) in self.ends[self.start, 0]

    def after(self, parts: tuple[Part, ...], at: int) -> set[int]:
        """Where the parts may end that begin at a place."""
        places = {at}
        for named, part in parts:
            places = {end for place in places for end in self.part(named, part, place)}
        return places

    def part(self, named: bool, part: str, at: int) -> set[int]:
        if not named:
            return {at + len(part)} if self.text.startswith(part, at) else set()
        if part in self.rules:
            return set(self.ends.setdefault((part, at), set()))
        letters, most = BUILT_IN[part]
        end = at
        while end < len(self.text) and end - at < most and self.text[end] in letters:
            end += 1
        return set(range(at + 1, end + 1))
