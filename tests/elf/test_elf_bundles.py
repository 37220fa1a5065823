"""Archives and folders: members are matched by name, and nothing is left without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from elf_builds import Build, run

from replay import elf
from replay.cli import main

ONE = "int one(int a) { return a + @; }"
TWO = "int two(int a) { return a * 7; } int shared_with_two = 2;"
THREE = "int three(int a) { return a - 3; } int spare = 3;"


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["elf", *map(str, words)])


@pytest.fixture
def sides(build: Build, tmp_path: Path) -> tuple[Path, Path]:
    """Two folders: one.o differs, two.o is the same, old.o and new.o are on one side only."""
    for name, number, own in (("a", "1", "old"), ("b", "2", "new")):
        where = tmp_path / name
        (where / "deep").mkdir(parents=True)
        shutil.copy(build(ONE.replace("@", number), "-c", "-g"), where / "one.o")
        shutil.copy(build(TWO, "-c", "-g"), where / "deep" / "two.o")
        shutil.copy(build(f"int {own}(void) {{ return 1; }}", "-c", "-g"), where / f"{own}.o")
    return tmp_path / "a", tmp_path / "b"


def archive(where: Path, *words: str) -> Path:
    run(["ar", *words], where)
    return where / words[1]


def changes(found: elf.BundleComparison) -> dict[str, str]:
    return {member.name: member.change.value for member in found.members}


MEMBERS = {"one.o": "changed", "two.o": "same", "old.o": "removed", "new.o": "added"}


@pytest.mark.parametrize("how", ["q", "qT", "qS"])
def test_archives_are_compared_member_by_member(sides: tuple[Path, Path], how: str) -> None:
    a, b = (
        archive(side, how, "l.a", "one.o", "deep/two.o", own)
        for side, own in zip(sides, ("old.o", "new.o"), strict=True)
    )
    found = elf.compare_bundles(a, b)
    assert changes(found) == MEMBERS
    assert found.verdict is elf.Whole.DIFFERENT
    done = call("compare", a, b)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert "members: 1 same, 1 changed, 1 added, 1 removed" in lines
    assert "  changed one: code different" in lines
    assert "removed old.o" in lines
    assert call("compare", a, a).exit_code == 0


def test_a_thin_archive_and_a_whole_one_are_the_same(sides: tuple[Path, Path]) -> None:
    thin = archive(sides[0], "qT", "thin.a", "one.o", "deep/two.o")
    whole = archive(sides[0], "q", "whole.a", "one.o", "deep/two.o")
    assert thin.stat().st_size < whole.stat().st_size
    assert changes(elf.compare_bundles(thin, whole)) == {"one.o": "same", "two.o": "same"}


def test_long_names_are_read(sides: tuple[Path, Path]) -> None:
    name = "a_name_of_a_member_that_is_longer_than_fits.o"
    for side in sides:
        shutil.copy(side / "one.o", side / name)
    a, b = (archive(side, "q", "l.a", name, "one.o") for side in sides)
    assert changes(elf.compare_bundles(a, b)) == {name: "changed", "one.o": "changed"}


def test_members_of_one_name_are_told_apart_by_what_they_define(
    build: Build, tmp_path: Path
) -> None:
    for side, order in (("a", (ONE, TWO, THREE)), ("b", (THREE, ONE, TWO))):
        for number, text in enumerate(order):
            folder = tmp_path / side / str(number)
            folder.mkdir(parents=True)
            text = text.replace("a * 7", "a * 8") if side == "b" else text  # noqa: PLW2901
            shutil.copy(build(text.replace("@", "1"), "-c"), folder / "x.o")
        archive(tmp_path / side, "q", "l.a", "0/x.o", "1/x.o", "2/x.o")
    found = elf.compare_bundles(tmp_path / "a" / "l.a", tmp_path / "b" / "l.a")
    assert {(m.before, m.after, m.change.value) for m in found.members} == {
        ("x.o", "x.o #2", "same"),
        ("x.o #2", "x.o #3", "changed"),
        ("x.o #3", "x.o", "same"),
    }


def test_folders_are_compared_with_the_archives_in_them(sides: tuple[Path, Path]) -> None:
    for side in sides:
        archive(side, "q", "l.a", "one.o")
        (side / "read.me").write_text("no object")
        (side / "one-link.o").symlink_to("one.o")
    found = elf.compare_bundles(*sides)
    names = {"one.o": "changed", "deep/two.o": "same", "l.a(one.o)": "changed"}
    assert changes(found) == names | {"old.o": "removed", "new.o": "added"}
    assert [note for note in found.notes if note.startswith("1 files in ")]
    values = json.loads(call("compare", *sides, "--json").stdout)
    assert values["kinds"] == ["code"]
    assert {m["name"]: m["change"] for m in values["members"]} == changes(found)


def test_what_was_asked_for_may_be_in_any_member(sides: tuple[Path, Path]) -> None:
    assert call("compare", *sides, "--function", "one").exit_code == 1
    done = call("compare", *sides, "--function", "two")
    assert done.exit_code == 0
    assert "files: 1 same" in done.stdout.splitlines()
    assert call("compare", *sides, "--function", "old").exit_code & 1
    done = call("compare", *sides, "--function", "nobody")
    assert done.exit_code == 2
    assert "is called 'nobody'" in done.stderr


def test_without_a_common_member_nothing_was_compared(
    sides: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = (archive(s, "q", "l.a", o) for s, o in zip(sides, ("old.o", "new.o"), strict=True))
    done = call("compare", a, b)
    assert done.exit_code == 5
    assert done.stdout.splitlines()[0].endswith(": nothing compared (code, not compared)")
    assert "nothing was compared: no member is in both" in done.stdout
    (tmp_path / "e").mkdir()
    (tmp_path / "f").mkdir()
    done = call("compare", tmp_path / "e", tmp_path / "f")
    assert done.exit_code == 4
    assert "nothing compared" in done.stdout.splitlines()[0]
    archive(tmp_path, "qc", "empty.a")
    assert call("compare", tmp_path / "empty.a", tmp_path / "empty.a").exit_code == 4


def test_a_member_that_cannot_be_read_is_told_and_counted(sides: tuple[Path, Path]) -> None:
    for side, text in zip(sides, (b"\x7fELF damaged", b"\x7fELF in another way"), strict=True):
        (side / "bad.o").write_bytes(text)
    a, b = (archive(side, "q", "l.a", "bad.o", "deep/two.o") for side in sides)
    done = call("compare", a, b)
    assert done.exit_code == 4
    told = [line for line in done.stdout.splitlines() if line.startswith("unknown bad.o: ")]
    assert len(told) == 1
    assert f"{a}(bad.o)" in told[0]
    assert "/replay-elf-" not in done.stdout
    assert call("compare", a, a).exit_code == 0


DAMAGE = {
    "cut in a member": (lambda raw: raw[:200], "a member ends behind the file"),
    "cut in a header": (lambda raw: raw + b"x.o  ", "no member starts where one should"),
    "a size that is none": (
        lambda raw: raw[:56] + b"many      " + raw[66:], "where a number should be"
    ),
    "a name that is not in its table": (
        lambda raw: raw[:8] + b"/77".ljust(16) + raw[24:], "a name that is not in its table"
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_archive_is_one_message(sides: tuple[Path, Path], how: str) -> None:
    whole = archive(sides[0], "qS", "l.a", "one.o")
    damage, said = DAMAGE[how]
    bad = sides[0] / "bad.a"
    bad.write_bytes(damage(whole.read_bytes()))
    done = call("compare", whole, bad)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_thin_archive_without_its_objects_or_of_another_build(sides: tuple[Path, Path]) -> None:
    thin = archive(sides[0], "qT", "thin.a", "one.o")
    (sides[0] / "one.o").write_bytes(b"longer or shorter")
    done = call("compare", thin, thin)
    assert done.exit_code == 2
    assert "a thin archive of another build" in done.stderr
    (sides[0] / "one.o").unlink()
    done = call("compare", thin, thin)
    assert done.exit_code == 2
    assert "there is no file" in done.stderr


def test_what_is_not_alike_is_refused(sides: tuple[Path, Path]) -> None:
    whole = archive(sides[0], "q", "l.a", "one.o")
    for a, b, said in (
        (whole, sides[0] / "one.o", "is an archive and"),
        (sides[0], whole, "is a folder and"),
    ):
        done = call("compare", a, b)
        assert done.exit_code == 2
        assert said in done.stderr
