"""Suppressions take away what they name and nothing else, and say when they are stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from elf_builds import Build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay import elf
from replay.cli import main
from replay.elf.changes import KINDS, Kind
from replay.elf.image import Image
from replay.elf.suppressing import Suppression

BEFORE = """
struct s { int a; }; struct u { int x; };
int api(struct s *p) { return p->a; }
int gone(void) { return 1; }
int data[4] = {1, 2, 3, 4};
int takes(struct u u) { return u.x; }
long value = 5;
"""
AFTER = """
struct s { int a, b; }; struct u { long x; };
int api(struct s *p) { return p->a + 1; }
int data[4] = {1, 2, 3, 5};
int takes(struct u u, int more) { return u.x + more; }
int value = 5;
"""


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["elf", *map(str, words)])


@pytest.fixture
def pair(build: Build) -> tuple[Path, Path]:
    flags = ["-shared", "-fPIC", "-g"]
    return build(BEFORE, *flags), build(AFTER, *flags)


def written(where: Path, *rows: tuple[str, str]) -> Path:
    text = "".join(
        f'[[suppress]]\nkind = "{kind}"\nname = "{name}"\nreason = "as agreed"\n'
        for kind, name in rows
    )
    path = where / "accepted.toml"
    path.write_text(text)
    return path


def test_all_that_differs_is_a_finding_of_one_kind(pair: tuple[Path, Path]) -> None:
    found = elf.compare(*pair)
    told = {(KINDS[f.kind], f.name) for f in elf.findings(found)}
    assert told >= {
        ("code", "api"), ("code", "gone"), ("code", "data"), ("code", "takes"),
        ("interface", "takes"), ("interface", "value"), ("layout", "value"),
        ("layout", "struct s"), ("layout", "struct u"), ("linkage", "gone"),
    }  # fmt: skip
    kinds = Kind(0)
    for finding in elf.findings(found):
        kinds |= finding.kind
    assert kinds == found.kinds


NAMES = ["*", "api", "data", "takes", "value", "gone", "struct s", "struct *", "nobody"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(st.sampled_from(list(KINDS)), st.sampled_from(NAMES)), max_size=6))
def test_a_suppression_never_hides_another_kind_or_name(
    pair: tuple[Path, Path], rows: list[tuple[Kind, str]]
) -> None:
    found = elf.compare(*pair)
    every = elf.findings(found)
    accepted = [Suppression(k, n, "*", "agreed", i) for i, (k, n) in enumerate(rows, 1)]
    done = elf.suppress(found, accepted, "x.toml")
    hidden = [finding for finding, _ in done.accepted]
    assert sorted(map(str, (*hidden, *done.left))) == sorted(map(str, every))
    for finding in every:
        named = any(
            kind is finding.kind and (name in ("*", finding.name) or
            (name == "struct *" and finding.name.startswith("struct ")))
            for kind, name in rows
        )  # fmt: skip
        assert (finding in hidden) == named
    for kind in KINDS:
        if kind not in {k for k, _ in rows}:
            assert (kind in done.kinds) == (kind in found.kinds)
    stale = {s.number for s in done.stale}
    for number, (kind, name) in enumerate(rows, 1):
        alone = elf.suppress(found, [Suppression(kind, name, "*", "agreed", 1)], "x.toml")
        assert (number in stale) == (not alone.accepted)


def test_the_exit_code_is_that_of_what_is_left(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert call("compare", *pair).exit_code == 1 | 8 | 16 | 32
    some = written(tmp_path, ("code", "*"), ("linkage", "gone"), ("layout", "struct gone"))
    done = call("compare", *pair, "--suppress", some)
    assert done.exit_code == 8 | 16
    lines = done.stdout.splitlines()
    assert "changed api: code different" in lines
    assert "  linkage: gone: export: exported -> none (as agreed)" in lines
    assert [x for x in lines if x.startswith("stale: suppression 3 (layout of struct gone) fits")]
    assert lines[-1].endswith("(interface, layout)")
    values = json.loads(call("compare", *pair, "--suppress", some, "--json").stdout)
    assert values["suppressed"]["kinds"] == ["interface", "layout"]
    assert [s["number"] for s in values["suppressed"]["stale"]] == [3]
    assert values["suppressed"]["accepted"][0]["reasons"] == ["as agreed"]
    rows = [(kind, "*") for kind in ("code", "interface", "layout", "linkage")]
    done = call("compare", *pair, "--suppress", written(tmp_path, *rows))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "left: no difference"


def test_that_nothing_was_compared_cannot_be_suppressed(build: Build, tmp_path: Path) -> None:
    a = build("int f(void) { return 1; }", "-c")
    b = build("int g(int x) { return x + 1; }", "-c")
    rows = [(kind, "*") for kind in KINDS.values()]
    done = call("compare", a, b, "--suppress", written(tmp_path, *rows))
    assert done.exit_code == 4
    assert done.stdout.splitlines()[-1] == "left: not compared"


def test_a_suppression_may_be_for_one_member(
    build: Build, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    for side, text in (("a", "1"), ("b", "2")):
        (tmp_path / side).mkdir()
        for name in ("x.o", "y.o"):
            shutil.copy(
                build(f"int f(void) {{ return {text}; }}", "-c", "-g"), tmp_path / side / name
            )
    path = written(tmp_path, ("code", "f"))
    path.write_text(path.read_text() + 'member = "x*"\n')
    done = call("compare", tmp_path / "a", tmp_path / "b", "--suppress", path)
    assert done.exit_code == 1
    assert "  x.o: code: f: code different (as agreed)" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "left: 1 difference (code)"


BAD = {
    "no reason": ('[[suppress]]\nkind = "code"\nname = "f"', "has no reason; say why"),
    "an empty reason": (
        '[[suppress]]\nkind = "code"\nname = "f"\nreason = " "', "reason is no text"
    ),
    "no name": ('[[suppress]]\nkind = "code"\nreason = "x"', "has no name"),
    "a kind that is none": (
        '[[suppress]]\nkind = "abi"\nname = "f"\nreason = "x"',
        "there is no kind 'abi'; there are code, not compared, interface, layout, linkage",
    ),
    "another key": (
        '[[suppress]]\nkind = "code"\nfile = "f"\nreason = "x"', "'file' is not known"
    ),
    "another table": ('[suppressions]\nkind = "code"', "'suppressions' is not known"),
    "no list": ('[suppress]\nkind = "code"', "is no list of tables"),
    "no TOML": ("kind: code", "is not TOML"),
}  # fmt: skip


@pytest.mark.parametrize("how", BAD)
def test_a_bad_file_is_one_message(pair: tuple[Path, Path], tmp_path: Path, how: str) -> None:
    text, said = BAD[how]
    path = tmp_path / "accepted.toml"
    path.write_text(text)
    done = call("compare", *pair, "--suppress", path)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout
    done = call("compare", *pair, "--suppress", tmp_path / "none.toml")
    assert done.exit_code == 2


def test_a_function_whose_code_is_not_in_the_file_is_a_difference_of_its_kind(
    build: Build, tmp_path: Path
) -> None:
    """Also where something else differs."""
    text = "int f(void) {{ return {}; }} int g(void) {{ return 2; }}"
    a, b = build(text.format(1), "-c"), tmp_path / "b.o"
    raw = bytearray(build(text.format(3), "-c").read_bytes())
    with Image(build(text.format(3), "-c")) as image:
        table = next(s for s in image.sections if s.type == "SHT_SYMTAB")
        number = [s.name for s in image.symbols].index("g")
    at = table.offset + 24 * number + 8
    raw[at : at + 8] = (1 << 20).to_bytes(8, "little")
    b.write_bytes(raw)
    found = elf.compare(a, b)
    assert found.kinds == Kind.CODE | Kind.UNCOMPARED
    assert ("functions whose code a file does not hold", 1) in found.uncompared
    kinds = {finding.kind for finding in elf.findings(found)}
    assert kinds == {Kind.CODE, Kind.UNCOMPARED}
