"""Every page of the site opens from the file system, is whole, and can be read by anyone."""

from __future__ import annotations

import html.parser
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from replay.teach.page.build import Material, build_site
from replay.teach.page.serve import server

if TYPE_CHECKING:
    from page.conftest import Watched

PAGES = (
    "index.html", "start.html", "player.html", "gallery.html", "functions.html", "glossary.html",
    "reviewer.html", "theme-a.html", "steps/01.html", "steps/19.html", "steps/39.html",
)  # fmt: skip


def all_pages(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def open_page(page: Page, site: Path, name: str) -> None:
    page.goto((site / name.partition("#")[0]).as_uri() + name[len(name.partition("#")[0]) :])


def test_every_page_opens_without_a_message_or_a_failed_request_and_fits_a_phone(
    watched: Watched, site: Path
) -> None:
    names = all_pages(site)
    assert [f"steps/{number:02d}.html" for number in range(1, 40)] == names[-39 - 7 : -7]
    for name in names:
        open_page(watched.page, site, name)
        assert watched.problems == [], name
        players = watched.page.locator("[data-player]").count()
        assert watched.page.locator("[data-player].ready").count() == players
        assert players == int(name.startswith("steps/") or name == "player.html")
        watched.page.set_viewport_size({"width": 360, "height": 740})
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360, name
        watched.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_light_or_dark(
    browser: Browser, site: Path, scheme: str
) -> None:
    # The site's policy holds for scripts that a test puts in, too.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    for name in PAGES:
        open_page(page, site, name)
        if name.startswith("steps/") or name == "player.html":
            page.click("[data-forward]")
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        # All rules in light; what depends on colours also in dark.
        rules = None if scheme == "light" else {"runOnly": ["color-contrast"]}
        found = Axe().run(page, options=rules).response["violations"]
        bad = [v for v in found if v["impact"] in ("serious", "critical")]
        assert [(name, v["id"], [n["html"] for n in v["nodes"]][:3]) for v in bad] == []
    context.close()


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.links.append(value)
            if key == "id" and value:
                self.ids.append(value)


def test_every_link_leads_to_a_page_and_an_anchor_that_are_there(site: Path) -> None:
    parsed = {}
    for name in all_pages(site):
        parsed[name] = _Links()
        parsed[name].feed((site / name).read_text(encoding="utf-8"))
        assert len(parsed[name].ids) == len(set(parsed[name].ids)), name
    for name, found in parsed.items():
        for link in found.links:
            parts = urlsplit(link)
            assert not parts.scheme and not parts.netloc, (name, link)
            target = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else None
            other = name if target is None else target.relative_to(site.resolve()).as_posix()
            assert (site / other).is_file(), (name, link)
            if parts.fragment and other != "player.html":
                assert parts.fragment in parsed[other].ids, (name, link)


def ready_after(page: Page) -> float:
    """Milliseconds until all scripts of the page have run and it can be worked."""
    page.reload()
    timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    return float(page.evaluate(timing))


def test_the_first_view_is_small_and_ready_within_a_second(watched: Watched, site: Path) -> None:
    for name in ("index.html", "player.html", "steps/01.html", "steps/13.html", "steps/39.html"):
        watched.requests.clear()
        open_page(watched.page, site, name)
        loaded = {unquote(urlsplit(url).path) for url in watched.requests}
        # The player's page has all traces: of the lessons, the findings and the gallery.
        most = 225_000 if name == "player.html" else 200_000
        assert sum(Path(path).stat().st_size for path in loaded) < most, name
        assert min(ready_after(watched.page) for _ in range(3)) < 1000, name


def test_nothing_moves_when_the_player_starts_or_plays(page: Page, site: Path) -> None:
    open_page(page, site, "steps/39.html")
    page.evaluate(
        """() => { window.moved = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.moved += entry.value;
        }).observe({ type: "layout-shift", buffered: true }); }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.moved") < 0.1
    top = "document.querySelector('.legend').getBoundingClientRect().top + scrollY"
    before = page.evaluate(top)
    for _ in range(7):
        page.click("[data-forward]")
        assert page.evaluate(top) == before


def test_a_web_server_on_the_loopback_serves_the_same_pages(watched: Watched, site: Path) -> None:
    with server(site, 0) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            assert http.server_address[0] == "127.0.0.1"
            address = f"http://127.0.0.1:{http.server_address[1]}"
            watched.page.goto(f"{address}/")
            watched.page.click("text=Play the difference at step 39")
            watched.page.wait_for_selector("[data-player].ready")
            assert watched.page.goto(f"{address}/steps/") is not None
        finally:
            watched.page.goto("about:blank")
            http.shutdown()
            thread.join()
    watched.problems = [p for p in watched.problems if "404" not in p]
    watched.requests = [url for url in watched.requests if url != "about:blank"]


HOSTILE = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"


def hostile(material: Material) -> Material:
    """The same material with a script in every text that somebody else may have written."""
    replace = msgspec.structs.replace
    series, report = material.series, material.report
    steps = [*series.steps]
    steps[38] = replace(steps[38], title=HOSTILE, claim=HOSTILE, domain=HOSTILE, adds=(HOSTILE,))
    found = [*report.steps]
    last = found[38]
    found[38] = replace(
        last,
        deviations=[
            replace(
                d, id=HOSTILE, text=HOSTILE, call=HOSTILE,
                example=d.example and replace(d.example, name=HOSTILE),
            )
            for d in last.deviations
        ],
    )  # fmt: skip
    patches = list(material.patches)
    change = patches[38].files[0]
    hunk = change.hunks[0]._replace(lines=(("+", HOSTILE.encode() + b"\n"),))
    other = type(change)(HOSTILE, HOSTILE, None, None, (hunk,), False, 1)
    fields = {name: getattr(patches[38], name) for name in patches[38].__dataclass_fields__}
    patches[38] = type(patches[38])(**fields | {"files": (other,)})
    return Material(
        replace(report, steps=found), None, replace(series, steps=tuple(steps)), patches,
        material.lessons,
    )  # fmt: skip


def test_a_script_in_a_title_a_diff_or_a_trace_is_shown_and_never_runs(
    browser: Browser, material: Material, tmp_path: Path
) -> None:
    files = build_site(hostile(material))
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    # Without the policy, which would stop a script that the escaping let pass.
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    for name in ("index.html", "steps/39.html", "steps/38.html", "player.html", "theme-g.html"):
        page.goto((tmp_path / name).as_uri())
        page.wait_for_load_state("load")
        assert page.evaluate("window.hit") is None, name
        assert "<img src=x" in page.content().replace("&lt;", "<"), name
    page.goto((tmp_path / "player.html").as_uri())
    options = page.locator("select[data-trace] option").count()
    assert options > 39
    for index in range(39, options):
        page.select_option("select[data-trace]", index=index)
        page.focus("[data-player]")
        page.keyboard.press("End")
    assert page.evaluate("window.hit") is None
    context.close()


def test_the_policy_lets_no_inline_script_and_no_connection_through(
    browser: Browser, site: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    open_page(page, site, "index.html")
    page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.hit = 1';
        document.body.append(s); }"""
    )
    assert page.evaluate("window.hit") is None
    refused = "fetch('index.html').then(() => 'let through', () => 'refused')"
    assert page.evaluate(refused) == "refused"
    context.close()
