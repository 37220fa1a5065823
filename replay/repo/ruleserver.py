"""In the process apart: loads the rules of ``expect.toml``, and says which differences fit.

    first: {"rules": [[file, function], …]}      answer: {"ready": true} or {"error": …, "rule": n}
    then: {"rule": n, "op": name, "values": {…}}, with both records as a payload of two lines
    answer: {"fits": bool} or {"error": …}

Imports the standard library alone: it is loaded by path, where there is no package.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from replay.apart import child

MOST_TOLD = 300
"""Characters of what a rule raised."""


def load(path: str, name: str) -> Callable[..., Any]:
    """The function ``name`` of a Python file, which is executed."""
    known = f"replay_rules_{os.path.splitext(os.path.basename(path))[0]}"  # noqa: PTH119, PTH122
    module = sys.modules.get(known)
    if module is None or module.__file__ != path:
        spec = importlib.util.spec_from_file_location(known, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = sys.modules[known] = importlib.util.module_from_spec(spec)
        sys.path.insert(0, os.path.dirname(path))  # noqa: PTH120
        spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        known_names = ", ".join(n for n, v in vars(module).items() if callable(v)) or "none"
        raise ImportError(f"there is no function {name!r} in it; there are {known_names}")
    return found  # type: ignore[no-any-return]


def answer(rule: Callable[..., Any], head: dict[str, Any], records: bytes) -> dict[str, Any]:
    """Whether a rule holds, or how it failed."""
    before, after = (json.loads(line) for line in records.split(b"\n"))
    try:
        fits = rule(head["op"], head["values"], before, after)
    except BaseException as error:  # SystemExit too: a rule that leaves says nothing
        return {"error": told(error)}
    if not isinstance(fits, bool):
        return {"error": f"it gave {type(fits).__name__}, and should give True or False"}
    return {"fits": fits}


def told(error: BaseException) -> str:
    """What was raised, and where."""
    line = traceback.extract_tb(error.__traceback__)[-1].lineno
    return f"line {line}: {type(error).__name__}: {error}"[:MOST_TOLD]


def main(channel: child.Channel) -> None:
    """Serve until the other side closes."""
    requests = channel.requests()
    first, _ = next(requests)
    rules: list[Callable[..., Any]] = []
    for path, name in first["rules"]:
        try:
            rules.append(load(path, name))
        except BaseException as error:
            channel.answer({"error": told(error), "rule": len(rules)})
            return
    channel.answer({"ready": True})
    for head, payload in requests:
        channel.answer(answer(rules[head["rule"]], head, payload))
