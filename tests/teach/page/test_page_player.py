"""The player steps, reverses, plays, is worked by keys alone, and runs what a reader edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from replay.dirty.language.files import parse_trace
from replay.dirty.machine.run import python_model
from replay.teach.lessons import load_lessons
from replay.teach.page.build import Material

LOST = """\
{"format": "dirty-trace/1", "name": "mine", "config": {"page_bits": 12, "hpratio": 1, "tcg": true}}
{"op": "ram_alloc", "pages": 2}
{"op": "tlb_fill", "addr": 0}
{"op": "migration_start"}
{"op": "migration_next", "addr": 0, "start": 0}
{"op": "store", "addr": 0, "size": 4}
{"op": "migration_sync"}
"""


def open_player(page: Page, site: Path, asked: str = "trace=lesson-39&a=38&b=39") -> None:
    page.goto((site / "player.html").as_uri() + "#" + asked)
    page.wait_for_selector("[data-player].ready")


def status(page: Page) -> str:
    return page.inner_text("[data-status]")


def edit(page: Page, text: str) -> None:
    page.evaluate("document.querySelector('.p-edit').open = true")
    page.fill("[data-text]", text)
    page.click("[data-run]")


def test_three_clicks_from_the_first_page_play_the_difference_at_step_39(
    page: Page, site: Path
) -> None:
    page.clock.install()
    page.goto((site / "index.html").as_uri())
    page.click("text=Play the difference at step 39")
    page.wait_for_selector("[data-player].ready")
    expect(page.locator("[data-play]")).to_have_text("Pause")
    expect(page.locator("[data-status]")).to_contain_text("Before the first")
    for _ in range(3):
        page.clock.run_for(1100)
    expect(page.locator("[data-status]")).to_contain_text("migration_start(): they differ in")
    for _ in range(5):
        page.clock.run_for(1100)
    expect(page.locator("[data-play]")).to_have_text("Play")
    expect(page.locator("[data-last]")).to_be_disabled()


def snapshot(page: Page) -> list[str]:
    return [
        status(page),
        *page.locator("[data-panel]").evaluate_all("ps => ps.map(p => p.innerHTML)"),
    ]


def test_stepping_back_shows_what_stepping_forward_showed(page: Page, site: Path) -> None:
    open_player(page, site)
    forward = [snapshot(page)]
    while page.locator("[data-forward]").is_enabled():
        page.click("[data-forward]")
        forward.append(snapshot(page))
    assert len(forward) == 8
    for seen in reversed(forward[:-1]):
        page.click("[data-back]")
        assert snapshot(page) == seen
    page.click("[data-last]")
    assert snapshot(page) == forward[-1]
    page.click("[data-first]")
    assert snapshot(page) == forward[0]
    page.locator("[data-at]").fill("3")
    assert snapshot(page) == forward[3]


def test_what_the_player_says_is_what_python_observes_for_each_lesson(
    page: Page, site: Path
) -> None:
    open_player(page, site)
    for lesson in load_lessons().lessons:
        page.select_option("select[data-trace]", f"lesson-{lesson.number:02d}")
        a, b = lesson.steps
        page.select_option("select[data-a]", str(a))
        page.select_option("select[data-b]", str(b))
        runs = [python_model(step).run(lesson.trace).observations() for step in (a, b)]
        differs = [x.differences(y) if x and y else () for x, y in zip(*runs, strict=True)]
        first = next((i for i, names in enumerate(differs) if names), None)
        words = page.inner_text("[data-summary]")
        if first is None:
            assert words == f"The two are equal on all {len(lesson.trace.ops)} operations."
        else:
            assert words.startswith(f"The two first differ at operation {first}, "), lesson.number
            marked = page.locator("[data-ops] button.differs").count()
            assert marked == sum(map(bool, differs))


def test_each_lessons_player_shows_its_mistake_where_the_lesson_says(
    page: Page, site: Path
) -> None:
    for lesson in load_lessons().lessons:
        page.goto((site / f"steps/{lesson.number:02d}.html").as_uri())
        page.wait_for_selector("[data-player].ready")
        shown = lesson.mistake or lesson.difference
        if shown is not None:
            words = page.inner_text("[data-summary]")
            assert words.startswith(f"The two first differ at operation {shown.operation}, ")
            differing = "document.querySelector('[data-player]').player.differing"
            fields = page.evaluate(differing)[shown.operation]
            assert sorted(fields) == sorted(shown.fields), lesson.number
        if lesson.mistake:
            assert "with the mistake" in page.locator("[data-panel] h3").nth(1).inner_text()
            page.click("[data-difference]")
            assert "they differ in" in status(page)
            page.focus("[data-player]")
            page.keyboard.press("End")
            page.keyboard.press("Home")


def test_an_edited_trace_runs_in_the_page_and_shows_the_difference_of_step_39(
    page: Page, site: Path
) -> None:
    open_player(page, site, "trace=lesson-01&a=38&b=39")
    edit(page, LOST)
    expect(page.locator("[data-summary]")).to_contain_text("first differ at operation 2")
    expect(page.locator("[data-status]")).to_contain_text("TLB direct")
    page.click("[data-last]")
    gave = page.locator("[data-facts] dd").all_inner_texts()
    assert gave[0].startswith("2")
    assert gave[3].startswith("1 differs")
    page.select_option("select[data-b]", "37")
    expect(page.locator("[data-summary]")).to_contain_text("equal on all 6 operations")
    page.click("[data-reset]")
    expect(page.locator("[data-summary]")).to_contain_text("equal on all 8 operations")


HEAD = LOST.splitlines()[0] + "\n"

WRONG = {
    "nothing": ("", "line 1: the text is empty"),
    "no header": ('{"op": "tlb_flush"}', "line 1: the first line must be the header"),
    "not JSON": (LOST + "store\n", "line 8: not JSON"),
    "no such operation": (LOST + '{"op": "stor"}\n', "unknown operation 'stor'; known are store"),
    "an argument too few": (LOST + '{"op": "store", "addr": 0}\n', "line 8: store lacks size"),
    "no RAM there": (
        LOST + '{"op": "tlb_fill", "addr": 65536}\n',
        "line 8: tlb_fill: addr 0x10000 lies in no RAM",
    ),
    "too much RAM": (
        HEAD + '{"op": "ram_alloc", "pages": 100000}\n',
        "line 2: ram_alloc: RAM would end",
    ),
    "a script": (LOST + '{"op": "<img src=x onerror=alert(1)>"}\n', "unknown operation '<img"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_trace_that_is_wrong_is_refused_with_its_line(page: Page, site: Path, what: str) -> None:
    text, message = WRONG[what]
    open_player(page, site)
    before = page.inner_text("[data-summary]")
    edit(page, text)
    expect(page.locator("[data-problem]")).to_contain_text(message)
    expect(page.locator("[data-text]")).to_be_focused()
    expect(page.locator("[data-text]")).to_have_attribute("aria-invalid", "true")
    assert page.inner_text("[data-summary]") == before
    edit(page, LOST)
    expect(page.locator("[data-problem]")).to_have_text("")


def test_an_abort_ends_the_run_and_is_told(page: Page, site: Path) -> None:
    open_player(page, site, "trace=lesson-39&a=29&b=30")
    aborting = LOST.splitlines()[0] + (
        '\n{"op": "ram_alloc", "pages": 1}\n{"op": "ram_alloc", "pages": 1}\n'
        '{"op": "region_reset_dirty", "addr": 0, "length": 8192, "client": "vga"}\n'
        '{"op": "tlb_flush"}\n'
    )
    edit(page, aborting)
    page.click("[data-back]")
    assert page.locator("[data-facts] dd").first.inner_text() == "abort"
    page.click("[data-forward]")
    assert page.locator("[data-facts] dd").first.inner_text() == "had ended"


def test_everything_is_done_by_keys_alone(page: Page, site: Path) -> None:
    page.clock.install()
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-player].ready")
    page.locator("[data-player]").focus()
    page.keyboard.press("Home")
    assert "Before the first" in status(page)
    page.keyboard.press("ArrowRight")
    assert "After operation 0" in status(page)
    page.keyboard.press("End")
    assert "After operation 6" in status(page)
    page.keyboard.press("ArrowLeft")
    assert "After operation 5" in status(page)
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.locator("[data-play]")).to_have_text("Pause")
    page.clock.run_for(1200)
    page.keyboard.press("Space")
    expect(page.locator("[data-play]")).to_have_text("Play")
    assert "After operation 0" in status(page)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.activeElement.attributes].map(a => a.name).join()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    for name in (
        "data-trace",
        "data-a",
        "data-b",
        "data-forward",
        "data-play",
        "data-at",
        "data-events",
    ):
        assert any(name in found for found in reached), name


def test_who_wants_no_motion_is_shown_the_difference_at_once(browser: Browser, site: Path) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    open_player(page, site, "trace=lesson-39&a=38&b=39&play")
    assert "they differ in" in status(page)
    assert page.inner_text("[data-play]") == "Play"
    context.close()


def test_the_store_is_drawn_as_bytes_before_the_split_and_as_words_after(
    page: Page, site: Path
) -> None:
    open_player(page, site, "trace=lesson-19&a=18&b=19")
    page.click("[data-last]")
    panels = page.locator("[data-panel]")
    assert panels.nth(0).locator(".m-byte").count() == 1
    assert panels.nth(0).locator(".m-word").count() == 0
    assert panels.nth(1).locator(".m-byte").count() == 0
    assert panels.nth(1).locator(".m-word").count() == 1
    assert "dirty for VGA: 0, 2" in str(panels.nth(1).locator("svg").get_attribute("aria-label"))


def test_the_status_is_a_live_region(page: Page, site: Path) -> None:
    open_player(page, site)
    expect(page.locator("[data-status]")).to_have_attribute("aria-live", "polite")
    expect(page.locator("[data-problem]")).to_have_attribute("role", "alert")


def test_the_traces_of_the_page_are_valid_traces(material: Material) -> None:
    for playable in material.playable:
        given: dict[str, Any] = playable.to_json()
        assert parse_trace(given["text"]) == playable.trace
        json.dumps(given)
