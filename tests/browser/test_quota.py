"""Quota work as staff do it: found, previewed and confirmed in at most three clicks from the home page."""

import httpx
import pytest
from django.urls import reverse
from playwright.sync_api import Page

from accounts.models import Staff, User
from keys.ledger.drain import drain_all
from plans.models import Subscription
from tests.browser.browsing import FIND, NARROW, at_the_desk, browsing, faults, log_in, photograph
from tests.cast import IssuedKey, Tenant
from tests.keys.adjustments import grant
from tests.live_server import LiveServer

pytestmark = pytest.mark.guide


def _spend(server: LiveServer, tenant: Tenant, key: IssuedKey, cost: int) -> bool:
    body = {"api_key": key.secret, "endpoint": "/orders", "method": "GET", "cost": cost}
    return bool(httpx.post(f"{server.url}/v1/validate", headers=tenant.headers, json=body).json()["success"])


def _done(page: Page) -> str:
    page.wait_for_load_state()
    return page.inner_text("body").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_extra_quota_is_granted_after_a_preview(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    user = alice.user(alice.plan(5000), email="uma@example.com")
    key = alice.key(user=user)
    assert _spend(server, alice, key, 5000)
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, "uma@example.com")
        hand.click("Adjust quota", within="li:has-text('uma@example.com')")
        assert "5 000 of 5 000 used: blocked until" in _done(page)
        page.fill("[name=grant-units]", "3000")
        page.fill("[name=grant-reason]", "Launch week")
        hand.click("Preview the grant", role="button")
        page.wait_for_selector("[name=confirm]")
        assert "5 000 of 8 000 used: 3 000 left until" in _done(page)
        hand.clicks += 1
        page.click("[name=confirm]")
        page.wait_for_selector("text=Adjustments so far")
        assert "3 000 extra units granted." in _done(page)
        photograph(page, "quota-granted")
    assert _spend(server, alice, key, 3000)
    assert not _spend(server, alice, key, 1)


def test_a_users_plan_is_raised_after_a_preview(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    user, large = alice.user(alice.plan(10), email="uma@example.com"), alice.plan(20, name="Platinum")
    key = alice.key(user=user)
    assert _spend(server, alice, key, 10)
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, "uma@example.com")
        hand.click("Change the plan", within="li:has-text('uma@example.com')")
        page.select_option("[name=plan]", label="Platinum (20 a month)")
        hand.click("Preview", role="button")
        page.wait_for_selector("button:has-text('Change the plan')")
        assert "10 of 20 used: 10 left until" in _done(page)
        photograph(page, "plan-preview")
        hand.click("Change the plan", role="button")
        page.wait_for_url("**/admin/accounts/user/*/change/")
    assert Subscription.objects.get(user=user).plan == large
    assert _spend(server, alice, key, 10)


def test_a_bulk_move_goes_on_by_itself_and_can_be_paused(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    gold, copper = alice.plan(100), alice.plan(50, name="Copper")
    for _ in range(230):
        alice.user(gold)
    assert _spend(server, alice, alice.key(user=User.objects.first()), 60)
    drain_all(for_s=5)
    with browsing(server) as page:
        log_in(page)
        page.goto(f"/admin/plans/plan/{gold.pk}/change/")
        page.click("text=Move its users")
        page.select_option("[name=target]", label="Copper (50 a month)")
        page.click("button:has-text('Preview')")
        page.wait_for_selector("text=1 of them has used that much already")
        page.click("button:has-text('Move them')")
        page.click("button:has-text('Pause')")
        page.wait_for_timeout(1200)
        assert "100 users moved to Copper, 130 users left." in _done(page)
        photograph(page, "move-users")
        page.click("button:has-text('Go on')")
        page.wait_for_url("**/admin/plans/plan/*/change/", timeout=60_000)
        assert "230 users moved to Copper." in _done(page)
    assert Subscription.objects.filter(plan=copper).count() == 230


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nobody_is_kept_from_quota_work(server: LiveServer, alice: Tenant, staff: Staff, dark: bool) -> None:
    plan, small = alice.plan(100), alice.plan(5, name="Copper")
    user = alice.user(plan)
    assert _spend(server, alice, alice.key(user=user), 60)
    drain_all(for_s=5)
    grant(user, 3)
    move = f"{reverse('desk:move')}?source={plan.pk}"
    change = reverse("desk:change_plan", args=["user", user.pk])
    paths = [reverse("desk:adjust", args=["user", user.pk]), change, f"{change}?plan={small.pk}"]
    with browsing(server, dark=dark) as page:
        log_in(page)
        found = []
        for path in [*paths, move, f"{move}&target={small.pk}"]:
            page.goto(path)
            found += [f"{path}: {fault}" for fault in faults(page)]
        page.goto(paths[0])
        page.fill("[name=reset-reason]", "Our bug")
        page.click("text=Preview the reset")
        page.wait_for_selector("[name=confirm]")
        found += [f"preview: {fault}" for fault in faults(page)]
    if found:
        pytest.fail("\n".join(found))


def test_quota_work_fits_a_narrow_screen(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    gold, copper = alice.plan(5000), alice.plan(2000, name="Copper")
    user = alice.user(gold, email="uma@example.com")
    grant(user, 1000)
    assert _spend(server, alice, alice.key(user=user), 5500)
    drain_all(for_s=5)
    paths = [
        f"{reverse('desk:move')}?source={gold.pk}&target={copper.pk}",
        f"{reverse('desk:change_plan', args=['user', user.pk])}?plan={copper.pk}",
        reverse("desk:adjust", args=["user", user.pk]),
    ]
    with browsing(server, viewport=NARROW) as page:
        log_in(page)
        for path in paths:
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
        page.goto(reverse("admin:accounts_user_changelist"))
        cell = page.locator("td.field-usage")
        assert cell.inner_text().endswith("5,500 of 5,000 + 1,000 granted · nearly used up")
        assert cell.evaluate("cell => cell.scrollHeight <= cell.clientHeight && cell.scrollWidth <= cell.clientWidth")
