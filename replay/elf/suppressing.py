"""Differences that somebody accepts, with the reason, in a file of TOML.

::

    [[suppress]]
    kind = "layout"           # code, interface, layout, linkage, not compared
    name = "struct private_*" # a name or pattern, of a function, variable or type
    member = "util.o"         # of an archive or folder; all if it is left out
    reason = "opaque to callers since 2.1"

A suppression takes away differences of its own kind and name, and nothing else; that
nothing was compared is taken away by none. One that fits no difference is stale.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from replay.elf.bundles import BundleComparison
from replay.elf.changes import KINDS, Comparison, Kind, Whole
from replay.elf.findings import Finding, findings
from replay.errors import UsageError

LARGEST: Final = 1 << 20
"""Bytes of a file of suppressions."""

_KEYS: Final = ("kind", "name", "member", "reason")
_BY_NAME: Final = {name: kind for kind, name in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is accepted.

    Attributes:
        name: a name, or a pattern such as ``struct private_*``.
        member: the same for the member of an archive or folder.
        reason: why; never empty.
        number: which in its file, from 1.
    """

    kind: Kind
    name: str
    member: str
    reason: str
    number: int

    def fits(self, finding: Finding) -> bool:
        """Whether a difference is what is meant."""
        return (
            self.kind is finding.kind
            and bool(finding.name)
            and fnmatchcase(finding.name, self.name)
            and fnmatchcase(finding.member, self.member)
        )

    def __str__(self) -> str:
        place = "" if self.member == "*" else f" in {self.member}"
        return f"suppression {self.number} ({KINDS[self.kind]} of {self.name}{place})"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A comparison and what is accepted of it.

    Attributes:
        path: the file of the suppressions.
        accepted: the differences that were taken away, each with the reasons.
        stale: the suppressions that no difference fits.
        left: the differences that remain.
        kinds: the kinds of those.
    """

    path: str
    accepted: tuple[tuple[Finding, tuple[str, ...]], ...]
    stale: tuple[Suppression, ...]
    left: tuple[Finding, ...]
    kinds: Kind


def read_suppressions(path: Path) -> tuple[Suppression, ...]:
    """The suppressions in a file.

    Raises:
        UsageError: it cannot be read, or is not as described above.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST} bytes: it holds no suppressions")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    unknown = sorted(tables.keys() - {"suppress"})
    if unknown:
        raise UsageError(f"{path}: {unknown[0]!r} is not known; write tables [[suppress]]")
    rows = tables.get("suppress", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: 'suppress' is no list of tables; write [[suppress]]")
    return tuple(_suppression(path, number, row) for number, row in enumerate(rows, 1))


def _suppression(path: Path, number: int, row: Mapping[str, Any]) -> Suppression:
    place = f"{path}: suppression {number}"
    for key, value in row.items():
        if key not in _KEYS:
            raise UsageError(f"{place}: {key!r} is not known; known are {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f'{place}: {key} is no text; write {key} = "..."')
    for key in ("kind", "name", "reason"):
        if key not in row:
            why = "; say why the difference is accepted" if key == "reason" else ""
            raise UsageError(f"{place} has no {key}{why}")
    kind = _BY_NAME.get(row["kind"])
    if kind is None:
        raise UsageError(
            f"{place}: there is no kind {row['kind']!r}; there are {', '.join(_BY_NAME)}"
        )
    return Suppression(kind, row["name"], row.get("member", "*"), row["reason"].strip(), number)


def suppress(
    result: Comparison | BundleComparison, suppressions: Sequence[Suppression], path: Path | str
) -> Suppressed:
    """What remains of a comparison without the differences that are accepted.

    Args:
        result: the comparison.
        suppressions: what is accepted.
        path: the file that they are from.
    """
    accepted, left = [], []
    used: set[int] = set()
    for finding in findings(result):
        fitting = [s for s in suppressions if s.fits(finding)]
        used.update(s.number for s in fitting)
        if fitting:
            accepted.append((finding, tuple(dict.fromkeys(s.reason for s in fitting))))
        else:
            left.append(finding)
    kinds = Kind.UNCOMPARED if is_vacuous(result) else Kind(0)
    for finding in left:
        kinds |= finding.kind
    stale = tuple(s for s in suppressions if s.number not in used)
    return Suppressed(str(path), tuple(accepted), stale, tuple(left), kinds)


def is_vacuous(result: Comparison | BundleComparison) -> bool:
    """Whether nothing is in both builds: whatever of it is accepted, nothing was compared."""
    if result.verdict is Whole.NOTHING:
        return True
    if isinstance(result, Comparison):
        common = any(f.before and f.after for f in result.functions)
        common = common or any(d.before and d.after for d in result.data)
        return not common and bool(result.functions or result.data)
    both = [member for member in result.members if member.before and member.after]
    return all(m.comparison is not None and is_vacuous(m.comparison) for m in both)
