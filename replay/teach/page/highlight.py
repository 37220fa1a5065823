"""Code as HTML: tokens coloured by Pygments when the site is built, everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from markupsafe import Markup, escape
from pygments.lexer import Lexer
from pygments.lexers.c_cpp import CLexer
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

Language = Literal["c", "python"]
Line = tuple[str, str]
"""A line of a diff: its sign (space, ``-``, ``+``, ``@``) and its text without newline."""

CLASSES: Final[tuple[tuple[_TokenType, str], ...]] = (
    (Comment.Preproc, "t-p"),
    (Comment, "t-c"),
    (String, "t-s"),
    (Number, "t-n"),
    (Keyword, "t-k"),
    (Name.Function, "t-f"),
    (Name.Decorator, "t-p"),
)


class DiffLine(NamedTuple):
    """A line to show: its sign, what a screen reader says of it, and its HTML."""

    sign: str
    kind: str
    html: Markup


def _lexer(language: Language) -> Lexer:
    if language == "c":
        made: Lexer = CLexer(stripnl=False, ensurenl=False)  # type: ignore[no-untyped-call]
        return made
    return PythonLexer(stripnl=False, ensurenl=False)


def _class(token: _TokenType) -> str:
    return next((name for kind, name in CLASSES if token[: len(kind)] == kind), "")


def code_lines(text: str, language: Language) -> list[Markup]:
    """The lines of a text, each as HTML of its own: a token that spans lines is cut."""
    lines: list[list[Markup]] = [[]]
    for token, value in _lexer(language).get_tokens(text):
        name = _class(token)
        for i, part in enumerate(value.split("\n")):
            if i:
                lines.append([])
            if part:
                html = escape(part)
                lines[-1].append(
                    Markup('<span class="{}">{}</span>').format(name, html) if name else html
                )
    return [Markup("").join(parts) for parts in lines]


def highlighted(text: str, language: Language) -> Markup:
    """A piece of code as HTML."""
    return Markup("\n").join(code_lines(text.rstrip("\n"), language))


KINDS: Final = {"+": "added", "-": "removed", "@": "place", " ": "context"}


def diff_lines(lines: Sequence[Line], language: Language) -> Iterator[DiffLine]:
    """The lines of a hunk as HTML, each side coloured as the whole text it belongs to."""
    sides = {sign: [t for s, t in lines if s in (" ", sign)] for sign in "+-"}
    html = {sign: iter(code_lines("\n".join(side), language)) for sign, side in sides.items()}
    for sign, text in lines:
        if sign == "@":
            yield DiffLine("", KINDS[sign], escape(text))
            continue
        made: Markup | None = None
        for side in "-+" if sign == " " else sign:
            made = next(html[side], escape(text))
        yield DiffLine(sign, KINDS[sign], made if made is not None else escape(text))
