"""Which text a result becomes: renderers, by the type of what is shown and the format.

What is shown is a value: a result, or a *view*, which is a result with what belongs to
it in a report (where its examples were saved, how much of it is wanted). A renderer
makes a text of such a value and does nothing else: it runs nothing, reads no file, and
prints nothing. This is the one place where a renderer is chosen.

Text and JSON stand beside each other in the module of their result. Any other format is
one module of ``replay.report.formats``, which registers a renderer for each type it can
show::

    @renders(CheckView, "junit")
    def _check(view: CheckView, style: Style) -> str: ...

A format of its own kind is in no other list: it is found by the name of its module.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from replay.base.style import PLAIN, Style
from replay.errors import UsageError
from replay.report import formats

TEXT: Final = "text"
"""Lines for people; the only format in which colour means something."""
JSON: Final = "json"
"""One document for programs."""

Shown = TypeVar("Shown")

Renderer = Callable[[Shown, Style], str]
"""What is shown, and how texts are painted, to the text without a final newline."""

_RENDERERS: Final[dict[tuple[type, str], Renderer[Any]]] = {}


def renders(kind: type[Shown], format: str) -> Callable[[Renderer[Shown]], Renderer[Shown]]:
    """Register the renderer of a type in a format; a second one for both is refused."""

    def register(renderer: Renderer[Shown]) -> Renderer[Shown]:
        if (kind, format) in _RENDERERS:
            raise ValueError(f"{kind.__name__} has a renderer for {format!r} already")
        _RENDERERS[kind, format] = renderer
        return renderer

    return register


def shows(
    kind: type[Shown],
    lines: Callable[[Shown, Style], Iterable[str]],
    values: Callable[[Shown], Any] | None = None,
    ascii_only: bool = False,
) -> None:
    """Register a type's text, given as lines, and its JSON, given as plain values.

    Args:
        kind: the type.
        lines: the lines of the text.
        values: what JSON can hold; without it the type is told to people alone, as the
            news are that come before a result.
        ascii_only: the JSON holds texts of others: in plain ASCII no terminal takes any of
            it for a command.
    """
    renders(kind, TEXT)(lambda shown, style: "\n".join(lines(shown, style)))
    if values is not None:
        renders(kind, JSON)(lambda shown, style: document(values(shown), ascii_only))


def document(values: Any, ascii_only: bool = False) -> str:
    """One JSON document: indented, keys in the order of the report."""
    from replay.series.names import plain  # it knows models, which no help needs

    return json.dumps(plain(values), indent=2, ensure_ascii=ascii_only)


def format_names() -> tuple[str, ...]:
    """All formats there are, text first; not each shows every type."""
    return TEXT, JSON, *sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def can_show(kind: type, format: str) -> bool:
    """Whether a format has anything to say of a type; a single document has not of news."""
    return _renderer(kind, format) is not None


def render(shown: object, format: str = TEXT, style: Style = PLAIN) -> str:
    """A value as text in a format, without a final newline.

    Raises:
        UsageError: there is no such format, or it does not show such a value.
    """
    renderer = _renderer(type(shown), format)
    if renderer is None:
        known = ", ".join(name for name in format_names() if can_show(type(shown), name))
        raise UsageError(f"this cannot be shown as {format!r}; it can as {known}")
    return renderer(shown, style)


def _renderer(kind: type, format: str) -> Renderer[Any] | None:
    """The renderer of the nearest type; a format is loaded when it is first asked for."""
    if format not in (TEXT, JSON) and format in format_names():
        importlib.import_module(f"{formats.__name__}.{format}")
    found = (_RENDERERS.get((base, format)) for base in kind.__mro__)
    return next((renderer for renderer in found if renderer is not None), None)
