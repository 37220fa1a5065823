"""``replay series`` as a user meets it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from replay import cli
from replay.dirty.subject import SUBJECT
from replay.series import declared as series

DATA = series.data_path()
HEADER = " no  theme  kind          files      +/-  title"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = cli.Entry("replay.cli.series:command", "Show the patch series.")
    monkeypatch.setitem(cli.COMMANDS, "series", cli.COMMANDS.get("series", entry))


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the series whose patch 2 tries to speak to the terminal."""
    folder = tmp_path / "changed"
    for name in ("tree", "patches"):
        shutil.copytree(DATA / name, folder / name)
    shutil.copy(DATA / "series.toml", folder)
    (path,) = (folder / "patches").glob("0002-*")
    text = path.read_text().replace("\n---\n", "\nan \x1b[2J escape, \x9b and \u202eturned\n---\n")
    path.write_text(re.sub(r"\n\+(?!\+)", "\n+\x1b]0;x\x07", text, count=1))
    return folder


def replay(*words: object) -> Result:
    return CliRunner().invoke(cli.main, ["series", *map(str, words)])


def ok(*words: object) -> str:
    result = replay(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def data(*words: object) -> Any:
    return json.loads(ok(*words, "--json"))


def refused(*words: object) -> str:
    result = replay(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("replay: error: ")
    assert result.stderr.rstrip("\n").isprintable()
    return str(result.stderr)


# --- list and show --------------------------------------------------------------------


def test_list_has_a_line_a_patch() -> None:
    first, *rows, last = ok("list").splitlines()
    assert first == HEADER
    assert len(rows) == 39
    assert [int(row.split()[0]) for row in rows] == list(range(1, 40))
    assert [row.split(None, 5)[5] for row in rows] == [s.title for s in SUBJECT.series.steps]
    assert last.startswith("39 patches, ")


def test_list_as_json_counts_what_the_patches_count() -> None:
    rows = data("list")["steps"]
    assert len(rows) == 39
    assert rows[31]["files"] == [
        "cputlb.c", "exec.c", "include/exec/memory-internal.h", "include/exec/memory-physical.h",
        "memory.c",
    ]  # fmt: skip
    assert (rows[31]["theme"], rows[31]["kind"]) == ("F", "move")
    for row in rows:
        text = (DATA / "patches" / row["patch"]).read_text()
        totals = text.partition("\n\ndiff --git")[0].rpartition("\n")[2]
        for key, word in (("added", "insertion"), ("removed", "deletion")):
            assert f" {row[key]} {word}" in totals or row[key] == 0


def test_show_tells_message_claims_api_and_diff() -> None:
    text = ok("show", 27)
    patch = next((DATA / "patches").glob("0027-*")).read_text()
    assert text.startswith(
        "Verdict on 120 random traces: deviates as declared\n\npatch 27: memory: "
    )
    assert "Claim: same, but for a fix of what Xen is told" in text
    assert "Deviation xen-told-start (fix): " in text
    assert text.endswith("diff --git" + patch.partition("diff --git")[2])
    assert "  - void cpu_physical_memory_mask_dirty_range(" in ok("show", 25)


def test_show_as_json_has_the_same() -> None:
    found = data("show", 32)
    patch = next((DATA / "patches").glob("0032-*")).read_text()
    assert found["diff"] == "diff --git" + patch.partition("diff --git")[2]
    assert found["declared"]["number"] == found["number"] == 32
    made = [change for change in found["changes"] if change["old"] is None]
    assert [change["new"] for change in made] == ["include/exec/memory-physical.h"]
    assert found["message"] in patch


@pytest.mark.parametrize("number", ["0", "40", "x"])
def test_show_of_no_patch_says_which_there_are(number: str) -> None:
    assert "39" in refused("show", number)


def test_nothing_in_a_patch_reaches_the_terminal_as_a_command(changed: Path) -> None:
    for words in (["show", 2], ["show", 2, "--json"], ["list"], ["list", "--json"]):
        text = ok(*words, "--series", changed)
        assert all(c.isprintable() or c in "\n\t" for c in text)
    shown = data("show", 2, "--series", changed)
    assert "an \x1b[2J escape, \x9b and \u202eturned" in shown["message"]
    assert "\n+\x1b]0;x\x07" in shown["diff"]


def test_a_hostile_series_is_refused_with_its_file_and_line(changed: Path) -> None:
    path = next((changed / "patches").glob("0003-*"))
    path.write_text(
        path.read_text().replace("a/memory.c", "a/../x").replace("b/memory.c", "b/../x")
    )
    for words in (["list"], ["show", 1], ["materialize", changed / "out"]):
        message = refused(*words, "--series", changed)
        assert f"{path}:" in message
        assert "must stay inside its tree" in message
    assert not (changed / "out").exists()


def test_a_series_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "no such folder" in refused("list", "--series", tmp_path / "gone")
    assert "no such file" in refused("list", "--series", tmp_path)


def test_patches_that_series_toml_does_not_know_are_still_listed(changed: Path) -> None:
    toml = (changed / "series.toml").read_text()
    cut = toml.index("[[step]]\nnumber = 39\n")
    (changed / "series.toml").write_text(toml[:cut])
    assert data("list", "--series", changed)["steps"][38]["theme"] is None
    assert ok("list", "--series", changed).splitlines()[39].split()[:3] == ["39", "-", "-"]
    assert ok("show", 39, "--series", changed)


# --- the git history ------------------------------------------------------------------


def test_materialize_and_import_go_round(tmp_path: Path) -> None:
    first, *steps = ok("materialize", tmp_path / "repo").splitlines()
    assert first.endswith("repo: step 0 and 39 patches, branch main, tags step-00 to step-39")
    found = data("materialize", tmp_path / "again")
    assert (found["path"], found["branch"]) == (str(tmp_path / "again"), "main")
    ids = [row["commit"] for row in found["steps"]]
    assert [line.split()[2] for line in steps] == [ids[0], ids[39]]
    assert "39 patches written" in ok("import", tmp_path / "repo", "--into", tmp_path / "new")
    done = data("import", tmp_path / "repo", "--into", tmp_path / "new", "--range", "step-00..main")
    assert (len(done["names"]), done["warnings"]) == (39, [])
    for path in (DATA / "patches").iterdir():
        assert (tmp_path / "new" / "patches" / path.name).read_bytes() == path.read_bytes()


def test_import_warns_on_standard_error(tmp_path: Path) -> None:
    ok("materialize", tmp_path / "repo")
    result = replay(
        "import", tmp_path / "repo", "--into", tmp_path / "new", "--range", "step-00..step-05"
    )
    assert result.exit_code == 0
    assert result.stderr.startswith("replay: warning: 5 patches, but ")


def test_materialize_into_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    assert "not empty" in refused("materialize", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_installed_series_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "data_path", lambda: tmp_path / "_series")
    assert "give --into DIR" in refused("import", DATA)


@pytest.mark.parametrize("name", ["list", "show", "materialize", "import"])
def test_help_has_an_example_and_the_exit_codes(name: str) -> None:
    text = ok(name, "--help")
    assert f"replay series {name}" in text.partition("Examples:")[2]
    assert "Exit codes:" in text
