"""``replay init``: a commented binding from what a library says of itself.

What is written parses and fits the library, and says what was guessed. What cannot be
called is there as a comment, with its prototype and the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from replay.base.jsonlines import printable
from replay.repo import guessingcalls, objects
from replay.repo.binding import Binding, Param
from replay.repo.bindingfile import FORMAT, parse_binding
from replay.repo.draftingtext import HEAD
from replay.repo.errors import BindingError, RepoError
from replay.repo.guessing import Problem, guess_returns
from replay.repo.resolving import resolve
from replay.repo.roles import Guess, guesses, stores
from replay.repo.shapes import Function, LibraryShape
from replay.repo.speaking import said

NAME: Final = "the drafted binding"
_MANGLED: Final = re.compile(r"_Z|_R[A-Z]|\?")
"""Symbols of C++ and Rust: not for C to call."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A binding that was drafted.

    Attributes:
        text: of the file.
        binding: as read from it; None where nothing can be called.
        left_out: each function that is exported and not called, with the reason.

    """

    text: str
    binding: Binding | None
    left_out: Mapping[str, str]


@dataclass(slots=True)
class _Entry:
    """A function on its way into the draft: with ``why``, as a comment."""

    function: Function
    params: list[Guess]
    makes: str
    destroys: str
    observer: bool
    why: list[str] = field(default_factory=list)
    borrowed: bool = False

    @property
    def kinds(self) -> set[str]:
        """Of which objects it needs one."""
        roles = [g.param for g in self.params if g.param is not None and _is_used(g)]
        return {param.kind for param in roles if param.role == "handle"}

    @property
    def parent(self) -> str:
        """The parameter whose object what it makes may not outlive: the one of another kind."""
        handles = [
            guess.param for guess in self.params
            if guess.param is not None and guess.param.role == "handle" and _is_used(guess)
        ]  # fmt: skip
        others = [param for param in handles if param.kind != self.destroys]
        return others[0].name if self.made and self.made not in self.kinds and others else ""

    @property
    def made(self) -> str:
        """Which kind it makes, however it does."""
        roles = [g.param for g in self.params if g.param is not None and _is_used(g)]
        return self.makes or next((p.kind for p in roles if p.role in ("makes", "storage")), "")


def _is_used(guess: Guess) -> bool:
    """Whether a parameter is drafted by its role, and not by what is written for it."""
    return guess.param is not None and not _is_written(guess) and (
        not guess.careful
    )  # fmt: skip


def _is_written(guess: Guess) -> bool:
    """Whether what is written for a parameter may be said in a binding."""
    return bool(guess.role) and _known(guess.role) and (not guess.needs or _known(guess.needs))


def _known(role: str) -> bool:
    """Whether a binding may say this of a parameter."""
    return said(role) is not None


def draft(shape: LibraryShape, name: str) -> str:
    """A binding for a library, as text.

    Raises:
        RepoError: nothing in it can be called by what is known.

    """
    made = drafted(shape, name)
    if made.binding is None:
        why = next(iter(Counter(made.left_out.values())), shape.problem or "it exports nothing")
        raise RepoError(
            f"{name}: none of its functions can be called by what is known of them: {why}; "
            "see replay init"
        )
    return made.text


def drafted(shape: LibraryShape, name: str) -> Drafted:
    """A binding for a library: one in any case, if only of comments."""
    entries = _entries(shape)
    _borrow(entries)
    _without_makers(entries)
    while True:
        parts = [entry for entry in entries if not entry.why]
        text = "\n".join([_head(name), *(_text(entry) for entry in entries)])
        if not any(not entry.observer for entry in parts):
            for entry in parts:
                entry.why.append("no operation is left to look behind")
            break
        found = _misfit(text, shape, parts)
        if found is None:
            break
        entry, why = found
        entry.why.append(why)
        _without_makers(entries)
    unknown = _unknown(shape)
    ops = any(not entry.why for entry in entries)
    text = "\n".join([_head(name), *map(_text, entries), *_comments(unknown)])
    left = {entry.function.name: "; ".join(entry.why) for entry in entries if entry.why}
    binding = parse_binding(text, NAME) if ops else None
    return Drafted(text, binding, dict(sorted((left | unknown).items())))


def _head(name: str) -> str:
    return HEAD.format(name=printable(PurePath(name).name), format=FORMAT)


# --- what each function is ------------------------------------------------------------


def _entries(shape: LibraryShape) -> list[_Entry]:
    functions = [f for name, f in shape.functions.items() if not _MANGLED.match(name)]
    made = frozenset(
        kind for f in functions for kind in (objects.makes(f), *objects.made_by_pointer(f)) if kind
    )
    # What is taken for an object, and nothing makes it, may be borrowed from a function.
    made |= {
        objects.kind_of(f.returns) for f in functions
        if objects.is_handle(f.returns) and not objects.is_libc(f.returns)
    }  # fmt: skip
    stored = frozenset(stores(function, made) for function in functions) - {""}
    found = [_entry(function, shape, made, stored) for function in functions]
    return sorted(found, key=_order)


def _entry(
    function: Function, shape: LibraryShape, made: frozenset[str], stored: frozenset[str]
) -> _Entry:
    params = guesses(function, shape.enums, made, stored)
    observer = objects.observes(function) and all(map(_is_used, params))
    makes, destroys = objects.makes(function), objects.destroys(function)
    if observer:
        makes = destroys = ""
    entry = _Entry(function, params, makes, destroys, observer)
    warning = objects.warning(function)
    if warning:
        entry.why.append(warning)
        return entry
    if function.variadic and not guessingcalls.is_format(function):
        entry.why.append(
            "it takes any number of arguments, and no format says how many: wrap it, or write "
            'varargs = [["FORMAT", "int"]] if its last parameter is one'
        )
    for guess in params:
        if not _is_used(guess) and not _is_written(guess):
            entry.why.append(guess.why)
    returns = guess_returns(function.returns, makes)
    if isinstance(returns, Problem):
        entry.why.append(returns.text)
    entry.why = list(dict.fromkeys(entry.why))
    return entry


def _order(entry: _Entry) -> tuple[int, str]:
    """Constructors first, then what works on their objects, what ends them, observers last."""
    rank = 4 if entry.observer else 3 if entry.makes and entry.destroys else 1
    if rank == 1:
        rank = 0 if entry.makes else 2 if entry.destroys else 1
    return rank, entry.function.name


def _borrow(entries: Iterable[_Entry]) -> None:
    """Let functions that return an object, and take none, stand for its constructors."""
    entries = list(entries)
    made = {entry.made for entry in entries if not entry.why}
    ended = {entry.destroys for entry in entries}
    wanted = {kind for entry in entries for kind in entry.kinds} - made
    for entry in entries:
        returns = entry.function.returns
        if entry.why or entry.makes or entry.observer or not objects.is_handle(returns):
            continue
        kind = objects.kind_of(returns)
        if kind in wanted and kind not in entry.kinds and not (returns.const and kind in ended):
            entry.makes, entry.borrowed = kind, True


def _without_makers(entries: list[_Entry]) -> None:
    """Leave out what needs an object that nothing makes."""
    while True:
        made = {entry.made for entry in entries if not entry.why and not entry.kinds} - {""}
        more = True
        while more:
            ready = [e for e in entries if not e.why and e.kinds <= made and e.made not in made]
            more = bool({e.made for e in ready} - {""})
            made |= {e.made for e in ready} - {""}
        lost = [entry for entry in entries if not entry.why and entry.kinds - made]
        for entry in lost:
            entry.why += [_lacks(kind, entries) for kind in sorted(entry.kinds - made)]
        if not lost:
            break
    for entry in entries:
        lacking = [_lacks(kind, entries) for kind in sorted(entry.kinds - made) if entry.why]
        entry.why = list(dict.fromkeys((*entry.why, *lacking)))


def _lacks(kind: str, entries: Iterable[_Entry]) -> str:
    makers = sorted(e.function.name for e in entries if e.made == kind and e.why)
    if makers:
        return f"nothing makes a {kind}: {' and '.join(makers[:3])} left out"
    return f'nothing makes a {kind}: add the op that does, with makes = "{kind}"'


def _misfit(text: str, shape: LibraryShape, parts: list[_Entry]) -> tuple[_Entry, str] | None:
    """The first entry that a binding file may not say, or that does not fit the library."""
    try:
        resolve(parse_binding(text, NAME), [shape], lambda rule, place: False)
    except BindingError as error:
        found = re.match(r"(op|observe)\[(\d+)\]", error.key)
        if found is None:
            raise
        kin = [entry for entry in parts if entry.observer == (found[1] == "observe")]
        place = error.key.removeprefix(found[0]).lstrip(".").removeprefix("args.")
        return kin[int(found[2]) - 1], f"{place}: {error.problem}" if place else error.problem
    return None


def _unknown(shape: LibraryShape) -> dict[str, str]:
    """What is exported and has no prototype, each with the reason."""
    why = shape.problem or "the debug information does not tell it"
    return {
        name: "a C++ or Rust symbol: add an extern \"C\" function that calls it"
        if _MANGLED.match(name) else f"its prototype is unknown: {why}"
        for name in sorted(shape.exported)
        if name not in shape.functions or _MANGLED.match(name)
    }  # fmt: skip


# --- text -----------------------------------------------------------------------------


def _comments(unknown: Mapping[str, str]) -> list[str]:
    """What has no prototype, as comments; mangled names are counted alone."""
    named = [f"# {name}\n# Left out: {why}.\n" for name, why in unknown.items()
             if not _MANGLED.match(name)]  # fmt: skip
    count = len(unknown) - len(named)
    if count:
        named.append(
            f"# {count} C++ or Rust function{'s' if count > 1 else ''} with mangled names.\n"
            '# Left out: add extern "C" functions that call them.\n'
        )
    return named


def _text(entry: _Entry) -> str:
    """The table of a function, as a comment if it is left out."""
    function, table = entry.function, "observe" if entry.observer else "op"
    lines = [f"[[{table}]]", f'function = "{function.name}"']
    if entry.makes:
        lines.append(f'makes = "{entry.makes}"')
    if entry.destroys:
        lines.append(f'destroys = "{entry.destroys}"')
    if entry.parent:
        lines.append(f'dies_with = "{entry.parent}"')
    if function.variadic:
        lines.append(f"varargs = {guessingcalls.VARARGS}")
    if entry.params:
        lines.append(f"[{table}.args]")
        lines += [_arg(guess) for guess in entry.params]
    notes = [f"# {note}" for note in _notes(entry)]
    prototype = f"# {function.prototype}"
    if entry.why:
        why = [f"# Left out: {problem}." for problem in entry.why]
        return "\n".join([prototype, *why, *(f"# {line}" for line in lines)]) + "\n"
    return "\n".join([prototype, *notes, *lines]) + "\n"


def _notes(entry: _Entry) -> list[str]:
    notes = []
    if entry.borrowed:
        notes.append(f"(its result is taken for a {entry.makes}, since nothing else makes one)")
    params = [guess.param for guess in entry.params if guess.param is not None]
    for param in params:
        if param.role == "int" and param.shape is not None and param.shape.kind == "pointer":
            other = f"{param.name} = {{ bytes = [64, 64] }}"
            notes.append(f"({param.name} is taken for a number that is kept; else write {other})")
    if entry.parent:
        notes.append(f"(what it makes is taken to be dead once {entry.parent} is)")
    if entry.makes and entry.destroys:
        notes.append(f"(takes one {entry.destroys}, and makes the one that takes its place)")
    return notes


def _arg(guess: Guess) -> str:
    if _is_written(guess):
        return f"{guess.name} = {{ {guess.role} }}"
    if guess.param is None or guess.careful:
        return f"#   {guess.name}: to be decided"
    if _is_any(guess.param):
        text = guess.param.shape.text if guess.param.shape is not None else "number"
        return f"#   {guess.name}: any {text}"
    return f"{guess.name} = {{ {_role(guess.param)} }}"


def _is_any(param: Param) -> bool:
    """Whether a parameter takes all of its type: then the binding need not name it."""
    if param.role == "int" and param.shape is not None:
        return (param.low, param.high) == objects.whole(param.shape)
    return param.role == "float"


def _role(param: Param) -> str:
    span = f"[{param.low}, {param.high}]"
    return {
        "int": f"range = {span}",
        "choice": f"choices = {list(param.choices)}",
        "bytes": f"bytes = {span}",
        "inout": f"inout = {span}",
        "string": f"string = {span}",
        "out": f'out = "{param.of}"' if param.of else f"out = {param.high}",
        "length": f'length_of = "{param.of}"',
        "handle": f'handle = "{param.kind}"',
        "makes": f'makes = "{param.kind}"',
        "storage": f'storage = "{param.kind}"',
        "null": "null = true",
    }[param.role]
