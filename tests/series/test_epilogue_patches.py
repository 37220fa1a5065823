"""The fixes in C: any combination of the patches applies exactly, and two never overlap."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from replay.dirty.subject import SUBJECT
from replay.errors import SeriesError
from replay.git.paths import PatchError
from replay.series.declared import data_path, load
from replay.series.latertrees import fixes_by_name, later_tree, trees_of
from replay.series.names import Later, parse_step, parts_of
from replay.series.patches import read_fixes
from replay.series.trees import StepTree, trees

NAMES = SUBJECT.names
EVERY = [NAMES.numbered(n) for n in range(NAMES.last + 1, NAMES.highest + 1)]

SHIPPED = [s for s in EVERY if {*parts_of(s)} <= {*NAMES.fixes, "log-start-flush"}]
"""Those that really were, at some time, with and without the flush."""


def step(name: str) -> Later:
    found = parse_step(name, NAMES)
    assert isinstance(found, Later)
    return found


@pytest.fixture(scope="module")
def last() -> StepTree:
    return trees()[-1]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_path(), tmp_path / "series"))


def test_the_patches_have_the_titles_of_epilogue_toml_in_order() -> None:
    assert [patch.title for patch in read_fixes()] == [fix.title for fix in SUBJECT.series.fixes]
    assert tuple(fixes_by_name()) == NAMES.parts


def test_every_combination_applies_and_no_two_are_the_same_tree(last: StepTree) -> None:
    made = trees_of(EVERY)
    assert len(made) == 40 + len(EVERY)
    assert len({made[s].id for s in SHIPPED}) == len(SHIPPED)
    assert set(trees_of([step("39+all")], every=False)) == {step("39+all")}
    for number in EVERY:
        assert later_tree(number, last).id == made[number].id  # type: ignore[arg-type]


def test_a_hunk_moves_by_the_lines_that_earlier_fixes_added(last: StepTree) -> None:
    """The first fix adds a line before the place of the second."""
    file = "include/exec/memory-physical.h"
    both = later_tree(step("39+f9ee9f9ac2+49dfcec403"), last).files[file].decode()
    assert "host_page == TARGET_PAGE_SIZE\n        && start %" in both
    assert "xen_modified_memory(start, pages << TARGET_PAGE_BITS);" in both
    first = read_fixes()[0].files[0].hunks[0]
    assert first.new_count == first.old_count + 1


def test_the_patch_of_a_fix_alone_is_what_git_would_make_of_step_39(last: StepTree) -> None:
    file = "arch_init.c"
    was = last.files[file].decode().splitlines()
    now = later_tree(step("39+sync-length"), last).files[file].decode().splitlines()
    changed = [(a, b) for a, b in zip(was, now, strict=True) if a != b]
    assert changed == [(
        "    if (start % (BITS_PER_LONG * TARGET_PAGE_SIZE) == 0) {",
        "    if ((start | length) % (BITS_PER_LONG * TARGET_PAGE_SIZE) == 0) {",
    )]  # fmt: skip


def edited(copied: Path, number: int, old: str, new: str) -> None:
    (path,) = (copied / "epilogue").glob(f"{number:04}-*.patch")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_two_fixes_that_change_the_same_lines_are_refused(copied: Path, last: StepTree) -> None:
    (one,) = (copied / "epilogue").glob("0003-*.patch")
    (two,) = (copied / "epilogue").glob("0004-*.patch")
    two.write_text(one.read_text().replace("[PATCH 3/", "[PATCH 4/"))
    with pytest.raises(PatchError, match="changes lines that another fix changes") as caught:
        later_tree(step("39+sync-length+03bfc2188f"), last, copied)
    assert caught.value.step == step("39+sync-length+03bfc2188f")
    later_tree(step("39+03bfc2188f"), last, copied)  # alone it is one


def test_a_patch_that_does_not_fit_names_the_step(copied: Path, last: StepTree) -> None:
    edited(copied, 3, "-    if (start %", "-    if (stard %")
    with pytest.raises(PatchError, match="does not apply") as caught:
        later_tree(step("39+all"), last, copied)
    assert caught.value.step == step("39+all")


def test_a_patch_belongs_to_each_fix(copied: Path, last: StepTree) -> None:
    count = len(NAMES.parts)
    file = copied / "epilogue" / "series"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(SeriesError, match=f"{count - 1} patches, and {count} fixes are declared"):
        later_tree(step("39+all"), last, copied)


def test_a_copy_without_an_epilogue_is_a_series_all_the_same(copied: Path, last: StepTree) -> None:
    shutil.rmtree(copied / "epilogue")
    assert SUBJECT.reading(copied / "series.toml").series.fixes == ()
    assert len(trees_of([], copied)) == 40
    with pytest.raises(SeriesError, match="no patch for 'sync-length'"):
        later_tree(step("39+sync-length"), last, copied)


# --- epilogue.toml ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "49dfcec403"', 'name = "49dfcec404"', "it declares the fixes"),
        ('name = "49dfcec403"', 'name = "f9ee9f9ac2"', "'f9ee9f9ac2' is declared twice"),
        ('law = "ghosts_stay"', 'law = "ghosts_go"', "'ghosts_stay'"),
        ('"new_pages_rearm_whole_words"', '"new_pages"', "names no law of scope 'trace'"),
        ("beside = { sync-length", "beside = { sync-lenght", "names no fix: 'sync-lenght'"),
        ('mends = ["no-lost-store"]', 'mends = ["no-lost-stores"]', "names no property"),
        ("fixes = [37]", "fixes = [40]", "fixes 40, which is no step"),
        ('id = "ghosts-stay"', 'id = "sync-moves-ghosts"', "is used twice"),
        ('kind = "refactor"', 'kind = "guess"', "Invalid enum value 'guess'"),
        ('date = "2015"', 'dated = "2015"', "dated"),
    ],
)
def test_what_is_wrong_in_epilogue_toml_is_told(
    copied: Path, old: str, new: str, said: str
) -> None:
    file = copied / "epilogue" / "epilogue.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(SeriesError) as caught:
        _ = SUBJECT.reading(copied / "series.toml").series
    assert said in str(caught.value)


def test_a_step_after_the_last_declares_what_its_last_fix_does() -> None:
    series = load(data_path() / "series.toml")
    alone, after = series.step(step("39+03bfc2188f")), series.step(step("39+all"))
    assert alone.title == after.title == series.title(step("39+all"))
    assert [d.law for d in alone.deviations] == ["new_pages_rearm"]
    assert [d.law for d in after.deviations] == ["new_pages_rearm_whole_words"]
    assert series.api(step("39+all")) == series.api(39)
    with pytest.raises(SeriesError, match="there is no step 40"):
        series.step(40)
    assert next(p for p in series.properties if p.name == "no-lost-store").holds_at(step("39+all"))
