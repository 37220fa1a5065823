"""Started as a script, apart from the tool: loads a server and has it serve.

The interpreter runs with ``-I -S``, so that nothing of the environment, the current folder
or the installed packages is in reach. What the server needs of the package is named on
the command line and loaded by path, under its own name, into packages that are empty
shells: ``from replay.apart import child`` works in there as it does in the tool, and
nothing else of the package can be imported by mistake. The shells are taken away before
the server starts, since what it executes may well have a ``replay`` of its own.

    boot.py ROOT READ WRITE MEMORY MODULE...

ROOT holds the package; READ and WRITE are the descriptors of the two pipes, MEMORY the
bytes of address space that may be used, 0 for any; then the modules, ``replay.apart.light``
and ``replay.apart.child`` first and the server last. Imports the standard library alone.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType


def load(root: str, name: str) -> ModuleType:
    """A module of the package, executed from its file."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        shell = ModuleType(".".join(parts[:length]))
        shell.__path__ = []
        sys.modules.setdefault(shell.__name__, shell)
    path = os.path.join(root, *parts) + ".py"  # noqa: PTH118
    loader = SourceFileLoader(name, path)
    module = sys.modules[name] = ModuleType(name)
    module.__file__, module.__loader__, module.__package__ = path, loader, name.rpartition(".")[0]
    module.__spec__ = ModuleSpec(name, loader, origin=path)
    loader.exec_module(module)
    setattr(sys.modules[".".join(parts[:-1])], parts[-1], module)
    return module


def main() -> None:
    """Load what the command line names, and serve until the other side closes."""
    root, reading, writing, memory, *names = sys.argv[1:]
    _, child, *_, server = [load(root, name) for name in names]
    for name in [name for name in sys.modules if name.split(".")[0] == "replay"]:
        del sys.modules[name]
    child.confine(int(memory))
    server.main(child.Channel(int(reading), int(writing)))


if __name__ == "__main__":
    main()
