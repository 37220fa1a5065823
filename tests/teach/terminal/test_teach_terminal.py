"""``replay teach`` driven for real in a pseudo terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from terminal.terminal import PROGRAM, Terminal, teach

# Newer Pythons warn that a process with threads, as under xdist, forks for the terminal;
# the child becomes another program at once.
pytestmark = pytest.mark.filterwarnings("ignore:.*forkpty:DeprecationWarning")


@pytest.fixture
def progress(tmp_path: Path) -> Path:
    return tmp_path / "state" / "teach.json"


def stored(progress: Path) -> dict[str, object]:
    value = json.loads(progress.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def quits(terminal: Terminal, key: str = "q") -> int:
    terminal.press(key)
    return terminal.leave()


def test_from_the_first_screen_through_the_first_lessons_and_back(progress: Path) -> None:
    with teach(progress) as terminal:
        terminal.see("replay teach", "n, b", "0 of 39 read")
        terminal.press("n")
        terminal.see("Theme A: Say what is meant")
        terminal.press("n")
        terminal.see("1/39 A move, and nothing else", "Why")
        terminal.press("n")
        terminal.see("2/39 Nobody reads the new byte", "1 of 39 read")
        terminal.press("b")
        terminal.see("1/39 A move, and nothing else")
        assert quits(terminal) == 0
    assert stored(progress)["at"] == "1"
    assert stored(progress)["read"] == [1]


def test_the_place_is_remembered_and_can_be_forgotten(progress: Path) -> None:
    with teach(progress, "27") as terminal:
        terminal.see("27/39 The fix on purpose")
        assert quits(terminal) == 0
    with teach(progress) as terminal:
        terminal.see("27/39 The fix on purpose", "Welcome back")
        assert quits(terminal) == 0
    with teach(progress, "--reset") as terminal:
        terminal.see("replay teach", "n or enter begin")
        assert quits(terminal) == 0
    assert stored(progress)["at"] == ""


def test_jump_search_and_list(progress: Path) -> None:
    with teach(progress) as terminal:
        terminal.see("replay teach")
        terminal.press("j", "1", "6")
        terminal.see("jump to step or theme: 16_")
        terminal.press("enter")
        terminal.see("16/39 Stale bytes that nobody sees")
        terminal.press("3", "9", "enter")
        terminal.see("39/39 The lost store")
        terminal.press("j", "g", "enter")
        terminal.see("Theme G: Whole words")
        terminal.press("9", "9", "enter")
        terminal.see("there is no '99'")
        terminal.press("/")
        terminal.press(*"ghost page")
        terminal.see("find: ghost page_")
        terminal.press("enter")
        terminal.see("found for 'ghost page'", "39/39 The lost store")
        terminal.press("down", "enter")
        terminal.gone("found for")
        terminal.press("l")
        terminal.see("all lessons", "G  Whole words")
        terminal.press("home", "down", "enter")
        terminal.see("1/39 A move, and nothing else", "Why")
        assert quits(terminal) == 0


def test_a_trace_runs_forwards_and_backwards(progress: Path) -> None:
    with teach(progress, "39") as terminal:
        terminal.see("39/39 The lost store")
        terminal.press("t")
        terminal.see("step 38 beside step 39", "migration_start()", "Press right")
        terminal.press("right", "right")
        terminal.see(">   1 tlb_fill(addr=0x1000)", "tlb     .D.")
        terminal.press("f")
        text = terminal.see(">!  2 migration_start()   <- first difference")
        assert re.search(r"tlb +\.N\. +! \.d\.", text)
        terminal.press("right", "right")
        text = terminal.see(">!  4 store(addr=0x1000, size=4)")
        assert re.search(r"returns slow +! fast", text)
        assert re.search(r"migr 02\* +! migr 00", text)
        terminal.press("left")
        terminal.see(">!  3 migration_next(addr=0x0, start=0x1000)")
        terminal.press("end")
        terminal.see(">!  6 region_get_dirty")
        terminal.press("home")
        terminal.see("Press right to run the first operation.")
        terminal.press("escape")
        terminal.see("39/39 The lost store", "Why")
        assert quits(terminal) == 0


def test_bytes_stand_beside_words_at_step_19(progress: Path) -> None:
    with teach(progress, "19") as terminal:
        terminal.see("19/39 Three bitmaps")
        terminal.press("t")
        terminal.see("step 19 beside step 19, with the mistake")
        terminal.press("tab", "end", "left")
        text = terminal.see(">   5 ram_alloc(pages=5)", "byte map: 11 bytes", "3 bitmaps: 2 words")
        assert "03 02 07 06 05 07 07*07*" in text and "vga  f5*07*" in text
        assert quits(terminal) == 0


def test_both_diffs_are_shown_and_changed(progress: Path) -> None:
    with teach(progress, "17") as terminal:
        terminal.see("17/39")
        terminal.press("m")
        terminal.see("the models' diff", "-     page = addr >> vm.TARGET_PAGE_BITS")
        terminal.press("c")
        terminal.see("the patch in C", "Subject: [PATCH 17/39]")
        terminal.press("end")
        terminal.see("+static inline void cpu_physical_memory_clear_dirty_flag(ram_addr_t addr,")
        terminal.press("tab")
        terminal.see("the models' diff")
        assert quits(terminal) == 0


def test_a_question_shows_its_answer_only_when_asked(progress: Path) -> None:
    with teach(progress, "7") as terminal:
        assert "Could steps 7 and 11" not in terminal.see("7/39", "Why")
        terminal.press("a")
        assert "reorders" not in terminal.see("Could steps 7 and 11 change places?")
        terminal.press("enter")
        terminal.see("Who reorders patches", "Did you have it?")
        terminal.press("y")
        terminal.see("You said: I knew it.")
        terminal.press("l")
        terminal.see(" 7 .+ More than its title says")
        assert quits(terminal) == 0
    assert stored(progress)["answered"] == {"7": True}


def test_reading_to_the_end_counts_as_read(progress: Path) -> None:
    with teach(progress, "3") as terminal:
        terminal.see("3/39", "more lines", "0 of 39 read")
        terminal.press("end")
        terminal.see("Sources", "1 of 39 read")
        assert quits(terminal) == 0
    assert stored(progress)["read"] == [3]


def test_the_screen_follows_a_change_of_size(progress: Path) -> None:
    with teach(progress, "39") as terminal:
        terminal.see("39/39")
        terminal.press("t", "f")
        terminal.see("<- first difference", "step 38", "| step 39")
        terminal.resize(40, 12)
        terminal.until(lambda text: "| step 39" not in text and "step 38" in text, "one above")
        assert max(map(len, terminal.lines)) <= 40
        terminal.resize(120, 40)
        terminal.see("<- first difference", "| step 39", "region_get_dirty")
        for columns, rows in ((20, 6), (10, 3), (4, 2), (1, 1), (80, 24)):
            terminal.resize(columns, rows)
            terminal.look(0.2)
            assert terminal.child.isalive()
        terminal.see("<- first difference", "| step 39")
        assert quits(terminal) == 0


@pytest.mark.parametrize("number", [1, 16, 39])
def test_a_trace_fits_a_small_terminal(progress: Path, number: int) -> None:
    with teach(progress, str(number)) as terminal:
        terminal.see(f" {number}/39 ", "theme ")
        terminal.press("t", "f")
        terminal.see(f" {number}/39 the trace", "<- first", "returns")
        assert "more lines" not in terminal.text
        assert quits(terminal) == 0


@pytest.mark.parametrize("key", ["q", "ctrl-c"])
def test_the_terminal_is_left_as_it_was(progress: Path, key: str) -> None:
    with teach(progress, "1") as terminal:
        terminal.see("1/39")
        assert b"\x1b[?1049h" in terminal.raw
        assert quits(terminal, key) == (0 if key == "q" else 130)
    after = terminal.raw.rpartition(b"\x1b[?1049l")[2]
    assert len(after) < len(terminal.raw), "the alternate screen was left"
    assert not re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", after).strip()
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")


def colors(raw: bytes) -> list[bytes]:
    """The sequences that set a foreground or background colour."""
    found = re.findall(rb"\x1b\[([0-9;]*)m", raw)
    return [code for code in found if re.search(rb"(^|;)([349][0-7]|10[0-7]|38|48)(;|$)", code)]


def test_colour_is_there_and_can_be_turned_off(progress: Path) -> None:
    settings: tuple[tuple[dict[str, str], bool], ...] = (({}, True), ({"NO_COLOR": "1"}, False))
    for env, wanted in settings:
        with teach(progress, "39", env=env) as terminal:
            terminal.see("39/39")
            terminal.press("t", "f")
            terminal.see("<- first difference", "! ")
            assert quits(terminal) == 0
        assert bool(colors(terminal.raw)) is wanted


def test_a_dumb_terminal_is_asked_line_by_line(progress: Path) -> None:
    with teach(progress, "27", env={"TERM": "dumb"}) as terminal:
        terminal.hear("== 27/39 The fix on purpose ==", "teach>")
        terminal.press("t", "enter")
        terminal.hear("Press right")
        terminal.press(">", "enter")
        terminal.hear("first difference", "xen_modified 0x0 length 0x3000")
        terminal.press("1", "6", "enter")
        terminal.hear("== 16/39 Stale bytes")
        terminal.press("next", "enter")
        terminal.hear("== 17/39")
        terminal.press("q", "enter")
        assert terminal.leave() == 0
    assert b"\x1b" not in terminal.raw
    assert stored(progress)["at"] == "17"


def test_a_damaged_progress_file_means_a_fresh_start_with_a_word(progress: Path) -> None:
    progress.parent.mkdir(parents=True)
    progress.write_bytes(b'{"format": "replay-teach/1", "at": ')
    with teach(progress) as terminal:
        terminal.see("replay teach", "the progress file was damaged; starting afresh")
        terminal.press("n", "n")
        terminal.see("1/39")
        assert quits(terminal) == 0
    assert stored(progress)["at"] == "1"
    assert progress.with_name("teach.json.damaged").exists()


def piped(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "teach", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"XDG_STATE_HOME": str(state)},
    )


def test_a_pipe_gets_plain_text(tmp_path: Path) -> None:
    result = piped("27", state=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    assert "27/39 The fix on purpose" in result.stdout and "Answer" in result.stdout
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    contents = piped(state=tmp_path)
    assert contents.returncode == 0
    assert len(re.findall(r"^ +\d+ \.\. ", contents.stdout, re.M)) == 39
    assert not list(tmp_path.iterdir()), "looking changes no progress"


def test_what_is_nowhere_is_a_usage_error(tmp_path: Path) -> None:
    for place in ("40", "0", "h", "steps"):
        result = piped(place, state=tmp_path)
        assert result.returncode == 2
        assert result.stderr.startswith("replay: error: ") and "1 to 39" in result.stderr
    for place, title in (("c", "Theme C: The meat"), ("glossary", "Glossary"), ("09", "9/39")):
        assert piped(place, state=tmp_path).stdout.startswith(title)
