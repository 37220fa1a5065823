"""The passes that make single values simpler: numbers, texts and bytes.

Integers go towards 0, and to the constant of the code that they came from; so do floating
numbers, which also lose their fractions. Of texts and bytes runs are left out anywhere:
halves, quarters, … single ones; what must stay becomes the first of the alphabet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from replay.repo import floats, parted
from replay.repo.binding import ALPHABET, Interface, Param
from replay.repo.calls import CallTrace, Value
from replay.repo.drawing import within
from replay.repo.mining import Mined
from replay.search.shrink import Shrinker

FEW: Final = 5
"""Integers so small that they are tried one by one."""
_NEAREST: Final = 12
"""Constants that are tried for a value: those nearest to it."""
_LETTERS: Final = 8
"""Characters simpler than a given one that are tried for it."""

Offer = Callable[[Value], bool]
"""Considers the best trace with another value at one place."""


def places(interface: Interface, trace: CallTrace) -> Iterator[tuple[int, int, Param]]:
    """The places of values: (call, position in it, its parameter)."""
    for index, call in enumerate(trace):
        for position, param in enumerate(interface.ops[call.op].given):
            yield index, position, param


def with_value(trace: CallTrace, index: int, position: int, value: Value) -> CallTrace:
    """A trace with another value at a place."""
    values = list(trace[index].values)
    values[position] = value
    call = replace(trace[index], values=tuple(values))
    return (*trace[:index], call, *trace[index + 1 :])


def smaller_values(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Make single values simpler, each as simple as it can be."""
    for index, position, param in list(places(interface, s.best)):

        def offer(value: Value, at: int = index, place: int = position) -> bool:
            return s.consider(with_value(s.best, at, place, value))

        value = s.best[index].values[position]
        if param.role == "choice":
            any(offer(choice) for choice in param.choices[: param.choices.index(value)])
        elif param.callback is not None and isinstance(value, int):
            any(offer(one) for one in param.callback.simpler(value))
        elif param.role == "int" and isinstance(value, int):
            _smaller_integer(param, value, interface.mined, offer)
        elif param.role == "float" and isinstance(value, str):
            _smaller_floating(param, value, interface.mined, offer)
        elif param.layout is not None and isinstance(value, str):
            _smaller_elements(param, value, interface.mined, offer)
        elif param.grammar is not None and param.grammar.words:
            any(offer(word) for word in param.grammar.words if word != value)
        elif param.role in ("string", "bytes", "inout") and isinstance(value, str):
            _smaller_items(_Items(param), value, offer)


# --- numbers --------------------------------------------------------------------------


def simpler_integers(param: Param, value: int) -> Iterator[int]:
    """Some simpler integers for a parameter, the simplest first."""
    if value < 0 and -value <= param.high:
        yield -value
    sign = -1 if value < 0 else 1
    size = abs(value)
    for smaller in dict.fromkeys((*range(FEW), size // 2, size - 2, size - 1, param.low)):
        if 0 <= smaller < size and param.low <= sign * smaller <= param.high:
            yield sign * smaller


def _smaller_integer(param: Param, value: int, mined: Mined, offer: Offer) -> None:
    few = [one for one in simpler_integers(param, value) if abs(one) < FEW or one == -value]
    for one in (*few, *_constants_near(param, value, mined)):
        if offer(one):
            value = one
            break
    # What is wanted may be all that is beyond an end: half the way, and half of that.
    sign, low, high = -1 if value < 0 else 1, min(FEW, abs(value)) - 1, abs(value)
    while high - low > 1:
        middle = (low + high) // 2
        if param.low <= sign * middle <= param.high and offer(sign * middle):
            high = middle
        else:
            low = middle
    for smaller in (high - 2, param.low):
        if param.low <= sign * smaller <= param.high and smaller >= 0 and offer(sign * smaller):
            return


def _constants_near(param: Param, value: int, mined: Mined) -> Iterator[int]:
    """Constants and what is beside them, of those nearest to a value the simplest first."""
    known = {within(c, param.low, param.high) for c in (*mined.near.ints, *mined.all.ints)}
    found = sorted((c for c in known if c is not None), key=lambda c: (abs(c - value), c))
    for constant in sorted(found[:_NEAREST], key=abs):
        for one in (constant, constant - 1, constant + 1):
            if param.low <= one <= param.high and abs(one) <= abs(value):
                yield one


def _smaller_floating(param: Param, text: str, mined: Mined, offer: Offer) -> None:
    size = param.shape.size if param.shape is not None else 8
    value = float(text)
    known = sorted({*mined.near.floats, *mined.all.floats}, key=lambda c: (abs(c - value), c))
    tried = [*floats.simpler(value, size)]
    for constant in known[:_NEAREST]:
        tried += (constant, *floats.beside(constant, size))
    texts = {repr(floats.stored(one, size)) for one in tried}
    simplest = sorted(texts, key=floats.order)
    if any(offer(one) for one in simplest) or not value.is_integer():
        return
    sign, low, high = -1 if value < 0 else 1, 0, int(abs(value))
    while high - low > 1:
        middle = (low + high) // 2
        if offer(repr(floats.stored(float(sign * middle), size))):
            high = middle
        else:
            low = middle


# --- arrays and structs ---------------------------------------------------------------


def _smaller_elements(param: Param, value: str, mined: Mined, offer: Offer) -> None:
    """Fewer elements, then simpler numbers in them."""

    def take(candidate: Value) -> bool:
        nonlocal value
        if candidate == value or not offer(candidate):
            return False
        value = str(candidate)
        return True

    while any(take(one) for one in parted.without_runs(param, value)):
        pass
    for one in parted.zeroed(param, value):
        take(one)
    for index in range(len(value) // 2 // param.unit):
        for place in parted.places(param):
            now, inner = parted.get(parted.elements(param, value)[index], place), place[3]

            def with_it(number: Value, at: int = index, where: parted.Place = place) -> bool:
                plain = float(number) if isinstance(number, str) else number
                return take(parted.with_number(param, value, at, where, plain))

            if inner.role == "choice":
                any(with_it(choice) for choice in inner.choices if choice != now)
            elif inner.role == "float":
                _smaller_floating(inner, repr(float(now)), mined, with_it)
            elif isinstance(now, int) and inner.role == "int":
                _smaller_integer(inner, now, mined, with_it)


# --- texts and bytes ------------------------------------------------------------------


class _Items:
    """A text or bytes as a sequence: characters, or two digits each."""

    def __init__(self, param: Param) -> None:
        self.param = param
        self.width = 1 if param.role == "string" else 2
        self.order = param.alphabet or ALPHABET

    def split(self, value: str) -> list[str]:
        """The items of a value."""
        return [value[at : at + self.width] for at in range(0, len(value), self.width)]

    def simpler(self, item: str) -> Iterator[str]:
        """Items that are smaller than one, the simplest first."""
        if self.width == 2:
            number = int(item, 16)
            tried = dict.fromkeys((0, 1, 2, number // 2, number - 1))
            yield from (f"{one:02x}" for one in tried if 0 <= one < number)
            return
        at = self.order.find(item)
        yield from self.order[: min(at if at >= 0 else len(self.order), _LETTERS)]


def _smaller_items(items: _Items, value: str, offer: Offer) -> None:
    now = items.split(value)

    def take(candidate: Sequence[str]) -> bool:
        nonlocal now
        if len(candidate) < items.param.low or not offer("".join(candidate)):
            return False
        now = list(candidate)
        return True

    take(now[: items.param.low])
    run = len(now)
    while run:
        at = len(now) - run
        while at >= 0:
            take(now[:at] + now[at + run :])
            at = min(at - run, len(now) - run)
        run //= 2
    first = next(items.simpler("ff" if items.width == 2 else "\xff"))
    run = len(now)
    while run:
        for at in range(0, len(now), run):
            end = min(at + run, len(now))
            take(now[:at] + [first] * (end - at) + now[end:])
        run //= 2
    for at in range(len(now)):
        any(take([*now[:at], one, *now[at + 1 :]]) for one in items.simpler(now[at]))
