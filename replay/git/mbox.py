"""The mails of a mailbox, in the forms that mail programs and archives write."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

# Some archives hide addresses as "a at b", and some dates come with a zone.
SEPARATOR: Final = re.compile(
    rb"From \S+(?: at \S+)? +[A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]{1,2} [0-9:]{8} "
    rb"(?:[A-Z]{1,5} |[+-][0-9]{4} )?[0-9]{4}"
)
_MULTIPART: Final = re.compile(
    rb"^Content-Type:\s*multipart/[^\n]*(?:\n[ \t][^\n]*)*?boundary=\"?([^\"\s;]{1,70})",
    re.IGNORECASE | re.MULTILINE,
)


def split_mbox(data: bytes) -> list[tuple[bytes, int]]:
    """The mails of a mailbox, each with the number of lines before it.

    What starts a mail is text where it stands in a part of one, as the first line of a patch
    that is attached.
    """
    lines = data.split(b"\n")
    closing: dict[bytes, list[int]] = {}
    for i, line in enumerate(lines):
        if line.startswith(b"--") and line.rstrip().endswith(b"--"):
            closing.setdefault(line.rstrip(), []).append(i)
    starts: list[int] = []
    closed = -1
    for i, line in enumerate(lines):
        if i >= closed and line.startswith(b"From ") and SEPARATOR.match(line):
            starts.append(i)
            closed = _end_of_parts(lines, i, closing)
    if not starts:
        return [(data, 0)]
    bounds = [*starts, len(lines)]
    mails = []
    for start, end in pairwise(bounds):
        text = b"\n".join(lines[start:end])
        mails.append((text if end == len(lines) else text + b"\n", start))
    return mails


def _end_of_parts(lines: Sequence[bytes], start: int, closing: dict[bytes, list[int]]) -> int:
    """The index of the line that ends the parts of the mail at ``start``; -1 for none."""
    if not closing:
        return -1
    blank = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
    match = _MULTIPART.search(b"\n".join(lines[start:blank]))
    ends = closing.get(b"--" + match[1] + b"--", []) if match else []
    at = bisect_left(ends, start)
    return ends[at] if at < len(ends) else -1
