"""What came after the last step of a family: a module a fix, found, loaded and folded.

It stands in ``epilogue``, a package or folder inside the family's: a module a fix, named
``f1_NAME`` and so on, and a module a variant of the machine, ``v1_NAME``, with the dashes of
a name as underscores. The package itself may have a STEP, too, which all of them stand on.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from refmodels.delta import Fix, LinkError, Table, apply
from refmodels.later import Later, Names, NoSuchStep
from refmodels.link import link
from refmodels.loading import fix_of, home_of, imported, load_fix

EPILOGUE: Final = "epilogue"
_PART = re.compile(r"([fv])([0-9]{1,2})_([A-Za-z0-9_]+)\Z")


class Fixes:
    """The fixes and variants of a family.

    Args:
        home: the dotted name of the family's package, or its folder.
        last: the number of its last step.

    Raises:
        LinkError: where something does not fit; the text names step and entry.

    """

    def __init__(self, home: str | Path, last: int) -> None:
        self.home = home
        self.folder = home_of(home) / EPILOGUE
        self.last = last
        self._loaded: dict[str, Fix] = {}

    @cached_property
    def modules(self) -> Mapping[str, str]:
        """The name of each fix and variant to that of its module, in order."""
        found = [m for i in pkgutil.iter_modules([str(self.folder)]) if (m := _PART.match(i.name))]
        found.sort(key=lambda match: (match[1], int(match[2])))
        return {match[3].replace("_", "-"): match[0] for match in found}

    @cached_property
    def names(self) -> Names:
        """How all steps are named."""
        fixes = tuple(name for name, module in self.modules.items() if module[0] == "f")
        return Names(self.last, fixes, tuple(name for name in self.modules if name not in fixes))

    def step(self, number: int) -> int:
        """A number as that of a step: past the last one a :class:`Later`, which has a name."""
        if type(number) is Later:
            return number
        try:
            return self.names.numbered(number)
        except NoSuchStep as error:
            raise LinkError(str(error)) from None

    def module(self, step: Later) -> str:
        """The name of the module that holds a step's last fix."""
        inner = f"{EPILOGUE}.{self.modules[step.parts[-1]]}"
        return inner if isinstance(self.home, Path) else f"{self.home}.{inner}"

    def imported(self, name: str) -> ModuleType:
        """The module of a fix, imported on demand. Executes it."""
        module = self.modules[name]
        home = self.folder if isinstance(self.home, Path) else f"{self.home}.{EPILOGUE}"
        return imported(home, module, self.folder / f"{module}.py")

    def load(self, name: str) -> Fix:
        """The STEP of a fix."""
        if name not in self._loaded:
            path = self.folder / f"{self.modules[name]}.py"
            self._loaded[name] = fix_of(self.imported(name), name, path)
        return self._loaded[name]

    def ground(self) -> Fix | None:
        """The STEP that all fixes stand on, if there is one."""
        if "" not in self._loaded and (self.folder / "__init__.py").is_file():
            module = imported(self.home, EPILOGUE, self.folder)
            if hasattr(module, "STEP"):
                self._loaded[""] = fix_of(module, "", self.folder / "__init__.py")
        return self._loaded.get("")

    def fold(self, step: Later, last: Table, base: type[Any], copies: Mapping[int, Path]) -> Table:
        """The linked table of a step, given that of the last step.

        Args:
            step: which.
            last: the table of the last step.
            base: what all machines stand on.
            copies: changed copies to use instead of some fixes, by the number of the step
                that has this fix alone.

        """
        changed = {self._alone(number): path for number, path in copies.items()}
        ground = self.ground()
        folded = apply(last, ground, step) if ground else last
        for name in step.parts:
            fix = load_fix(changed[name], name) if name in changed else self.load(name)
            folded = apply(folded, fix, self.names.later([name]))
        link(step, folded, base)
        return folded

    def _alone(self, number: int) -> str:
        step = self.step(number)
        if not isinstance(step, Later) or len(step.parts) != 1:
            raise LinkError(f"a copy is of one fix, as {self.last}+NAME; {step} is none")
        return step.parts[0]
