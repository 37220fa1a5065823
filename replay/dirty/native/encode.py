"""Traces → what the driver takes: a table of traces, rows of four numbers, log words."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from replay.dirty.language.kinds import Words
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Config, Trace
from replay.errors import DomainError

OPCODES: Final = {name: number for number, name in enumerate(OPS, 1)}
"""As in ``enum dirty_opcode``, whose order is that of the trace language."""

WORDS_AT: Final = {
    name: at for name, spec in OPS.items() if (at := spec.position(Words)) is not None
}
"""Which arguments are log words: a row has their place among the words of the batch."""

MOST_PAGES: Final = 1 << 27
"""Half a TiB of RAM: the byte map of the first steps and the records are real memory."""

WORD_BITS: Final = Config().word_bits
LEAST: Final = 0.25
PER_OP: Final = 2e-6
PER_PAGE: Final = 2e-7
"""Seconds that no operation of a sound step needs, by far: see ``Batch.limit``."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Traces, encoded.

    Attributes:
        traces: as they were; none of streams, which are encoded without being made.
        table: (first row, operations, hpratio, tcg) a trace.
        rows: four numbers an operation.
        words: of the logs, which the rows point into.
        word_bits: of the machine words of all traces.
        limit: seconds of processor time after which running all traces at one step is
            taken for hanging: some hundred times what a sound step needs.

    """

    traces: tuple[Trace, ...]
    table: array[int]
    rows: array[int]
    words: array[int]
    limit: float
    word_bits: int = WORD_BITS

    @property
    def count(self) -> int:
        """How many traces."""
        return len(self.table) // 4

    @property
    def ops(self) -> int:
        """Operations in all traces."""
        return len(self.rows) // 4


def encode(traces: Sequence[Trace], word_bits: int = WORD_BITS) -> Batch:
    """Encode valid traces of machines with words of so many bits.

    Raises:
        DomainError: a machine that the C cannot be, with what it can.

    """
    table, rows, words = array("q"), array("q"), array("Q")
    for trace in traces:
        _check(trace, word_bits)
        config = trace.config
        table.extend((len(rows) // 4, len(trace.ops), config.hpratio, config.tcg))
        for name, args in trace.program:
            at = WORDS_AT.get(name)
            if at is None:
                rows.extend((OPCODES[name], *args, *(0,) * (3 - len(args))))
            else:
                row = (*args[:at], len(words), *args[at + 1 :])
                rows.extend((OPCODES[name], *row, *(0,) * (3 - len(args))))
                words.extend(args[at])
    limit = LEAST + sum(len(trace.ops) * (PER_OP + PER_PAGE * trace.most_pages) for trace in traces)
    return Batch(tuple(traces), table, rows, words, limit, word_bits)


def _check(trace: Trace, word_bits: int) -> None:
    config = trace.config
    for name, value, wanted in (
        ("page_bits", config.page_bits, Config().page_bits),
        ("word_bits", config.word_bits, word_bits),
    ):
        if value != wanted:
            raise DomainError(
                f"{name} is {value}: the C of the series is compiled for {wanted} alone; "
                "use the Python models for other machines"
            )
    if trace.most_pages > MOST_PAGES:
        raise DomainError(
            f"up to {trace.most_pages} pages of RAM; the native lane takes {MOST_PAGES}"
        )
