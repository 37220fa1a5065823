"""What a campaign on commits asks, as plain values and back; and what it rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.repo.expectfile import Entry
from replay.repo.keys import machine, pair_key, version
from replay.repo.opening import FIRST, Request
from replay.repo.pairing import Pair

_PLAIN: Final = (
    "commits", "build", "library", "traces", "ops", "seed", "build_limit", "call_limit", "budget",
    "incremental", "prove", "fresh",
)  # fmt: skip
_PATHS: Final = ("repo", "binding", "expect")


@dataclass(frozen=True, slots=True)
class Row:
    """A commit of the range, as a state knows it.

    Attributes:
        id, subject: of the commit.
        pair: the number of its pair in the campaign; None where no trace is run for it.
        said: why, in a few words.

    """

    id: str
    subject: str
    pair: int | None = None
    said: str = ""

    @property
    def short(self) -> str:
        """The id as people write it."""
        return self.id[:12]


def first_round(traces: int | None) -> int | None:
    """The traces of the first round as a request has them, where so many are wanted in all."""
    return traces if traces is not None and traces < FIRST else None


def request_values(request: Request) -> dict[str, Any]:
    """A request as JSON can hold it; files by where they are, whoever goes on from where."""
    found: dict[str, Any] = {name: getattr(request, name) for name in _PLAIN}
    for name in _PATHS:
        path: Path | None = getattr(request, name)
        found[name] = None if path is None else str(path.resolve())
    found["wrapper"] = [str(path.resolve()) for path in request.wrapper]
    model = request.model
    found["model"] = None if model is None else [str(model[0].resolve()), model[1]]
    return found


def request_of(values: Mapping[str, Any], jobs: int) -> Request:
    """A request from its values.

    Raises:
        KeyError, ValueError, TypeError: they are none of a request.

    """
    plain: dict[str, Any] = {name: values[name] for name in _PLAIN}
    paths: dict[str, Any] = {
        name: None if values[name] is None else Path(values[name]) for name in _PATHS
    }
    model = values["model"]
    return Request(
        **plain, **paths, wrapper=tuple(map(Path, values["wrapper"])),
        model=None if model is None else (Path(model[0]), model[1]), jobs=jobs,
    )  # fmt: skip


def made_of(question: str, rows: Sequence[Row], pairs: Sequence[tuple[Pair, Sequence[str]]]) -> str:
    """A name for all that the verdicts depend on: the tool, the question, the libraries.

    Args:
        question: its digest.
        rows: the commits.
        pairs: each with the trees of its commits.

    """
    keys = [pair_key(question, pair, trees) or _other_key(pair) for pair, trees in pairs]
    parts = [version(), machine(), question, [row.id for row in rows], keys]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _other_key(pair: Pair) -> str:
    """The key of a pair with a model or a rule: by the files of these, too."""
    entries = pair.expected.entries if pair.expected is not None else ()
    files = [entry.rule[0] for entry in entries if entry.rule is not None]
    files += [side.library for side in (pair.before, pair.after) if side.model]
    texts = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    return json.dumps(
        [pair.before.key, pair.after.key, sorted(pair.names), texts, _said(entries)]
    )  # fmt: skip


def _said(entries: Sequence[Entry]) -> str:
    return repr([(e.number, e.functions, e.fields, e.results, e.rule) for e in entries])
