"""What support does with keys all day, in a real browser: each at most three clicks away from the home page."""

import re

import pytest

from accounts.models import Staff
from keys.models import ApiKey
from tests.browser.browsing import FIND, at_the_desk, photograph
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

pytestmark = pytest.mark.guide
SECRET = re.compile("lk_user_[0-9a-f]{32}")


def test_a_refusal_is_explained(api: ApiClient, server: LiveServer, alice: Tenant, staff: Staff) -> None:
    issued = alice.key(user=alice.user(alice.plan(1)))
    for _ in range(2):
        api.validate(alice, issued.secret)
    with at_the_desk(server) as (page, hand):
        hand.click("Why refused?")
        hand.type("An API key's secret", issued.secret)
        assert page.get_by_role("heading", name="The next call is refused").is_visible()
        assert page.get_by_text("1 + 1 = 2 of 1").is_visible()
        assert issued.secret not in page.url + page.content()
        photograph(page, "why-refused")


def test_a_leaked_key_is_revoked_by_pasting_it(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    issued = alice.key()
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, issued.secret)
        hand.click("Revoke")
        photograph(page, "revoke-asks")
        hand.click("Revoke", role="button")
        assert page.get_by_text("revoked: it stopped at once").is_visible()
    assert ApiKey.objects.get().deleted_at is not None


def test_a_secret_is_replaced_while_the_old_one_works_on(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    issued = alice.key()
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, issued.api_key.public_id)
        hand.click("Replace its secret")
        hand.click("works for one more day", role="radio")
        page.keyboard.press("Enter")
        page.wait_for_selector("#secret")
        secret = page.input_value("#secret")
    assert SECRET.fullmatch(secret)
    assert secret != issued.secret
    assert [each.expires_at is None for each in issued.api_key.secrets.order_by("id")] == [False, True]


def test_a_key_is_issued_for_a_user_and_its_secret_copied(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    user = alice.user(email="uma@example.com")
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, "uma@example.com")
        hand.click("Issue a key for this user")
        hand.clicks += 1
        page.click("[name=_save]")
        assert SECRET.fullmatch(page.input_value("#secret"))
        page.click("[data-limitly-copy]")  # where the browser lets no page copy, it selects
        page.wait_for_function("document.getElementById('secret-copied').textContent !== ''")
        assert page.evaluate("getSelection().toString()") == page.input_value("#secret")
        photograph(page, "secret-shown-once")
    assert ApiKey.objects.get().user == user
