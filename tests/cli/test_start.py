"""What a command does not need is not imported; the list of commands needs not even click."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replay import __main__ as start

HEAVY = ("git", "gitdb", "jinja2", "pygments", "prompt_toolkit", "elftools")
"""Packages that a command waits for some tenths of a second, together."""

LOADED = """
import sys
from replay import __main__
sys.argv = ["replay", *sys.argv[1:]]
if __name__ == "__main__":
    try:
        __main__.start()
    except SystemExit as end:
        assert end.code in (None, 0, 1), end.code
    tops = {name.partition(".")[0] for name in sys.modules}
    sys.stderr.write(" ".join(sorted(tops)))
"""


def loaded(folder: Path, *words: str) -> set[str]:
    """The top-level modules that are loaded once a command is done."""
    # A file, so that the processes that a command spawns can start as it did.
    script = folder / "loaded.py"
    script.write_text(LOADED)
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=True,
        timeout=300, cwd=folder,
    )  # fmt: skip
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    ["--help", "check --help", "check --steps 27 --traces 5", "show 27", "run --help"],
)
def test_commands_load_no_package_that_they_do_not_use(words: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, *words.split())
    assert "replay" in found
    assert not found & set(HEAVY)


@pytest.mark.parametrize(
    "words",
    ["bisect --help", "mail show --help", "mail --help", "series --help", "verify --help"],
)
def test_commands_that_read_no_repository_with_it_load_no_gitpython(
    words: str, tmp_path: Path
) -> None:
    assert not loaded(tmp_path, *words.split()) & {"git", "gitdb"}


def test_a_command_that_reads_a_repository_is_seen_to_load_gitpython(tmp_path: Path) -> None:
    """The test above would pass as well if the names were wrong."""
    loaded(tmp_path, "series", "materialize", "made")
    assert "git" in loaded(tmp_path, "series", "import", "made", "--into", "changed")


def test_the_list_of_commands_loads_not_even_click(tmp_path: Path) -> None:
    assert "click" not in loaded(tmp_path, "--help") | loaded(tmp_path, "-h")
    assert "click" in loaded(tmp_path, "--version")


def test_the_stored_list_of_commands_is_what_click_says() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "replay", "-h", "--help"], capture_output=True, text=True,
        check=True, env={**os.environ, "COLUMNS": "80"}, timeout=60,
    ).stdout  # fmt: skip
    assert Path(start.HELP).read_text(encoding="utf-8") == said, (
        "write it anew: python -m replay -h --help > replay/cli/help.txt"
    )


@pytest.mark.parametrize("columns", ["40", "60", "79", "80", "200", "0", "many", ""])
def test_a_narrow_terminal_gets_lines_that_fit(columns: str) -> None:
    texts = [
        subprocess.run(
            [sys.executable, "-m", "replay", *words], capture_output=True, text=True, check=True,
            env={**os.environ, "COLUMNS": columns}, timeout=60,
        ).stdout
        for words in (["--help"], ["-h", "--help"])
    ]  # fmt: skip
    assert texts[0] == texts[1]


@pytest.mark.parametrize("output", ["closed pipe", "/dev/full"])
def test_a_list_that_cannot_be_written_ends_as_click_ends_it(output: str) -> None:
    ends = []
    for words in (["--help"], ["-h", "--help"]):
        if output == "closed pipe":
            reading, writing = os.pipe()
            os.close(reading)
        else:
            writing = os.open(output, os.O_WRONLY)
        done = subprocess.run(
            [sys.executable, "-m", "replay", *words], stdout=writing, stderr=subprocess.PIPE,
            check=False, timeout=60,
        )  # fmt: skip
        os.close(writing)
        ends.append((done.returncode, done.stderr))
    assert ends[0] == ends[1] and ends[0][0]
