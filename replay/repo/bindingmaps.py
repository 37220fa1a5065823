"""Reading a ``[[map]]`` of a binding file: which function an operation is at some commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replay.base.jsonlines import nearest, shown
from replay.repo.binding import Mapping

if TYPE_CHECKING:
    from replay.repo.bindingfile import _File as File


def read_map(file: File, value: Any, key: str, known: list[str]) -> Mapping:
    """What the table at ``key`` says; ``known`` are the names of the operations.

    Raises:
        BindingError: something in it is wrong.

    """
    table = file.keys(value, key, ("commits", "op", "function", "args"))
    for name in ("commits", "op"):
        if not isinstance(table.get(name), str) or not table[name].strip():
            file.fail(f"{key}.{name}", f'a map needs {name} = "…"')
    if table["op"] not in known:
        file.fail(f"{key}.op", f"no operation {shown(table['op'])}{nearest(table['op'], known)}")
    if "function" not in table and "args" not in table:
        file.fail(key, "a map without function and args changes nothing; drop it")
    args: tuple[str | int, ...] | None = None
    if "args" in table:
        if not isinstance(table["args"], list):
            file.fail(f"{key}.args", 'write the parameters in order, as in ["r", "value", 0]')
        args = tuple(_argument(file, one, f"{key}.args") for one in table["args"])
    functions = (
        file.names(table["function"], f"{key}.function", "function") if "function" in table else ()
    )
    return Mapping(table["commits"], table["op"], functions, args, file.lines.get(key), key)


def _argument(file: File, value: Any, key: str) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return file.name(value, key, "name of a parameter")
