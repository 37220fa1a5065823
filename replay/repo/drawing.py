"""Values drawn at random: small ones, constants of the code, ends of types, anything.

How far a value is fetched is a *reach*, from SMALL to ANY. Each trace draws one for each
name of a parameter, by its round: the first traces keep to small values and to what the
changed functions hold, so that objects fill and calls return; later ones go wider.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from replay.repo import floats, parted
from replay.repo.binding import ALPHABET, Param
from replay.repo.mining import Constants, Mined

SMALL, NEAR, KNOWN, ANY = range(4)
ROUND: Final = 50
"""Traces of a round."""
REACHES: Final = (
    (SMALL, SMALL, NEAR), (SMALL, NEAR, KNOWN), (SMALL, NEAR, KNOWN, ANY), (NEAR, KNOWN, ANY),
)  # fmt: skip
"""What the reaches of a round are drawn from; the last round goes on for ever."""
ENDS: Final = 0.2
"""How often an end of a range is drawn."""
NARROW: Final = 32
"""Integers in a range that is drawn from evenly."""
MINED: Final = 0.15
"""How often a string or buffer is as long as a constant says, and ``LONG``: of any length."""
LONG: Final = 0.3
FEW: Final = 17
"""The end of small integers: past a power of two."""
MOST_WORD: Final = 12
"""Characters of a string in an array of strings."""

_KINDS: Final = {
    SMALL: (("small", 1.0),),
    NEAR: (("small", 0.45), ("near", 0.55)),
    KNOWN: (("small", 0.2), ("near", 0.3), ("all", 0.2), ("edge", 0.2), ("size", 0.1)),
    ANY: (("small", 0.1), ("near", 0.2), ("all", 0.1), ("edge", 0.15), ("size", 0.2),
          ("bits", 0.1), ("joined", 0.15)),
}  # fmt: skip
"""How often each kind of value is drawn, by reach."""
SPELLED: Final = 0.2
"""How often a string is, or holds, a number as it is written."""
_CONVERSION: Final = re.compile(r"%[-+ #0-9.*hlqjzt]*([a-zA-Z%])")
_TEXTS: Final = ("plain", "word", "part", "pieces", "changed")


def reach(rng: random.Random, number: int) -> int:
    """How far the values of a parameter are fetched in the trace of this number."""
    return rng.choice(REACHES[min(number // ROUND, len(REACHES) - 1)])


class Drawing:
    """Draws values; a function of the random numbers and of what was mined alone."""

    def __init__(self, rng: random.Random, mined: Mined) -> None:
        self.rng = rng
        self.near = mined.near if mined.near != Constants() else mined.all
        self.all = mined.all

    def kind(self, far: int) -> str:
        """Which kind of value comes next."""
        names, weights = zip(*_KINDS[far], strict=True)
        return str(self.rng.choices(names, weights)[0])

    def constants(self, kind: str) -> Constants:
        """Those of what changed, or all."""
        return self.all if kind in ("all", "size", "bits") else self.near

    # --- integers ---------------------------------------------------------------------

    def integer(self, low: int, high: int, far: int) -> int:
        """An integer from a range."""
        rng = self.rng
        if high - low <= NARROW:
            return rng.choice((low, high)) if rng.random() < ENDS else rng.randint(low, high)
        kind = self.kind(far)
        found = self.far(kind, low, high)
        return self.small(low, high) if found is None else found

    def small(self, low: int, high: int) -> int:
        """One of the simplest integers of a range."""
        start = max(low, -1) if high > FEW else low
        end = min(start + FEW + 1, high)
        if self.rng.random() < ENDS:
            return self.rng.choice((start, end))
        return self.rng.randint(start, end)

    def far(self, kind: str, low: int, high: int) -> int | None:
        """An integer of a kind from a wide range; None where none is found."""
        rng = self.rng
        if kind in ("size", "bits", "joined") and high - low < 256:
            return rng.randint(low, high)
        if kind in ("near", "all"):
            value = self.pick(self.constants(kind).ints)
            return None if value is None else within(value + self.beside(), low, high)
        if kind == "joined":
            return self.joined(low, high)
        if kind == "edge":
            return self.edge(low, high)
        if kind == "size":
            span = 1 << rng.randrange((high - low).bit_length())
            start = 0 if low <= 0 <= high else low
            return min(max(start + rng.randint(-span, span), low), high)
        return rng.randint(low, high) if kind == "bits" else None

    def edge(self, low: int, high: int) -> int | None:
        """An end of a range, or beside a power of two."""
        rng = self.rng
        if rng.random() < 0.4:
            return rng.choice((low, low + 1, high - 1, high, (low + high) // 2))
        power = 1 << rng.randrange(max(abs(low), abs(high)).bit_length())
        return within(rng.choice((1, -1)) * power + self.beside(), low, high)

    def joined(self, low: int, high: int) -> int | None:
        """What two constants give together."""
        one, other = self.pick(self.near.ints), self.pick(self.near.ints)
        if one is None or other is None:
            return None
        made = (
            one + other, one - other, one * other, one ^ other, one | other, one & other,
            one << (other & 63), one // other if other else 0, math.isqrt(abs(one)),
        )  # fmt: skip
        return within(self.rng.choice(made) + self.beside(), low, high)

    def beside(self) -> int:
        """A distance to a neighbour, or none."""
        return self.rng.choice((0, 0, -1, 1))

    def pick(self, values: Sequence[int]) -> int | None:
        """A constant; those in front are drawn more often."""
        return values[int(len(values) * self.rng.random() ** 1.5)] if values else None

    # --- floating numbers -------------------------------------------------------------

    def floating(self, param: Param, far: int) -> str:
        """A floating number, as a trace holds it."""
        size = param.shape.size if param.shape is not None else 8
        for _ in range(4):
            value = floats.stored(self.number(size, far), size)
            if param.least <= value <= param.most or (math.isnan(value) and not param.is_bounded):
                return repr(value)
        if not param.is_bounded:
            return "0.0"
        part = self.rng.choice((0.0, 1.0, 0.5, self.rng.random()))
        value = param.least + (param.most - param.least) * part
        value = value if math.isfinite(value) else max(param.least, min(param.most, 0.0))
        return repr(floats.nearest(value, size, param.least, param.most))

    def number(self, size: int, far: int) -> float:
        """A floating number of so many bytes, or one that is rounded to it."""
        rng, kind = self.rng, self.kind(far)
        known = self.constants(kind)
        if kind in ("near", "all") and (known.floats or known.ints):
            value = self.constant(known)
            return rng.choice((value, value, *floats.beside(value, size), -value))
        if kind == "edge":
            return rng.choice(floats.edges(size))
        if kind == "size":
            return math.ldexp(rng.uniform(-1, 1), rng.randrange(-40, 70))
        if kind == "bits":
            return floats.of_bits(rng.getrandbits(8 * size), size)
        if kind == "joined" and (known.floats or known.ints):
            one, other = self.constant(known), self.constant(known)
            return rng.choice((one + other, one - other, one * other, (one + other) / 2))
        return rng.choice((
            float(rng.randint(-2, FEW)), float(rng.randint(-2, FEW)), rng.randint(-9, 9) / 2,
            rng.randint(-40, 40) / 8, rng.choice((0.0, -0.0, 0.1, -1.5)),
        ))  # fmt: skip

    def constant(self, known: Constants) -> float:
        """A constant; now and then an integer, with which a floating number may be compared."""
        if known.floats and (not known.ints or self.rng.random() < 0.8):
            return self.rng.choice(known.floats)
        return float(self.rng.choice(known.ints))

    # --- texts and bytes --------------------------------------------------------------

    def length(self, low: int, high: int, far: int, scale: int = 1) -> int:
        """How many characters or bytes; ``scale`` are the bytes of what the code counts.

        Few, as a rule; but code that goes another way from 300 on says 300.
        """
        rng = self.rng
        if high - low <= FEW:
            return self.integer(low, high, far)
        way = rng.random()
        if far > SMALL and way < MINED:
            told = self.pick(self.constants(self.kind(far)).ints)
            wanted = 0 if told is None else scale * (abs(told) + self.beside())
            if wanted > FEW and low <= wanted <= high:
                return wanted
        if far == ANY and way > 1 - LONG:
            span = 1 << rng.randrange((high - low).bit_length())
            return min(low + rng.randint(0, span), high)
        return rng.randint(low, low + (4 if far == SMALL else FEW))

    def text(self, param: Param, far: int) -> str:
        """A string of the characters that a parameter takes, made of what the code holds."""
        rng, low, high = self.rng, param.low, param.high
        if param.grammar is not None:
            return param.grammar.draw(rng)
        if param.passed == "strings":
            one = replace(param, low=0, high=MOST_WORD, passed="")
            count = self.length(low, min(high, low + FEW), far)
            return "".join(self.text(one, far).replace("\n", " ") + "\n" for _ in range(count))
        words = [w for w in self.constants(self.kind(far)).words if self.fits(param, w)]
        pool = self.pool(param, far)
        if far > SMALL and rng.random() < SPELLED:
            text = self.spelled(words, far)
            if self.fits(param, text) and low <= len(text) <= high:
                return text
        made = rng.choice(_TEXTS) if words and far > SMALL else "plain"
        if made == "plain":
            return "".join(rng.choice(pool) for _ in range(self.length(low, high, far)))
        text = rng.choice(words)
        if made == "part":
            text = text[: rng.randint(1, len(text))]
        elif made == "pieces":
            pieces = (rng.choice(pool), rng.choice(pool), rng.choice(words), text)
            text = "".join(rng.choice(pieces) for _ in range(rng.randint(2, 4)))
        elif made == "changed":
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(("", rng.choice(pool))) + text[at + rng.randrange(2) :]
        return text[:high] + "".join(rng.choice(pool) for _ in range(low - len(text)))

    def spelled(self, words: Sequence[str], far: int) -> str:
        """A number as it is written, alone, in a format that the code holds, or among words."""
        rng = self.rng
        formats = [word for word in words if "%" in word]
        way = rng.random()
        if formats and way < 0.5:
            return _CONVERSION.sub(lambda one: self.converted(one[1], far), rng.choice(formats))
        number = self.digits(far)
        if way < 0.7:
            return number
        marks = [*self.near.letters, *"=:-, "]
        if words and way < 0.85:
            return f"{rng.choice(words)}{rng.choice(marks)}{number}"
        marks += words
        pieces = [rng.choice(marks) for _ in range(rng.randint(1, 3))]
        pieces.insert(rng.randint(0, len(pieces)), number)
        return "".join(pieces)

    def digits(self, far: int) -> str:
        """An integer as it is written, or now and then with a point, or in another base."""
        rng = self.rng
        number = self.integer(-(1 << 31), (1 << 31) - 1, far)
        way = rng.random()
        if way < 0.7:
            return str(number)
        if way < 0.8:
            return f"{abs(number):#x}"
        if way < 0.9:
            return f"{rng.choice(('+', '0', ' '))}{abs(number)}"
        return f"{number}.{rng.randint(0, 99)}"

    def converted(self, letter: str, far: int) -> str:
        """What is read or written by a conversion of a format."""
        if letter in "di":
            return str(self.integer(-(1 << 31), (1 << 31) - 1, far))
        if letter in "uoxX":
            number = self.integer(0, (1 << 32) - 1, far)
            return f"{number:{'d' if letter == 'u' else letter}}"
        if letter == "c":
            return self.rng.choice("ab0 ")
        if letter in "aAeEfFgG":
            return self.digits(far)
        return "%" if letter == "%" else "".join(self.rng.choice("ab") for _ in range(3))

    def fits(self, param: Param, word: str) -> bool:
        """Whether a word has only characters that a parameter takes."""
        return not param.alphabet or set(word) <= set(param.alphabet)

    def pool(self, param: Param, far: int) -> str:
        """The characters that a string is drawn from; the code's own count more."""
        if param.alphabet:
            own = "".join(c for c in self.near.letters if c in param.alphabet)
            return param.alphabet + (own if far > SMALL else "")
        if far == SMALL:
            return "ab" + self.near.letters[:8]
        pool = "abAB01 _-+.,:/\\\"'" + 2 * self.near.letters
        if far > NEAR:
            pool += self.all.letters + "".join(self.all.words)[:200] + "\n\t%{}[]()<>=&#~"
        return pool + (ALPHABET if far == ANY else "")

    def data(self, param: Param, far: int) -> str:
        """Bytes, in hexadecimal: elements of what is pointed to, or any."""
        if param.layout is not None:
            return parted.draw(self, param, far)
        rng = self.rng
        to = param.shape.to if param.shape is not None else None
        scale = to.size if to is not None and to.size in (2, 4, 8) else 1
        size = self.length(param.low, param.high, far, scale)
        if to is not None and to.kind in ("int", "float") and to.size in (2, 4, 8):
            made = b"".join(self.element(to.kind, to.size, far) for _ in range(size // to.size))
            return (made + bytes(size - len(made))).hex()
        way = rng.random()
        if way < 0.4:
            # Without the byte that marks what nobody wrote, see the worker's FILL.
            return rng.randbytes(size).replace(b"\xa5", b"\x5a").hex()
        if way < 0.7:
            return bytes((i + 1) & 0xFF for i in range(size)).hex()
        open_text = Param("", "string", size, size, alphabet="")
        return self.text(open_text, far).encode("latin-1").hex()

    def element(self, kind: str, size: int, far: int) -> bytes:
        """One element of an array, as it lies in memory."""
        if kind == "float" and size in floats.PARTS:
            return floats.packed(floats.stored(self.number(size, far), size), size)
        value = self.integer(-(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1, far)
        return value.to_bytes(size, "little", signed=True)


def within(value: int, low: int, high: int) -> int | None:
    """The number of a range that has the bits of another one; None where there is none."""
    if low <= value <= high:
        return value
    needed = (high if low >= 0 else max(high, -low - 1) * 2).bit_length()
    for bits in (8, 16, 32, 64):
        same = value % (1 << bits)
        for one in (same, same - (1 << bits)):
            if bits >= needed and low <= one <= high:
                return one
    return None
