"""A session without a terminal: what keys do, what is shown, and what is remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replay.dirty.language.trace import Op, Trace
from replay.dirty.subject import SUBJECT
from replay.teach.lessons import Lessons, load_lessons
from replay.teach.lessons.frames import films, play
from replay.teach.lessons.shortest import FOLDER
from replay.teach.terminal import diffs, lines, progress
from replay.teach.terminal.session import Session
from replay.teach.terminal.stage import MOST_PAGES, Stage
from replay.teach.terminal.text import broken, fold, length, line, plain, text_lines
from replay.teach.terminal.views import Playing, Reading, found_in

SIZES = [(80, 24), (132, 50), (60, 20), (59, 20), (40, 10), (20, 6), (12, 5), (3, 2), (1, 1)]


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return load_lessons()


@pytest.fixture
def session(lessons: Lessons) -> Session:
    return Session(lessons, progress.Progress())


def press(session: Session, *keys: str) -> str:
    for key in keys:
        session.key(key)
    return "\n".join(plain(part).rstrip() for part in session.screen(80, 24))


def typed(word: str) -> list[str]:
    return ["space" if character == " " else character for character in word]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_screen_is_as_large_as_the_terminal(lessons: Lessons, columns: int, rows: int) -> None:
    session = Session(lessons, progress.Progress())
    keys = ["h", "n", "n", "t", "f", "end", "escape", "m", "c", "a", "enter", "l", "g", "r", "j"]
    for key in [*keys, "1", "9", "enter", "t", "tab", "end", "/", "x", "y", "z", "enter"]:
        session.key(key)
        screen = session.screen(columns, rows)
        assert len(screen) == rows
        assert all(length(part) <= columns for part in screen)
    assert session.screen(0, 0) == []


@pytest.mark.parametrize("number", range(1, 40))
def test_every_trace_plays_and_shows_its_point_at_80_by_24(lessons: Lessons, number: int) -> None:
    session = Session(lessons, progress.Progress(), str(number))
    lesson = lessons.lesson(number)
    assert "Press right" in press(session, "t", "end", "home", "pagedown")
    assert isinstance(session.view, Playing)
    shown = [what for what in (lesson.mistake, lesson.difference) if what]
    text = press(session, "f")
    assert f">! {shown[0].operation:2} " in text and "<- first" in text
    assert " ! " in text.partition("returns")[0] + text.partition("returns")[2]
    press(session, "end")
    while session.view.index > 0:
        assert "more lines" not in press(session, "left")


def test_every_lesson_is_read_from_first_to_last_with_one_key(session: Session) -> None:
    seen = []
    for _ in range(60):
        press(session, "n")
        seen.append(session.place)
        if "last page" in session.notice:
            break
    assert [place for place in seen[:-1] if place.isdecimal()] == [str(k) for k in range(1, 40)]
    assert seen[0] == "theme-a" and seen[14] == "theme-b" and seen[-1] == "reviewer"
    assert session.progress.read == set(range(1, 40))


def test_a_look_at_the_glossary_leaves_the_reader_where_they_are(session: Session) -> None:
    press(session, "2", "7", "enter", "down", "down")
    assert session.scroll == 2
    assert "Glossary" in press(session, "g")
    assert "27/39 The fix on purpose" in press(session, "escape")
    assert session.scroll == 2 and session.progress.at == "27"


def test_found_terms_are_opened_where_they_stand(session: Session) -> None:
    assert "found for 'hpratio'" in press(session, "/", *typed("hpratio"), "enter")
    text = press(session, "end", "enter")
    assert "Glossary" in text and "hpratio" in text.splitlines()[1]
    assert "nothing holds 'pink zebra'" in press(session, "/", *typed("pink zebra"), "enter")


def test_a_search_finds_titles_of_patches_and_functions(lessons: Lessons) -> None:
    places = {choice.place for choice in found_in(lessons, "bitmap_zero_extend")}
    assert "18" in places
    assert [choice.place for choice in found_in(lessons, "syncronize kvm")] == ["37"]
    assert found_in(lessons, "  ") == []


def test_keys_that_need_a_lesson_say_so(session: Session) -> None:
    for key in "tmca":
        assert "this needs a lesson" in press(session, "h", key)


def test_a_prompt_takes_letters_and_can_be_left(session: Session) -> None:
    assert "find: nq_" in press(session, "/", "n", "q")
    assert "find: n_" in press(session, "backspace")
    assert not session.ended
    assert "find" not in press(session, "escape").splitlines()[-1]
    press(session, "q")
    assert session.ended


def test_a_search_may_hold_spaces_and_a_bad_jump_is_told(session: Session) -> None:
    assert "there is no 'x y'" in press(session, "j", *typed("x y"), "enter")
    assert "5/39" in press(session, "j", "0", "5", "enter")


# --- what is shown comes from the models ---------------------------------------------------


def test_only_what_is_there_is_compared_not_what_changed(lessons: Lessons) -> None:
    lesson = lessons.lesson(39)
    stage = Stage(films(lesson))
    for index in range(len(lesson.trace.ops)):
        differing = {row.label for row in stage.rows(index, 80) if row.differs}
        fields = set(stage.apart(index))
        assert ("tlb" in differing) == bool(fields & {"tlb_direct", "tlb_notdirty"})
        assert ("migr" in differing) == ("migration" in fields)
        assert ("returns" in differing) == ("ret" in fields)


def test_bytes_beside_words_are_not_marked_as_a_difference(lessons: Lessons) -> None:
    trace = lessons.lesson(19).trace
    stage = Stage((play(trace, 18), play(trace, 19)))
    assert stage.first is None
    for index in range(stage.last + 1):
        assert not any(row.differs for row in stage.rows(index, 80))


def test_a_dead_machine_is_shown_as_dead(lessons: Lessons) -> None:
    lesson = lessons.lesson(15)
    text = "\n".join(plain(part) for part in Stage(films(lesson, True)).lines(3, 80))
    assert "ABORT: the process is dead" in text and "(dead)" in text


def test_large_machines_are_cut_not_refused() -> None:
    trace = Trace((Op("ram_alloc", (5000,)), Op("store", (0, 4))))
    stage = Stage((play(trace, 18), play(trace, 39)))
    assert any(row.label == "vga" for row in stage.rows(1, 80))
    pages = sum(plain(r.left).count("#") for r in stage.rows(1, 80) if r.label == "vga")
    assert pages == MOST_PAGES


def test_characters_that_a_terminal_obeys_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "0001-x.patch"
    path.write_bytes(b"diff --git a/x b/x\n+\x1b[2J\tred\x07\xff\r\n")
    monkeypatch.setattr(diffs, "patch_path", lambda number: path)
    shown = [plain(part) for part in diffs.patch_lines(1)]
    assert shown[1] == "+\\x1b[2J   red\\x07\\xff\\r"


def test_the_patch_and_the_models_diff_exist_for_every_step(lessons: Lessons) -> None:
    for lesson in lessons.lessons:
        assert any(plain(p).startswith("diff --git") for p in diffs.patch_lines(lesson.number))
        signs = {plain(part)[:2] for part in diffs.model_lines(lesson, 80)}
        assert lesson.mistake is None or "+ " in signs or "- " in signs


# --- text ----------------------------------------------------------------------------------


def test_folding_keeps_words_and_styles() -> None:
    folded = fold([("", "one "), ("code", "two three"), ("", ", four")], 12)
    assert [plain(part) for part in folded] == ["one two", "three, four"]
    assert folded[1][0] == ("code", "three")
    assert [plain(part) for part in fold([("", "abcdefghijklmnop")], 10)] == [
        "abcdefghij",
        "klmnop",
    ]
    assert [plain(p) for p in broken(line("abcdefgh"), 6, "..")] == ["abcdef", "..gh"]
    assert [plain(p) for p in text_lines("a\nb\n\n- c\n- d", 20)] == ["a b", "", "- c", "- d"]


def test_links_to_steps_tell_their_number() -> None:
    assert [plain(p) for p in text_lines("see [the split](19) or [step 3](3)", 60)] == [
        "see the split (19) or step 3"
    ]


def test_typed_lines_stand_for_keys() -> None:
    assert lines.keys_of("\n") == ["enter"]
    assert lines.keys_of("27\n") == ["j", "2", "7", "enter"]
    assert lines.keys_of("/a b") == ["/", "a", "space", "b", "enter"]
    assert lines.keys_of("jump G") == ["j", "G", "enter"]
    assert lines.keys_of("Next") == ["n"] and lines.keys_of(">") == [">"]


def test_a_session_by_lines_ends_with_its_input(lessons: Lessons) -> None:
    answers = iter(["16", "t", "end", None])
    shown: list[str] = []
    lines.run(Session(lessons, progress.Progress()), lambda: next(answers), shown.append)
    assert any("region_get_dirty" in part for part in shown)


# --- progress ------------------------------------------------------------------------------


def test_progress_is_kept_where_the_standard_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/state")
    assert progress.default_path() == Path("/somewhere/state/replay/teach.json")
    monkeypatch.setenv("HOME", "/home/reader")
    for wrong in ("", "relative/state"):
        monkeypatch.setenv("XDG_STATE_HOME", wrong)
        assert progress.default_path() == Path("/home/reader/.local/state/replay/teach.json")


def test_what_was_stored_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a" / "teach.json"
    kept = progress.Progress(path, "theme-b", {3, 1}, {7: False})
    kept.save()
    again = progress.load(path)
    assert (again.at, again.read, again.answered, again.notice) == (
        "theme-b", {1, 3}, {7: False}, "",
    )  # fmt: skip
    assert [file.name for file in path.parent.iterdir()] == ["teach.json"]
    assert progress.load(path, reset=True).read == set()
    assert progress.load(path).at == ""


GOOD = {"format": "replay-teach/1", "at": "1", "read": [1], "answered": {"1": True}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        json.dumps(GOOD | {"format": "replay-teach/2"}).encode(),
        json.dumps(GOOD | {"read": "1"}).encode(),
        json.dumps(GOOD | {"answered": {"one": True}}).encode(),
        json.dumps(GOOD | {"more": 1}).encode(),
    ],
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "teach.json"
    path.write_bytes(data)
    fresh = progress.load(path)
    assert fresh.read == set() and "damaged" in fresh.notice
    assert (tmp_path / "teach.json.damaged").read_bytes() == data
    fresh.save()
    assert progress.load(path).notice == ""


def test_a_place_that_no_longer_exists_is_a_start(tmp_path: Path, lessons: Lessons) -> None:
    path = tmp_path / "teach.json"
    path.write_text(json.dumps(GOOD | {"at": "theme-z", "read": [99]}), encoding="utf-8")
    session = Session(lessons, progress.load(path))
    assert not isinstance(session.view, Reading)
    assert session.notice == ""


def test_a_file_that_cannot_be_written_stops_no_lesson(tmp_path: Path, lessons: Lessons) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    session = Session(lessons, progress.Progress(tmp_path / "file" / "teach.json"))
    press(session, "n")
    assert session.place == "theme-a"
    assert "progress is not saved" in session.notice
    assert "not saved" not in press(session, "n")


def test_a_directory_in_its_place_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "teach.json"
    path.mkdir()
    found = progress.load(path)
    assert found.path is None and "cannot be read" in found.notice
    assert path.is_dir()


def test_a_lesson_shows_the_shortest_traces_of_its_deviations(lessons: Lessons) -> None:
    names = {path.stem for path in FOLDER.iterdir()}
    shown = set()
    for lesson in lessons.lessons:
        text = " ".join(plain(part) for part in Reading(lesson).lines(200, 50))
        shown |= {
            f"{lesson.number}-{deviation.id}"
            for deviation in SUBJECT.series.step(lesson.number).deviations
            if f"{deviation.id}, at its shortest: a search of all states" in text
        }
    assert shown == names
    assert "39-sync-does-not-rearm" in names
    text = "\n".join(plain(part) for part in Reading(lessons.lesson(39)).lines(80, 50))
    assert "  ram_alloc(pages=1)\n  tlb_fill(addr=0x0)\n  migration_start()" in text
