"""A renderer is chosen in one place, makes a text of a value, and does nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import replay.cli
import replay.report
from replay.base.style import PLAIN, Style
from replay.cli import common
from replay.dirty.language.trace import Op, Trace
from replay.errors import UsageError
from replay.report import formats, output
from replay.report.bisecting import GuiltyStep, Probe
from replay.report.checking import CheckView
from replay.report.output import JSON, TEXT, can_show, render, renders, shows
from replay.search.bisect import Answer
from replay.series.verdict import CheckResult, Example, Failure, StepResult

CLI = Path(inspect.getfile(replay.cli)).parent
MODULES = [
    info.name
    for info in pkgutil.walk_packages(replay.report.__path__, "replay.report.")
    if not info.ispkg
]

RUNS = (
    "refmodels",
    "replay.apart",
    "replay.build",
    "replay.dirty.check",
    "replay.dirty.language.language",
    "replay.dirty.machine.lockstep",
    "replay.dirty.machine.moment",
    "replay.dirty.machine.run",
    "replay.dirty.native",
    "replay.git",
    "replay.mail.calling",
    "replay.repo.building",
    "replay.repo.campaign",
    "replay.repo.worker",
    "replay.search.campaign",
    "replay.search.shrink",
    "replay.series.check",
    "replay.series.evidence",
)
"""What runs, builds, shortens or asks git; nothing of it is for a renderer, not even a type."""

TEXTS = (
    "replay.base",
    "replay.dirty.language.pages",
    "replay.dirty.language.values",
    "replay.report",
    "replay.repo.showing",
)
"""Rooms whose functions give the text of a single value."""

PURE = {
    "replay.dirty.gallery.defects.explore_command",
    "replay.dirty.language.layouts.layouts",
    "replay.elf.identification.ranges",
    "replay.elf.sizes.cut",
    "replay.mail.comparing.renamed",
    "replay.repo.program.case.plain",
    "replay.repo.program.evidence.value_text",
    "replay.repo.trying.totals",
    "replay.series.declared.to_json",
    "replay.series.names.before",
    "replay.series.names.parts_of",
    "replay.series.names.plain",
}
"""Other functions that a renderer may call: they read nothing but their arguments."""


def inside(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def taken(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """(module, object) of all that a module takes from the project."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("replay") for alias in node.names)
        if not isinstance(node, ast.ImportFrom):
            continue
        assert node.module and not node.level
        if node.module.partition(".")[0] not in ("replay", "refmodels"):
            continue
        module = importlib.import_module(node.module)
        for alias in node.names:
            found = getattr(module, alias.name)
            if not isinstance(found, ModuleType):
                yield node.module, found
                continue
            yield found.__name__, found
            for use in ast.walk(tree):
                if not isinstance(use, ast.Attribute) or not isinstance(use.value, ast.Name):
                    continue
                if use.value.id == (alias.asname or alias.name):
                    yield found.__name__, getattr(found, use.attr)


@pytest.mark.parametrize("name", MODULES)
def test_a_renderer_takes_values_and_words_and_nothing_that_runs(name: str) -> None:
    tree = ast.parse(Path(importlib.import_module(name).__file__ or "").read_text())
    for module, found in taken(tree):
        assert not inside(module, RUNS), module
        routine = callable(found) and inspect.isroutine(inspect.unwrap(found))
        if routine and not inside(module, TEXTS):
            assert f"{module}.{found.__name__}" in PURE
        if inspect.isclass(found):
            assert not {"run", "search", "shrink"} & set(vars(found)), found


@pytest.mark.parametrize("name", MODULES)
def test_a_renderer_imports_no_module_that_runs_in_any_other_way(name: str) -> None:
    """Whole modules and constant names too, which ``taken`` does not follow."""
    tree = ast.parse(Path(importlib.import_module(name).__file__ or "").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not inside(node.value, RUNS), node.value
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert not inside(f"{node.module}.{alias.name}", RUNS), alias.name


@pytest.mark.parametrize("name", MODULES)
def test_every_view_has_a_text_and_a_document(name: str) -> None:
    module = importlib.import_module(name)
    for kind in vars(module).values():
        if inspect.isclass(kind) and kind.__name__.endswith("View"):
            assert can_show(kind, TEXT) and can_show(kind, JSON), kind


@pytest.mark.parametrize("path", sorted(CLI.rglob("*.py")), ids=lambda path: path.stem)
def test_no_command_chooses_a_renderer_or_writes_json(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "as_json" not in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            assert all(alias.name != "json" for alias in node.names)
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
            assert not any(isinstance(n, ast.Name) and n.id == "format" for n in compared)


# --- a format of its own ------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """The renderers, to be added to for one test."""
    mine = dict(output._RENDERERS)
    monkeypatch.setattr(output, "_RENDERERS", mine)
    return mine


def view() -> CheckView:
    trace = Trace((Op("tlb_flush"),), name="t")
    failure = Failure("difference", ("vga",), "it differs", 2, Example(trace, 0, True))
    steps = [StepResult(1, "first", traces=3), StepResult(2, "second", 3, failures=[failure])]
    return CheckView(CheckResult(1, 3, 1, steps, []))


def test_a_new_format_shows_a_check_and_no_file_knows_of_it(registry: dict[Any, Any]) -> None:
    assert not can_show(CheckView, "toy")

    @renders(CheckView, "toy")
    def toy(shown: CheckView, style: Style) -> str:
        return " ".join(f"{step.step}={step.verdict.passes}" for step in shown.result.steps)

    assert can_show(CheckView, "toy") and not can_show(Probe, "toy")
    assert render(view(), "toy") == "1=True 2=False"


def test_a_command_prints_in_a_new_format(
    registry: dict[Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    renders(CheckView, "toy")(lambda shown, style: f"seed {shown.result.seed}")
    common.emit(view(), "toy")
    common.tell(Probe(3, Answer.BAD), "toy")
    assert capsys.readouterr() == ("seed 1\n", "")


MODULE = """\
from replay.report.checking import CheckView
from replay.report.output import renders


@renders(CheckView, "toyfile")
def check(shown, style):
    return f"{len(shown.result.steps)} steps"
"""


def test_a_format_is_one_file_that_is_found_by_its_name(
    registry: dict[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toyfile.py").write_text(MODULE, encoding="utf-8")
    assert "toyfile" not in output.format_names()
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    assert output.format_names()[:2] == (TEXT, JSON) and "toyfile" in output.format_names()
    assert render(view(), "toyfile") == "2 steps"
    del sys.modules[f"{formats.__name__}.toyfile"]


# --- the table ------------------------------------------------------------------------


def test_text_is_the_lines_and_only_text_is_coloured() -> None:
    assert render(view()).splitlines()[-1].endswith("not as claimed at step 2")
    assert "\x1b[" in render(view(), TEXT, Style(True)) and "\x1b" not in render(view(), TEXT)
    assert render(view(), JSON, Style(True)) == render(view(), JSON, PLAIN)
    assert json.loads(render(view(), JSON))["steps"][1]["failures"][0]["count"] == 2


def test_what_is_told_on_the_way_is_for_people_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert can_show(GuiltyStep, TEXT) and not can_show(GuiltyStep, JSON)
    common.tell(Probe(3, Answer.BAD, "why"), JSON)
    assert capsys.readouterr() == ("", "")
    common.tell(Probe(3, Answer.BAD, "why"), TEXT)
    assert capsys.readouterr() == ("", "step  3  bad   why\n")


def test_what_no_format_shows_is_told_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="'xml'; it can as text, json"):
        render(view(), "xml")
    with pytest.raises(UsageError, match=r"'json'; it can as text$"):
        render(Probe(3, Answer.BAD), JSON)


@pytest.mark.parametrize("name", ["", "..output", "output", "__init__", "os"])
def test_a_format_is_no_way_to_import_anything_else(name: str) -> None:
    with pytest.raises(UsageError):
        render(view(), name)


def test_two_renderers_for_one_type_and_format_are_refused(registry: dict[Any, Any]) -> None:
    with pytest.raises(ValueError, match="CheckView has a renderer for 'text' already"):
        shows(CheckView, lambda shown, style: [])


def test_a_document_of_others_texts_is_plain_ascii() -> None:
    value = {"title": "é\x7f\x9b\x1b[2J"}
    plain = output.document(value, ascii_only=True)
    assert plain.isascii() and plain.isprintable() is False and "\x7f" not in plain
    assert not any(ord(c) < 32 and c != "\n" for c in plain)
    assert json.loads(plain) == value == json.loads(output.document(value))
    assert "é" in output.document(value)
