"""What a kind of argument must say, with the answers that a plain number gives.

All that is common to the values of a kind stands in its class, once: which are valid,
how they are drawn, read, written and shown, what counts as smaller, and what becomes of
them where a block shrinks, moves or widens. The kinds themselves are in ``addresses`` and
``kinds``, the operations that are made of them in ``operations``.

In a *bound* trace (``language.bound``) an address is a place, (block, offset in bytes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from replay.base.jsonlines import Place, kind, shown

if TYPE_CHECKING:
    from replay.dirty.language.domain import Layout
    from replay.dirty.language.draws import Draws
    from replay.dirty.language.trace import Argument, Config

MAX_ADDRESS: Final = 1 << 62

Arguments: TypeAlias = tuple[Any, ...]
"""The arguments of an operation in order, or those before the one that is asked for."""


class At(NamedTuple):
    """Where an operation stands: its arguments, and the machine that it comes to."""

    named: Mapping[str, Any]
    layout: Layout
    config: Config
    block: tuple[int, int]
    """(first page, pages) of the block of the address; (0, 0) where there is none."""


class Spot(NamedTuple):
    """What a stream draws of each kind at one place: see ``native.stream``."""

    block: int
    addr: int
    length: int
    size: int
    client: str
    pages: int
    start: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A number, and what every other kind may say otherwise; ``name`` is the parameter's."""

    name: str

    def alone(self, value: Any) -> str | None:
        """What is wrong with a value on any machine, None if nothing."""
        if 0 <= value < MAX_ADDRESS:
            return None
        return f"{self.name} is {value}; it must be from 0 to 2^62 - 1"

    def problem(self, value: Any, at: At) -> str | None:
        """What is wrong with a value where it stands, None if nothing."""
        return None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """A random value, after those of the parameters before it."""
        raise NotImplementedError(f"{self.name}: an operation of this kind draws by itself")

    def streamed(self, spot: Spot) -> Argument:
        """The value that a stream gives it."""
        raise NotImplementedError(f"{self.name} is in no stream")

    def read(self, value: Any, place: Place, config: Config) -> Argument:
        """A value from JSON.

        Raises:
            TraceError: it is of another kind.

        """
        return integer(value, self.name, place)

    def to_json(self, value: Any) -> Any:
        """As in a file."""
        return value

    def text(self, value: Any) -> str:
        """As people read it."""
        return str(value)

    def weight(self, value: Any) -> int:
        """How much it adds to the size of a trace."""
        return int(value)

    def order(self, value: Any) -> Any:
        """What values of equal weight are ordered by."""
        return value

    def smaller(self, value: Any, config: Config) -> Iterator[Any]:
        """Values to try in its place, the smallest first; an address as a place."""
        page = config.page_size
        for less in (0, 1, 2, 4, page, page + 1, value // page * page, value - page,
                     value % page, value // 2, value - 1):  # fmt: skip
            if 0 <= less < value:
                yield less

    def cut(self, value: Any, room: int, config: Config) -> Any:
        """The value where only ``room`` bytes of its block follow the address."""
        return value

    def lowered(self, value: Any, fewer: int, page: int) -> Any:
        """The value where its block has lost ``fewer`` bytes, whole pages, at the front."""
        return value

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """The value where each page has become ``times`` as many; words then have 64 bits.

        ``before`` are the arguments before it as they were, ``config`` the machine as it was.
        """
        return value

    def settled(self, value: Any, before: Arguments, config: Config) -> Any:
        """The value made to agree with the arguments before it, which may be new."""
        return value


def integer(value: Any, what: str, place: Place) -> int:
    """An integer of JSON in the range of addresses.

    Raises:
        TraceError: it is none.

    """
    # bool is a subclass of int in Python, not in JSON.
    if not isinstance(value, int) or isinstance(value, bool):
        found = shown(value) if isinstance(value, str) else kind(value)
        place.fail(f"{what} is {found}; it must be an integer")
    if not 0 <= value < MAX_ADDRESS:
        place.fail(f"{what} is {shown(value)}; it must be from 0 to 2^62 - 1")
    return value


def lowered(offset: int, fewer: int, page: int) -> int:
    """An offset in a block that has lost ``fewer`` bytes, whole pages, at the front."""
    return offset - fewer if offset >= fewer else offset % page


def spread(offset: int, page: int, times: int) -> int:
    """An offset, or a length, where each page has become ``times`` as many."""
    return offset // page * page * times + offset % page


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation gives.

    Attributes:
        name: as the table of operations says it.
        meaning: what the numbers of C stand for; one that is not listed stands for itself.
        hexadecimal: whether people read its numbers so.

    """

    name: str
    meaning: Mapping[int, Any] = field(default_factory=dict)
    hexadecimal: bool = False


NOTHING: Final = Result("null", {-1: None})
ANSWER: Final = Result("bool", {0: False, 1: True})
ENTRY: Final = Result("notdirty or direct", {0: "notdirty", 1: "direct"})
PATH: Final = Result("slow or fast", {0: "slow", 1: "fast"})
COUNT: Final = Result("dirty pages")
OFFSET: Final = Result("offset", hexadecimal=True)
OFFSET_IN_BLOCK: Final = Result("offset in the block", hexadecimal=True)
