"""Which function that is gone is which one that is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

from replay.elf.forms import Code, Form, compare_forms

MOST_PAIRS: Final = 256
"""Of one code: among more functions alike no rename is looked for."""

Forms: TypeAlias = dict[str, Form | None]


def find_renames(gone: Forms, new: Forms, alike: Callable[[str, str], bool]) -> dict[str, str]:
    """Which removed function is which added one, where only one can be meant.

    First all pairs are taken for possible whose masked bytes agree; then those are
    dropped, until nothing changes, whose references agree under no possible pair.
    So functions that call one another can be found together.

    Args:
        gone: the functions that the first file alone has.
        new: those that the second alone has.
        alike: whether two functions have the same types, where both are known.
    """
    pairs: set[tuple[str, str]] = set()
    added = _by_code(new)
    for code, olds in _by_code(gone).items():
        news = added.get(code, [])
        if len(olds) * len(news) <= MOST_PAIRS:
            pairs |= {(old, other) for old in olds for other in news}
    pairs = _consistent(pairs, gone, new)
    alone = _one_to_one(pairs)
    typed = _one_to_one({pair for pair in pairs - alone if alike(*pair)})
    return dict(_consistent(alone | typed, gone, new))


def _consistent(pairs: set[tuple[str, str]], gone: Forms, new: Forms) -> set[tuple[str, str]]:
    """The largest set of pairs whose code is the same if all of them are renames."""
    while True:
        renamed: dict[str, frozenset[str]] = {}
        for old, other in pairs:
            renamed[old] = renamed.get(old, frozenset()) | {other}
        kept = {
            (old, other)
            for old, other in pairs
            if compare_forms(gone[old], new[other], renamed).code in (Code.IDENTICAL, Code.MASKED)
        }
        if kept == pairs:
            return pairs
        pairs = kept


def _by_code(forms: Forms) -> dict[bytes, list[str]]:
    """The functions by their masked bytes, without those that could not be masked."""
    found: dict[bytes, list[str]] = {}
    for name, form in forms.items():
        if form is not None and not form.raw:
            found.setdefault(form.code, []).append(name)
    return found


def _one_to_one(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs whose parts are in no other pair."""
    olds = Counter(old for old, _ in pairs)
    news = Counter(new for _, new in pairs)
    return {(old, new) for old, new in pairs if olds[old] == 1 and news[new] == 1}
