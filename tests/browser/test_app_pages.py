"""The pages about an app in a browser: yesterday's errors in a few clicks, and pages that everybody can use."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Staff
from analytics.desk.app_page import TABS
from analytics.models import Consumer, Environment, ErrorGroup, ErrorKind, ErrorQuarter
from analytics.periods import DAY, QUARTER, whole
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.browser.browsing import NARROW, at_the_desk, browsing, faults_of, log_in, photograph
from tests.cast import Tenant
from tests.live_server import LiveServer

pytestmark = pytest.mark.guide


@pytest.fixture
def shop(alice: Tenant, bob: Tenant) -> Environment:
    """Beside another app, with an error at noon of yesterday (UTC, as the browser's zone is)."""
    prod, noon = observe(alice), whole(timezone.now(), timezone.now(), grain=DAY).start - DAY / 2
    observe(bob)
    orders, ann = endpoint(prod.app, "GET /orders"), Consumer.objects.create(app=prod.app, identifier="ann")
    file_traffic(
        [
            Traffic(prod, orders, noon, 9, ann, bytes_sent=90_000, seconds={0.1: 9}),
            Traffic(prod, orders, noon + QUARTER, 4, ann, 500, seconds={3: 4}),
        ]
    )
    group = ErrorGroup.objects.create(
        app=prod.app,
        environment=prod,
        endpoint=orders,
        kind=ErrorKind.SERVER,
        fingerprint=b"1",
        type="KeyError",
        message="'qty'",
        stacktrace='File "orders.py", line 7, in create',
        occurrences=4,
        first_seen_at=noon - timedelta(days=2),
        last_seen_at=noon + QUARTER,
    )
    ErrorQuarter.objects.create(group=group, quarter=noon + QUARTER, consumer_id=ann.pk, occurrences=4)
    return prod


def test_yesterdays_errors_and_a_stack_trace_are_three_clicks_from_home(
    server: LiveServer, shop: Environment, staff: Staff
) -> None:
    with at_the_desk(server) as (page, hand):
        hand.click("Analytics")
        hand.clicks += 1
        page.click(f"a[href^='{reverse('desk:app_errors', args=[shop.app_id])}?period=yesterday']")
        page.wait_for_load_state()
        assert page.locator("dd", has_text="30.77 %").count() == 1
        photograph(page, "yesterdays-errors")
        hand.click("KeyError")
        assert "orders.py" in page.inner_text("pre")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_about_an_app_has_a_serious_fault(
    server: LiveServer, shop: Environment, staff: Staff, dark: bool
) -> None:
    paths = [reverse(f"desk:{tab.name}", args=[shop.app_id]) + "?period=7d" for tab in TABS]
    paths.append(reverse("desk:app_error", args=[shop.app_id, ErrorGroup.objects.get().pk]))
    paths.append(reverse("desk:apps"))
    with browsing(server, dark=dark) as page:
        log_in(page)
        assert faults_of(page, paths) == ""


def test_no_page_is_wider_than_a_narrow_screen(server: LiveServer, shop: Environment, staff: Staff) -> None:
    with browsing(server, viewport=NARROW) as page:
        log_in(page)
        for tab in TABS:
            page.goto(reverse(f"desk:{tab.name}", args=[shop.app_id]) + "?period=7d")
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], tab.title
