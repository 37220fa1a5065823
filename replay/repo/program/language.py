"""Cases as a language of the search: fewer arguments, lines and files first, then fewer bytes.

What is left out one by one are arguments, lines of standard input, and lines of files; a
file as a whole goes where a pass leaves it out. What is read need not be what the inputs file
could give: whatever is left shows the difference. Arguments are as some case that was drawn has
them, since an option may have the program do what nobody asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from replay.repo.program.case import Case, read_case, to_text
from replay.repo.program.drawing import draw
from replay.repo.program.inputs import Inputs
from replay.search.language import Pass
from replay.search.shrink import Shrinker, leave_out

_SIMPLE: Final = b"a0 \n"
"""What other bytes are replaced by, the simplest first."""
DRAWN: Final = 1000
"""Cases whose arguments a shorter one may have, and"""
MOST_WORDS: Final = 100
"""how many of these are tried, the shortest."""
MOST_BYTES: Final = 64
"""Bytes of a text up to which each is made simpler alone."""


@dataclass(frozen=True, slots=True)
class CaseLanguage:
    """The language of cases; see ``search.language``.

    Attributes:
        inputs: what cases are drawn from.
        ops: not used.
        words: the arguments that a shorter case may have; None for any.

    """

    inputs: Inputs
    ops: int = 0
    words: frozenset[tuple[str, ...]] | None = None

    begin: ClassVar[tuple[Pass, ...]] = ()

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Whole files first, then lines and arguments, then bytes."""
        return partial(drawn_words, self.words), drop_files, empty_texts, leave_out, *LAST

    def shortening(self, case: Case, seed: int) -> CaseLanguage:
        """The same for shorter cases than one: with its arguments, or those of a case drawn."""
        drawn = {self.draw(seed, number).args for number in range(DRAWN)}
        return replace(self, words=frozenset({case.args, *drawn}))

    def drawing(self, ops: int) -> CaseLanguage:
        """The same: how long a case is says the inputs file."""
        return replace(self, ops=ops)

    def draw(self, seed: int, number: int) -> Case:
        """The case with this number of a seed."""
        return draw(self.inputs, seed, number)

    def length(self, trace: Case) -> int:
        """Arguments, lines of standard input, lines of files."""
        return len(trace.args) + sum(len(_lines(text)) for text in _texts(trace))

    def without(self, trace: Case, gone: AbstractSet[int]) -> Case:
        """The other arguments and lines."""
        args = tuple(word for at, word in enumerate(trace.args) if at not in gone)
        at, kept = len(trace.args), []
        for text in _texts(trace):
            lines = _lines(text)
            kept.append(b"".join(line for n, line in enumerate(lines, at) if n not in gone))
            at += len(lines)
        return _with_texts(replace(trace, args=args), kept)

    def normal(self, trace: Case) -> Case:
        """As it is."""
        return trace

    def is_valid(self, trace: Case) -> bool:
        """Whatever can be told apart may be run, with arguments that may be given."""
        return self.words is None or trace.args in self.words

    def size(self, trace: Case) -> tuple[Any, ...]:
        """Files, arguments and lines; then bytes; then how simple these are."""
        texts = _texts(trace)
        args = [word.encode() for word in trace.args]
        count = sum(map(len, texts)) + sum(map(len, args))
        ranks = tuple(tuple(map(_rank, text)) for text in (*args, *texts))
        names = tuple(name for name, _ in trace.files)
        return len(trace.files), self.length(trace), count, ranks, len(args), names

    def to_text(self, trace: Case, name: str) -> str:
        """As a file of the format ``replay-run/1``."""
        return to_text(trace, name)

    def read(self, path: Path) -> Case:
        """The case in a file."""
        return read_case(path)


def _rank(byte: int) -> int:
    found = _SIMPLE.find(byte)
    return found if found >= 0 else len(_SIMPLE) + byte


def _texts(case: Case) -> list[bytes]:
    return [case.stdin, *(data for _, data in case.files)]


def _lines(text: bytes) -> list[bytes]:
    """The lines, each with its newline; other ends of lines are bytes like any."""
    return re.findall(rb"[^\n]*\n|[^\n]+", text)


def _with_texts(case: Case, texts: list[bytes]) -> Case:
    names = [name for name, _ in case.files]
    return replace(case, stdin=texts[0], files=tuple(zip(names, texts[1:], strict=True)))


def drawn_words(words: frozenset[tuple[str, ...]] | None, shrinker: Shrinker[Case]) -> None:
    """Take the arguments of other cases, the fewest and shortest first."""
    by_size = sorted(words or (), key=lambda args: (len(args), sum(map(len, args)), args))
    for args in by_size[:MOST_WORDS]:
        if args == shrinker.best.args or shrinker.consider(replace(shrinker.best, args=args)):
            break


def drop_files(shrinker: Shrinker[Case]) -> None:
    """Leave out each file."""
    for at in reversed(range(len(shrinker.best.files))):
        files = shrinker.best.files
        shrinker.consider(replace(shrinker.best, files=files[:at] + files[at + 1 :]))


def empty_texts(shrinker: Shrinker[Case]) -> None:
    """Leave each text empty, and all arguments out."""
    shrinker.consider(replace(shrinker.best, args=()))
    for at in range(len(_texts(shrinker.best))):
        texts = _texts(shrinker.best)
        texts[at] = b""
        shrinker.consider(_with_texts(shrinker.best, texts))


Put = Callable[[bytes], Case | None]


def _pieces(case: Case) -> list[tuple[bytes, Put]]:
    """Each text and argument of a case, and what puts another in its place."""
    found: list[tuple[bytes, Put]] = []
    for at, text in enumerate(_texts(case)):

        def put_text(data: bytes, at: int = at) -> Case:
            texts = _texts(case)
            texts[at] = data
            return _with_texts(case, texts)

        found.append((text, put_text))
    for at, word in enumerate(case.args):

        def put_word(data: bytes, at: int = at) -> Case | None:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                return None
            args = (*case.args[:at], text, *case.args[at + 1 :])
            return None if "\0" in text else replace(case, args=args)

        found.append((word.encode(), put_word))
    return found


def shorter_texts(shrinker: Shrinker[Case]) -> None:
    """Leave out runs of bytes of each text and argument: halves, quarters, … single ones."""
    for place in range(len(_pieces(shrinker.best))):
        run = max(len(_pieces(shrinker.best)[place][0]) // 2, 1)
        while run:
            at = len(_pieces(shrinker.best)[place][0]) - run
            while at >= 0:
                text, put = _pieces(shrinker.best)[place]
                shrinker.consider(put(text[:at] + text[at + run :]))
                at = min(at - run, len(_pieces(shrinker.best)[place][0]) - run)
            run //= 2


def simpler_bytes(shrinker: Shrinker[Case]) -> None:
    """Replace bytes of short texts and arguments by simpler ones."""
    for place in range(len(_pieces(shrinker.best))):
        for at in range(min(len(_pieces(shrinker.best)[place][0]), MOST_BYTES)):
            for simple in _SIMPLE:
                text, put = _pieces(shrinker.best)[place]
                if _rank(text[at]) <= _rank(simple):
                    break
                if shrinker.consider(put(text[:at] + bytes((simple,)) + text[at + 1 :])):
                    break


LAST: Final[tuple[Pass, ...]] = (shorter_texts, simpler_bytes)
