"""The admin and the API's reference as a person sees them: Debian's Chromium on a running server."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Page, sync_playwright

from accounts.models import Staff
from tests.cast import Tenant
from tests.live_server import LiveServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARTIFACTS = Path(__file__).parents[1] / "artifacts"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(autouse=True)
def _chromium_is_there() -> None:
    if CHROMIUM is None:
        if os.environ.get("LIMITLY_REQUIRE_BROWSER") == "1":
            pytest.fail("LIMITLY_REQUIRE_BROWSER=1, but there is no chromium (Debian: apt-get install chromium)")
        pytest.skip("no chromium (Debian: apt-get install chromium)")


@contextmanager
def browsing(server: LiveServer) -> Iterator[Page]:
    """A page that may reach nothing but the server, and on which nothing goes wrong."""
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, base_url=server.url)
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda asked: wrong.append(asked.url) if not _is_local(asked.url, server) else None)
        yield page
        browser.close()
    assert wrong == []


def _is_local(url: str, server: LiveServer) -> bool:
    return url.startswith((server.url, "data:", "blob:"))


def _log_in(page: Page) -> None:
    page.goto("/")
    page.fill("[name=username]", "sam")
    page.fill("[name=password]", "a long one")
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")


def _photograph(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


@pytest.fixture
def staff(alice: Tenant) -> Staff:
    password = make_password("a long one", hasher="pbkdf2_sha256")  # the server of its own shall know it
    return Staff.objects.create(username="sam", password=password, is_staff=True, is_superuser=True)


def test_staff_issue_a_key_see_its_secret_once_and_find_it_in_the_list(
    server: LiveServer, alice: Tenant, staff: Staff
) -> None:
    with browsing(server) as page:
        _log_in(page)
        page.click("text=Api keys")
        page.click("text=Add api key")
        page.fill("[name=name]", "Printed by hand")
        page.click(".field-account .select2-selection")
        page.fill(".select2-search__field", "Ali")
        page.click(".select2-results__option:has-text('Alice')")
        page.click("[name=_save]")
        secret = page.input_value("#secret")
        assert re.fullmatch("lk_user_[0-9a-f]{32}", secret)
        _photograph(page, "secret-once")
        page.click("text=I have copied it")
        page.wait_for_load_state()  # the click waits for the page's head alone
        assert page.locator("#result_list").get_by_text("Printed by hand").count() == 1
        assert secret not in page.content()
        _photograph(page, "api-keys")


def test_the_reference_works_without_the_internet(server: LiveServer) -> None:
    with browsing(server) as page:
        page.goto("/v1/docs")
        page.wait_for_selector(".opblock")
        assert page.locator(".opblock-summary-path", has_text="/v1/validate").count() == 1
        _photograph(page, "reference")
