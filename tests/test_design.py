"""The house holds: every module stands in a room, and a room imports only what it may."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REPLAY = ROOT / "replay"

ROOMS: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "errors": "",
        "base": "errors",
        "search": "errors base",
        "apart": "errors",
        "campaign": "errors base",
        "build": "errors base",
        "elf": "errors",
        "git": "errors",
        "series": "errors base git search refmodels",
        "repo": "errors base search apart campaign build elf git",
        "mail": "errors base search build elf git repo",
        "dirty": "errors base search apart campaign build elf git series repo mail refmodels",
        "report": "errors base search elf series repo mail dirty",
        "teach": "errors base search git series dirty report refmodels",
        "cli": "errors base search apart campaign build elf git series repo mail dirty report "
        "teach refmodels",
    }.items()
}
"""The rooms of ``replay/``, the lowest first, each with the rooms that it may import.

``dirty`` may use ``mail``: it judges mailed versions of its own kind; and ``repo``, whose
speed its bench measures. ``teach`` stands above
``report``, whose texts the lessons show, and ``report`` above ``dirty``, whose values it
shows: so the lessons are a room of their own and not a part of ``dirty``.
"""

INSIDE: Mapping[str, Mapping[str, frozenset[str]]] = {
    "dirty": {
        name: frozenset(allowed.split())
        for name, allowed in {
            "language": "",
            "machine": "language",
            "rules": "language machine",
            "native": "language machine rules",
            "conform": "language machine rules",
            "compiled": "language machine native",
            "mailed": "language native",
            "verify": "native",
            "explore": "language machine rules native",
            "subject": "language machine rules compiled",
            "gallery": "language machine rules explore subject",
            "campaign": "language machine rules native subject",
            "probe": "native subject",
            "faults": "native subject",
            "bench": "language machine rules native subject explore gallery faults",
        }.items()
    },
    "teach": {
        "lessons": frozenset(),
        "terminal": frozenset({"lessons"}),
        "page": frozenset({"lessons"}),
    },
}
"""The same for what stands inside of the two rooms that have rooms of their own."""

WITHOUT_MODELS = (
    "base", "search", "apart", "campaign", "build", "elf", "git", "repo", "mail", "report",
)  # fmt: skip
NAMED_LONG = {("replay/dirty/machine/run.py", "run_small")}
"""Functions of more than 40 lines. run_small: all runs spend their time in its one loop."""


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name below replay, file) of every module."""
    for path in sorted(REPLAY.rglob("*.py")):
        parts = path.relative_to(REPLAY).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(path: Path) -> set[str]:
    """What a file imports of this project: ``refmodels``, or a dotted name below replay.

    However it does: by a statement, by ``importlib.import_module`` or ``__import__`` with a
    text, or by ``import replay`` and attributes of it.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for name in [name for node in ast.walk(tree) for name in names_in(node, path)]:
        top, _, rest = name.partition(".")
        if top == "refmodels":
            found.add("refmodels")
        elif top == "replay" and rest:
            # What is imported may be a module, or a name in one, or an attribute of that.
            while rest and rest not in MODULES:
                rest = rest.rpartition(".")[0]
            found.add(rest or name.split(".")[1])
    return found - {"__version__"}


def names_in(node: ast.AST, path: Path) -> list[str]:
    """The dotted names that one node of a module stands for."""
    if isinstance(node, ast.ImportFrom):
        assert not node.level, f"{path}:{node.lineno}: an import that is relative"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Call) and node.args:
        called = ast.unparse(node.func).rpartition(".")[2]
        first = node.args[0]
        if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
            return [str(first.value)]
    if isinstance(node, ast.Attribute):
        dotted = ast.unparse(node)
        return [dotted] if dotted.startswith("replay.") else []
    return []


def room(name: str) -> str:
    return name.partition(".")[0]


DOORS: Mapping[str, frozenset[str]] = {"": frozenset(), "__main__": frozenset({"cli"})}
"""What stands in no room: ``replay`` itself, which anything imports, and ``python -m replay``."""


def test_there_are_at_most_16_rooms_and_each_has_its_folder() -> None:
    assert len(ROOMS) <= 16
    folders = {p.name for p in REPLAY.iterdir() if (p / "__init__.py").is_file()}
    assert folders | {"errors"} == set(ROOMS)


@pytest.mark.parametrize("name", sorted(DOORS))
def test_a_door_leads_only_where_it_should(name: str) -> None:
    assert {room(other) for other in imports(MODULES[name])} <= DOORS[name]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - DOORS.keys()))
def test_a_module_imports_only_what_its_room_may(name: str) -> None:
    assert room(name) in ROOMS, f"{name} stands in no room: name it in the table"
    used = {room(other) for other in imports(MODULES[name])} - {room(name)}
    assert used <= ROOMS[room(name)], f"{name} may not import {sorted(used - ROOMS[room(name)])}"


@pytest.mark.parametrize("name", sorted(n for n in MODULES if room(n) in INSIDE))
def test_a_room_inside_a_room_imports_only_what_it_may(name: str) -> None:
    """The package of the whole room is loaded before any of it, and so imports none of it."""
    whole, inner = f"{name}.".split(".")[:2]
    table = INSIDE[whole]
    assert not inner or inner in table, f"{name} stands in no room of {whole}: name it"
    inside = [f"{n}.".split(".")[1] for n in imports(MODULES[name]) if room(n) == whole]
    assert {*inside} - {inner} <= (table[inner] if inner else frozenset()), name


@pytest.mark.parametrize("table", [ROOMS, *INSIDE.values()])
def test_no_arrow_runs_up_and_so_no_circle_closes(table: Mapping[str, frozenset[str]]) -> None:
    below = {"refmodels"}
    for name, allowed in table.items():
        assert allowed <= below, f"{name} may import what stands above it"
        below.add(name)


def test_a_module_in_no_room_and_an_arrow_up_are_seen(tmp_path: Path) -> None:
    up = tmp_path / "up.py"
    up.write_text("from replay.dirty.language import trace\nfrom replay.cli import main\n")
    assert imports(up) == {"dirty.language.trace", "cli"}
    assert not {room(name) for name in imports(up)} <= ROOMS["search"]


@pytest.mark.parametrize(
    "line",
    [
        "from replay.cli.common import emit",
        "from replay import cli",
        "import replay.cli.common",
        "import importlib\nimportlib.import_module('replay.cli.common')",
        "from importlib import import_module\nimport_module('replay.cli.common')",
        "__import__('replay.cli')",
        "import replay\nreplay.cli.common.emit(1)",
    ],
)
def test_no_way_to_import_is_overlooked(line: str, tmp_path: Path) -> None:
    path = tmp_path / "way.py"
    path.write_text(f"def f():\n    {line.replace(chr(10), chr(10) + '    ')}\n")
    assert {room(name) for name in imports(path)} == {"cli"}


def test_who_knows_no_model_imports_none() -> None:
    for name, path in MODULES.items():
        if room(name) in WITHOUT_MODELS:
            assert "refmodels" not in imports(path), path


def test_only_the_room_of_the_subject_and_those_above_it_know_dirty_tracking() -> None:
    for name, path in MODULES.items():
        if room(name) in ("search", "series"):
            text = path.read_text(encoding="utf-8")
            assert "dirty" not in {room(other) for other in imports(path)}, path
            assert "39" not in text, f"{path}: general code knows no number of steps"


def test_laws_and_models_share_no_code() -> None:
    for path in (ROOT / "refmodels").rglob("*.py"):
        assert imports(path) <= {"refmodels"}, path
    laws = REPLAY / "dirty" / "rules" / "laws.py"
    assert "refmodels" not in imports(laws)


IN_THE_PROCESS_APART = (
    "apart.boot", "apart.child", "apart.light", "repo.worker", "repo.modelcalls",
    "repo.reaching", "repo.seeing",
    "repo.calledback", "repo.dying", "repo.failed",
    "repo.ruleserver", "repo.structs",
)  # fmt: skip


@pytest.mark.parametrize("name", IN_THE_PROCESS_APART)
def test_what_runs_apart_imports_only_what_is_loaded_there(name: str) -> None:
    loaded = {
        "apart.child", "apart.light", "repo.modelcalls", "repo.reaching", "repo.seeing",
        "repo.worker",
        "repo.calledback", "repo.dying", "repo.failed", "repo.structs",
    }  # fmt: skip
    assert imports(MODULES[name]) <= loaded


def test_only_the_command_line_prints() -> None:
    for name, path in MODULES.items():
        if room(name) == "cli" or name.startswith("teach.terminal"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"


def test_modules_and_functions_are_short() -> None:
    for folder in ("replay", "refmodels"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert text.count("\n") <= 400, f"{path} has {text.count(chr(10))} lines"
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno is not None
                    long = node.end_lineno - node.lineno + 1 > 40
                    named = (path.relative_to(ROOT).as_posix(), node.name) in NAMED_LONG
                    assert not long or named, f"{path}:{node.lineno} {node.name}"


def test_the_tests_mirror_the_rooms() -> None:
    own = {"faults", "vectors", "refmodels"}  # what is planted, what was recorded, the models
    for path in (ROOT / "tests").iterdir():
        if path.is_dir() and not path.name.startswith((".", "__")):
            assert path.name in ROOMS or path.name in own, path


def test_no_two_modules_of_the_tests_are_imported_by_one_name() -> None:
    """A folder without ``__init__.py`` is put on the path: the first of two alike hides the other.

    Each folder by itself passes then, and only the whole fails.
    """
    found: dict[str, Path] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name != "conftest.py" and not (path.parent / "__init__.py").exists():
            other = found.setdefault(path.stem, path)
            assert other == path, f"{path} and {other} are both imported as {path.stem}"
