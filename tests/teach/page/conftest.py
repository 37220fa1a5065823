"""One site for all tests, built from a small real check; one Chromium that opens it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from replay.dirty.subject import plan as plan_of
from replay.series.check import check
from replay.teach.page.build import Material, make_site
from replay.teach.page.verdicts import CheckReport, report_of

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str:
    """The Chromium of the system; the tests are worth nothing without one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("the tests of the site need a browser: apt-get install chromium", pytrace=False)
    return path


@pytest.fixture(scope="session")
def report() -> CheckReport:
    return report_of(check(plan_of(traces=60), budget=60))


@pytest.fixture(scope="session")
def material(report: CheckReport) -> Material:
    return Material(report)


@pytest.fixture(scope="session")
def site(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    make_site(material, folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield opened
        opened.close()


@dataclass
class Watched:
    """A page, what went wrong in it, and what it asked for."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def failure(request: Request) -> list[str]:
    """What failed; a request that was given up because a test went on to another page did not."""
    gone = request.failure == "net::ERR_ABORTED"
    return [] if gone else [f"failed: {request.url}: {request.failure}"]


def watch(context: BrowserContext) -> Watched:
    watched = Watched(context.new_page())
    page = watched.page
    page.on("console", lambda message: watched.problems.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: watched.problems.append(f"error: {error}"))
    page.on("requestfailed", lambda request: watched.problems.extend(failure(request)))
    page.on("request", lambda request: watched.requests.append(request.url))
    return watched


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A fresh page; when a test is over nothing may have gone wrong in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = watch(context)
    yield opened
    context.close()
    assert opened.problems == []
    assert [
        url for url in opened.requests if not url.startswith(("file:", "http://127.0.0.1"))
    ] == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page
