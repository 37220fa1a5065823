"""Executing the modules of models, which may be somebody's: what they raise is told of them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from refmodels.delta import Fix, LinkError, Step

_ALARM = "replay.base.patience"
"""Whose errors are no fault of what is executed: it took too long for whoever asked."""


def home_of(home: str | Path) -> Path:
    """The folder of a package, which is imported for that, or of a folder."""
    if isinstance(home, Path):
        return home
    return Path(next(iter(importlib.import_module(home).__path__)))


def imported(home: str | Path, name: str, path: Path) -> ModuleType:
    """A module of a package or of a folder, imported on demand. Executes it.

    Raises:
        LinkError: it does not load.

    """
    if not isinstance(home, Path):
        with executing(path):
            return importlib.import_module(f"{home}.{name}")
    own = f"_fold_{abs(hash(str(home)))}_{name}"
    return sys.modules.get(own) or execute(own, path)


def load_file(path: Path, number: int) -> Step:
    """The STEP of a changed copy of a step's module. Executes that file.

    Raises:
        LinkError: the file is not a module with ``STEP = Step(number)``.

    """
    module = execute(f"refmodels_copy_s{number:02d}_{abs(hash(path))}", path, keep=False)
    step = getattr(module, "STEP", None)
    if not isinstance(step, Step) or step.number != number:
        raise LinkError(f"{path}: STEP must be Step({number})")
    return step


def load_fix(path: Path, name: str) -> Fix:
    """The STEP of a changed copy of a fix's module. Executes that file.

    Raises:
        LinkError: the file is not a module with ``STEP = Fix(name)``.

    """
    return fix_of(execute(f"refmodels_copy_{abs(hash(path))}", path, keep=False), name, path)


def fix_of(module: ModuleType, name: str, path: Path) -> Fix:
    """The STEP of a fix's module.

    Raises:
        LinkError: it has none, or that of another fix.

    """
    step = getattr(module, "STEP", None)
    if not isinstance(step, Fix) or step.name != name:
        raise LinkError(f"{path}: STEP must be Fix({name!r})")
    return step


def execute(name: str, path: Path, keep: bool = True) -> ModuleType:
    """A Python file, or a package's folder, as a module of a name of its own."""
    where = path / "__init__.py" if path.is_dir() else path
    inside = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(name, where, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise LinkError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    if keep:
        sys.modules[name] = module
    try:
        with executing(where):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextmanager
def executing(path: Path) -> Iterator[None]:
    """Somebody's file is executed: all that it raises, but for Ctrl-C, is told of the file.

    ``sys.exit`` too: else a file that calls it would end the program, as if all were well.

    Raises:
        LinkError: the file and the line, the kind of the error, and its text.

    """
    try:
        yield
    except (KeyboardInterrupt, LinkError):
        raise
    except BaseException as error:
        if type(error).__module__ == _ALARM:
            raise
        raise LinkError(told(error, path)) from error


def told(error: BaseException, path: Path) -> str:
    """An error of somebody's file in one line, with the last place of that file it came by."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    line, text = lines[-1] if lines else None, str(error)
    if isinstance(error, SyntaxError):
        line, text = error.lineno, error.msg
    place = str(path) if line is None else f"{path}:{line}"
    return f"{place}: {type(error).__name__}: {' '.join(text.split())}".rstrip(": ")
