"""A page of Debian's Chromium that reaches nothing but the server: what people see of it, and who can use it."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.live_server import LiveServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parents[2]
# `make screenshots` has them kept for the staff's guide.
PHOTOGRAPHS = ROOT / os.environ.get("LIMITLY_PHOTOGRAPHS", "tests/artifacts")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
USERNAME, PASSWORD = "sam", "a long one"
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 400, "height": 800}
CLICKS_MAX = 3
FIND = "A secret, its last four"  # the field of the home page
RUN_AXE = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


@contextmanager
def browsing(server: LiveServer, *, dark: bool = False, viewport: ViewportSize = WIDE) -> Iterator[Page]:
    """On which nothing goes wrong: no error of a script, no answer of 400 or more, no request to anywhere else."""
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(
            viewport=viewport, base_url=server.url, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda asked: wrong.append(asked.url) if not _is_local(asked.url, server) else None)
        yield page
        browser.close()
    assert wrong == []


def _is_local(url: str, server: LiveServer) -> bool:
    return url.startswith((server.url, "data:", "blob:"))


def log_in(page: Page) -> None:
    page.goto("/")
    page.fill("[name=username]", USERNAME)
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")


def photograph(page: Page, name: str, *, height: int | None = None) -> None:
    """For people to look at, of a window of this height; by default kept in a folder that git ignores."""
    PHOTOGRAPHS.mkdir(parents=True, exist_ok=True)
    if height is not None:
        page.set_viewport_size({"width": WIDE["width"], "height": height})
    page.screenshot(path=PHOTOGRAPHS / f"{name}.png", animations="disabled")


class Hand:
    """Clicks, and counts them: everyday work is at most three clicks away from the home page."""

    def __init__(self, page: Page) -> None:
        self._page, self.clicks = page, 0

    def click(self, name: str, *, role: str = "link", within: str = "body") -> None:
        self.clicks += 1
        place = self._page.locator(within)
        place.get_by_role(role, name=name).click()  # type: ignore[arg-type]  # one of its many literals
        self._page.wait_for_load_state()

    def type(self, label: str, text: str) -> None:
        """And presses Enter."""
        self._page.get_by_label(label).fill(text)
        with self._page.expect_navigation():
            self._page.keyboard.press("Enter")


@contextmanager
def at_the_desk(server: LiveServer) -> Iterator[tuple[Page, Hand]]:
    """Logged in, on the home page."""
    with browsing(server) as page:
        log_in(page)
        hand = Hand(page)
        yield page, hand
        assert hand.clicks <= CLICKS_MAX


def faults(page: Page) -> list[str]:
    """What axe-core finds serious or critical on this page, with the element; evaluated, so that no policy stops it."""
    page.evaluate(AXE.read_text())
    violations: list[dict[str, Any]] = page.evaluate(RUN_AXE)
    return [
        f"{violation['impact']} {violation['id']}: {node['html'][:160]} ({node['failureSummary'][:300]})"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def faults_of(page: Page, paths: Iterable[str]) -> str:
    """The same of many pages, a line for each fault: one text, which a failed assertion shows whole."""
    found = []
    for path in paths:
        page.goto(path)
        found += [f"{path}: {fault}" for fault in faults(page)]
    return "\n".join(found)
