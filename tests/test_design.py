"""The design holds: which module may import which, and who may print or exit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REPLAY = ROOT / "replay"

TABLE: dict[str, set[str]] = {
    "errors": set(),
    "trace": set(),
    "domain": {"errors", "trace"},
    "model": {"trace"},
    "run": {"domain", "errors", "large", "model", "trace"},
    "large": {"model", "run", "trace"},
    "moment": {"run"},
    "laws": {"moment", "trace"},
    "series": {"errors"},
    "diff": {"laws", "model", "moment", "run", "series", "trace"},
    "properties": {"domain", "model", "moment", "trace"},
    "inner": {"moment", "properties", "run", "trace"},
    "draws": {"domain", "trace"},
    "plans": {"draws", "trace"},
    "generate": {"domain", "draws", "plans", "trace"},
    "shrink": {"domain", "trace"},
    "bisect": {"errors", "jsonlines"},
    "verdict": {"series", "trace"},
    "pool": {"errors"},
    "patience": {"errors", "trace"},
    "jsonlines": {"errors"},
    "atomic": set(),
    "files": {"atomic", "domain", "errors", "jsonlines", "trace"},
    "samecode": {"trace"},
    "lockstep": {"errors", "model", "run", "samecode", "trace"},
}
"""Module to the modules of replay it may import. What is not named here is checked below."""

MODELS = {"refmodels"}
MAY_RUN_MODELS = {"api", "check", "diff", "inner", "lockstep", "moment", "run", "large"}


def imports(path: Path) -> set[str]:
    """The modules of this project that a file imports, each by its first two names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module in ("replay", "refmodels"):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "replay" and len(parts) > 1:
                found.add(parts[1])
            elif parts[0] == "refmodels":
                found.add("refmodels")
    return found


@pytest.mark.parametrize("module", sorted(TABLE))
def test_a_module_imports_only_what_the_table_allows(module: str) -> None:
    assert imports(REPLAY / f"{module}.py") - MODELS <= TABLE[module]


@pytest.mark.parametrize(
    "module", ["shrink", "bisect", "trace", "domain", "draws", "plans", "generate", "laws"]
)
def test_who_takes_predicates_or_only_words_never_sees_a_model(module: str) -> None:
    assert "refmodels" not in imports(REPLAY / f"{module}.py")


def test_laws_and_models_share_no_code() -> None:
    for path in (ROOT / "refmodels").rglob("*.py"):
        assert not {"inner", "laws", "moment", "properties"} & imports(path), path


def test_the_models_import_nothing_of_the_tool() -> None:
    for path in (ROOT / "refmodels").rglob("*.py"):
        assert imports(path) <= MODELS, path


def test_only_the_command_line_imports_the_command_line() -> None:
    for path in REPLAY.rglob("*.py"):
        if path.parent.name != "cli" and path.name != "__main__.py":
            assert "cli" not in imports(path), path


def test_only_the_command_line_prints() -> None:
    for path in REPLAY.rglob("*.py"):
        if path.parent.name in ("cli", "teach"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"
