"""Staff see who changed a plan in three clicks, and set up the second factor that lets them in from then on."""

import base64
import time

from django.urls import reverse
from django_otp.oath import TOTP
from playwright.sync_api import Page

from accounts.models import Staff
from tests.browser.browsing import PASSWORD, USERNAME, browsing, faults, log_in, photograph
from tests.cast import Tenant
from tests.live_server import LiveServer


def _code(secret: str, steps: int) -> str:
    shown = TOTP(base64.b32decode(secret))
    shown.time = time.time() + steps * 30
    return f"{shown.token():06}"


def test_a_second_factor_is_set_up_and_asked_for(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    with browsing(server) as page:
        log_in(page)
        page.goto(reverse("desk:second-factor"))
        page.get_by_role("button", name="Set up a second factor").click()
        secret = page.input_value("#secret")
        found = faults(page)
        photograph(page, "second-factor")
        page.fill("#code", _code(secret, -1))
        page.get_by_role("button", name="Turn it on").click()
        page.get_by_role("link", name="I have kept them").click()
        page.context.clear_cookies()
        _log_in_again(page)
        found += faults(page)
        page.fill("#id_code", _code(secret, 0))
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/desk/find/")
        assert found == []


def _log_in_again(page: Page) -> None:
    page.goto(f"{reverse('admin:login')}?next={reverse('desk:find')}")
    page.fill("[name=username]", USERNAME)
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_selector("#id_code")
