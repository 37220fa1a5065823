"""Calls of a reference model, in the process apart; see ``replay.repo.worker``.

Imports the standard library alone: it is loaded by path, where there is no package.
"""

from __future__ import annotations

import os
import sys

from replay.repo import dying

TYPE_CHECKING = False  # see replay.apart.light

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from replay.repo.worker import Trace


class Skip(Exception):
    """A call on a handle that was never made: a constructor had given NULL."""


class ModelFailed(Exception):
    """The reference model raised; not the library's fault."""


class ModelFunction:
    """A method of the reference model with the signature of a function of the library."""

    def __init__(self, model: Any, data: dict[str, Any]) -> None:
        self.data = data
        self.name = data["name"]
        self.method = getattr(model, data["name"], None)
        self.outs = [arg["name"] for arg in data["args"] if arg["role"] in ("out", "inout")]

    def call(self, trace: Trace, values: list[Any], makes: int) -> dict[str, Any]:
        """Call it: a record with only what the model says."""
        if self.data.get("own"):
            return {}
        if self.method is None:
            raise ModelFailed(f"the model has no method {self.name!r}")
        given: list[Any] = []
        kind = self.data["makes"]
        for arg in self.data["args"]:
            role = arg["role"]
            if role in ("int", "choice", "each", "string"):
                given.append(values[arg["value"]])
            elif role == "float":
                given.append(float(values[arg["value"]]))
            elif role in ("bytes", "inout"):
                given.append(bytes.fromhex(values[arg["value"]]))
            elif role == "out" and arg["value"] is None:
                continue
            elif role == "handle":
                if values[arg["value"]] not in trace.handles:
                    raise Skip
                given.append(trace.handles[values[arg["value"]]])
            elif role in ("makes", "storage"):
                kind = arg["kind"]
        try:
            result = self.method(*given)
            return self.record(trace, result, makes, kind, values)
        except BaseException as error:  # SystemExit too: a model that leaves says nothing
            raise ModelFailed(f"{self.name}() raised {type(error).__name__}: {error}") from None

    def look(self, trace: Trace, values: list[Any]) -> Callable[[], Any]:
        """As that of a function of the library."""

        def called() -> Any:
            record = self.call(trace, values, 0)
            out = record.get("out")
            return [record.get("ret"), out] if out else record.get("ret")

        return called

    def record(
        self, trace: Trace, result: Any, makes: int, kind: str, values: list[Any]
    ) -> dict[str, Any]:
        """What the model says of a call, in the form of a record."""
        record: dict[str, Any] = {}
        if kind:
            if result is not None:
                trace.handles[makes], trace.kinds[makes] = result, kind
            dying.follow(trace, self.data, values, makes)
            if self.data["makes"]:
                record["ret"] = "NULL" if result is None else "not NULL"
            return record
        outs: Any = {}
        if isinstance(result, tuple):
            result, outs = result
        dying.follow(trace, self.data, values, makes)
        if self.data["returns"]["as"] == "int":
            record["ret"] = int(result)
        elif isinstance(result, bytes):
            record["ret"] = result.hex()
        elif result is not None:
            record["ret"] = repr(result) if isinstance(result, float) else result
        elif self.data["returns"]["as"] in ("string", "bytes", "pointer"):
            record["ret"] = "NULL"
        if outs:
            shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in outs.items()}
            record["out"] = shown
        return record


def load_model(path: str, name: str) -> Any:
    """The class ``name`` of a Python file, which is executed."""
    import importlib.util  # takes long to load, and few have a model

    spec = importlib.util.spec_from_file_location("replay_reference_model", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, os.path.dirname(path))  # noqa: PTH120
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not isinstance(found, type):
        known = ", ".join(n for n, v in vars(module).items() if isinstance(v, type)) or "none"
        raise ImportError(f"{path} has no class {name!r}; classes in it: {known}")
    return found
