"""Choose the sample: few vectors that together have every feature of many.

    python tests/vectors/choose.py ALL.jsonl.gz tests/vectors/public-sample.jsonl.gz

A feature is an operation under a configuration, a step that changes an operation, an
operation that aborts at a step, two operations in a row, and a heap overflow of the
real code. Vectors are taken greedily, the one with most new features for its length
first, then short ones until there are 60. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

WANTED = 60


def features(vector: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    config = tuple(vector["config"].values())
    ops = vector["ops"]
    yield ("oob", vector["name"].endswith("-oob"))
    for op in ops:
        yield ("op", op["op"], config, op.get("client"))
    for first, second in pairwise(ops):
        yield ("pair", first["op"], second["op"])
    recorded = [(0, i, entry) for i, entry in enumerate(vector["baseline"])]
    for step, entries in vector["changes"].items():
        recorded += [(int(step), int(i), entry) for i, entry in entries.items()]
        for index in entries:
            yield ("change", step, ops[int(index)]["op"], config)
    for step, index, entry in recorded:
        if entry is None:
            yield ("ended", step)
        elif entry["status"] == "abort":
            yield ("abort", step, ops[index]["op"])
        else:
            yield ("ret", ops[index]["op"], str(entry["ret"])[:1])


def choose(lines: list[bytes]) -> list[bytes]:
    have = {i: set(features(json.loads(line))) for i, line in enumerate(lines)}
    covered: set[tuple[Any, ...]] = set()
    chosen: list[int] = []
    while len(chosen) < WANTED:
        rest = [i for i in have if i not in chosen]
        best = max(rest, key=lambda i: (len(have[i] - covered) / len(lines[i]), -len(lines[i]), -i))
        covered |= have[best]
        chosen.append(best)
    return [lines[i] for i in sorted(chosen)]


def main(source: str, target: str) -> None:
    sample = b"".join(choose(gzip.decompress(Path(source).read_bytes()).splitlines(True)))
    Path(target).write_bytes(gzip.compress(sample, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
