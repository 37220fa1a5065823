"""An interface of three operations on a box, for tests that call nothing."""

from __future__ import annotations

from replay.repo.binding import Binding, Draft, Interface, Operation, Param, Returns
from replay.repo.shapes import Shape

INT = Shape("int", "int", 4, signed=True)


def op(name: str, *params: Param, makes: str = "", destroys: str = "") -> Operation:
    return Operation(name, Draft(name, (name,)), params, Returns("void", INT), makes, destroys)


def interface(*ops: Operation) -> Interface:
    return Interface(Binding("binding.toml", ()), {one.name: one for one in ops}, ())


BOX = Param("b", "handle", kind="box")
BOXES = interface(
    op("open", makes="box"),
    op("put", BOX, Param("n", "int", 0, 9), Param("s", "string", 0, 4), Param("x", "float")),
    op("shut", BOX, destroys="box"),
)
