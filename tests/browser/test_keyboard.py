"""What a mouse does at the desk a keyboard does, too; and no icon is read aloud by the name of its glyph."""

import re

from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import Staff
from tests.browser.browsing import NARROW, USERNAME, browsing, faults, log_in
from tests.cast import Tenant
from tests.live_server import LiveServer

ICONS = "[...document.querySelectorAll('.material-symbols-outlined')].map(icon => icon.textContent.trim())"


def _read_aloud(page: Page) -> str:
    """Of what has a name the name alone: what stands in a button is not read besides it."""
    return re.sub(r'("): .*', r"\1", page.locator("body").aria_snapshot())


def test_no_icon_is_read_aloud_by_its_name(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    user = alice.user(alice.plan())
    alice.key(user=user)
    paths = [
        reverse("admin:index"),
        reverse("admin:accounts_user_changelist"),
        reverse("admin:accounts_user_change", args=[user.pk]),
    ]
    with browsing(server) as page:
        log_in(page)
        for path in paths:
            page.goto(path)
            words = {word for word in page.evaluate(ICONS) if "_" in word}
            read = _read_aloud(page)
            assert {"dock_to_right", "unfold_more"} <= words
            assert {word for word in words if word in read} == set()
        assert 'link "Go back"' in read
        page.goto(paths[1])
        assert 'img "False"' in _read_aloud(page)  # whether a user is disabled


def test_menus_open_by_the_keyboard(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    with browsing(server) as page:
        log_in(page)
        page.get_by_role("button", name=USERNAME).press("Enter")
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        page.get_by_role("button", name="Dark").press(" ")
        expect(page.locator("html.dark")).to_be_attached()
        page.goto(reverse("admin:accounts_user_changelist"))
        page.get_by_role("button", name="Filters").press("Enter")
        expect(page.get_by_role("button", name="Apply Filters")).to_be_visible()
        assert faults(page) == []


def test_the_navigation_opens_on_a_narrow_screen_by_the_keyboard(
    server: LiveServer, alice: Tenant, staff: Staff
) -> None:
    with browsing(server, viewport=NARROW) as page:
        log_in(page)
        expect(page.get_by_role("link", name="Access keys")).to_be_hidden()
        page.get_by_role("button", name="Navigation").press("Enter")
        expect(page.get_by_role("link", name="Access keys")).to_be_visible()
        page.get_by_role("button", name="Close").press("Enter")
        expect(page.get_by_role("link", name="Access keys")).to_be_hidden()
        assert faults(page) == []


def test_an_account_is_chosen_as_a_filter(server: LiveServer, alice: Tenant, bob: Tenant, staff: Staff) -> None:
    mine, his = alice.user(email="mine@example.com"), bob.user(email="his@example.com")
    with browsing(server) as page:
        log_in(page)
        page.goto(f"{reverse('admin:accounts_user_changelist')}?is_disabled__exact=0")
        page.get_by_role("button", name="Filters").click()
        page.get_by_role("combobox", name="Account").click()
        page.locator(".select2-search__field").fill("ali")
        page.get_by_role("option", name="Alice").click()
        assert faults(page) == []
        page.get_by_role("button", name="Apply Filters").click()
        expect(page.get_by_text("mine@example.com")).to_be_visible()
        expect(page.get_by_text("his@example.com")).to_be_hidden()
        assert f"account_id={mine.account_id}" in page.url
        assert "is_disabled__exact=0" in page.url
        assert his.account_id != mine.account_id
