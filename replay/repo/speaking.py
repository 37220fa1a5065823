"""What a few words of a binding file say of a parameter, wherever a role is written as text."""

from __future__ import annotations

from functools import cache

from replay.repo.binding import Param
from replay.repo.bindingfile import FORMAT, parse_binding
from replay.repo.errors import BindingError


@cache
def said(role: str) -> Param | None:
    """The parameter that a role makes, as in ``p = { role }``; None if it is no role."""
    text = f'format = "{FORMAT}"\n[[op]]\nfunction = "f"\n[op.args]\np = {{ {role} }}\n'
    try:
        return parse_binding(text, "a role").ops[0].params[0]
    except BindingError:
        return None
