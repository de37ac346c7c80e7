"""What support does for customers: whom an address means, who changed a plan, what goes on; three clicks at most."""

import math

import pytest
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Staff
from analytics.periods import QUARTER, whole
from keys.ledger.drain import drain_all
from keys.models import CallCount
from plans import services
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.browser.browsing import FIND, at_the_desk, browsing, faults, log_in, photograph
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

pytestmark = pytest.mark.guide


def test_a_customer_is_found_by_an_address(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    alice.key(user=alice.user(alice.plan(), email="uma@example.com"))
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, "Uma@example.com")
        photograph(page, "customer-found")
        hand.click("Uma")
        assert page.input_value("[name=email]") == "uma@example.com"
        assert "example.com" not in page.url


def test_who_changed_a_plan_is_seen(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    plan = alice.plan(100)
    services.update_plan(plan, by=Actor.staff("kim", address="192.0.2.7"), max_requests=500)
    with at_the_desk(server) as (page, hand):
        hand.click("Plans")
        hand.click("Gold")
        hand.clicks += 1
        page.click("a[href$='/history/']")
        page.wait_for_load_state()
        change = page.locator("#result_list tbody tr", has_text="plan changed").inner_text()
        photograph(page, "plan-changes")
        assert "log" not in page.inner_text("#result_list")
        assert faults(page) == []
    assert all(told in change for told in ("kim", "192.0.2.7", "max requests: 100 → 500")), change


def test_the_home_page_tells_what_goes_on(api: ApiClient, server: LiveServer, alice: Tenant, staff: Staff) -> None:
    issued = alice.key(user=alice.user(alice.plan(3)))
    for _ in range(5):
        api.validate(alice, issued.secret)
    drain_all(for_s=5)
    with browsing(server) as page:
        log_in(page)
        page.wait_for_selector("canvas[data-limitly-chart]")
        text = " ".join(page.inner_text("body").split())
    assert "Decisions 5" in text
    assert "Allowed 3 60.00 % Denied 2 40.00 %" in text


def test_a_day_is_pictured_and_times_are_asked_of_a_period_of_ones_own(
    server: LiveServer, alice: Tenant, staff: Staff
) -> None:
    _live_through_a_day(alice)
    drain_all(for_s=5)
    with browsing(server) as page:
        log_in(page)
        page.wait_for_selector("canvas[data-limitly-chart]")
        assert not page.get_by_label("From", exact=True).is_visible()
        photograph(page, "home", height=1600)
        page.select_option("[name=period]", "custom")
        page.fill("[name=from]", "2026-01-01T00:00")
        page.fill("[name=to]", "2026-01-02T00:00")
        page.get_by_role("button", name="Show").click()
        page.wait_for_load_state()
        assert page.input_value("[name=from]") == "2026-01-01T00:00"
        assert page.get_by_label("From", exact=True).is_visible()


def _live_through_a_day(tenant: Tenant) -> None:
    """With little to do at night, a few refusals, and two bad quarter hours."""
    prod = observe(tenant)
    orders, search = endpoint(prod.app, "GET /orders"), endpoint(prod.app, "GET /search")
    now = whole(timezone.now(), timezone.now(), grain=QUARTER).start
    calls, traffic = [], []
    for number in range(96):
        start, busy = now - number * QUARTER, 400 + round(300 * math.sin(number / 96 * 2 * math.pi)) + number * 37 % 50
        failed = 60 if number in (30, 31) else number % 3
        calls.append(
            CallCount(account_id=0, bucket=0, grain=15, start=start, calls_allowed=busy, calls_denied=busy // 9)
        )
        traffic += [
            Traffic(prod, orders, start, busy, seconds={0.04: busy // 2, 0.09: busy // 2}),
            Traffic(prod, search, start, failed, status_code=500, seconds={1.5: failed}),
        ]
    CallCount.objects.bulk_create(calls)
    file_traffic(traffic)
