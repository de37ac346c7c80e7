"""The request explorer in a person's browser: what is asked for most, in at most three clicks from the home page."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from analytics.models import App, Environment, RequestLog
from keys.models import Outcome
from tests.analytics.filed import endpoint, file_rows, file_whole_request, observe, request
from tests.analytics.folds import decide, fold_all
from tests.browser.browsing import browsing, log_in, photograph
from tests.cast import Tenant
from tests.live_server import LiveServer
from tests.store_redis import StoreRedis

pytestmark = pytest.mark.guide
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def denied(stores: StoreRedis, alice: Tenant, now: datetime) -> App:
    """An app whose decisions of the last days ended in every way."""
    user = alice.user()
    key = alice.key(user=user).api_key
    for number in range(30):
        at = now - 6 * DAY + number * 4 * timedelta(hours=1)
        outcome = list(Outcome)[number % 5].value
        decide(stores, alice, at, endpoint="/orders", api_key_id=key.pk, user_id=user.pk, outcome=outcome)
    assert fold_all() == 30
    return App.objects.get()


@pytest.fixture
def shop(alice: Tenant, now: datetime) -> Environment:
    """An app of which yesterday at noon one request failed; beside another app."""
    observe(alice)
    shop = observe(alice)
    App.objects.filter(pk=shop.app_id).update(name="The failing one")
    noon = (now - DAY).replace(hour=12, minute=0)
    file_whole_request(shop, noon)
    route = endpoint(shop.app, "GET /things/{id}")
    file_rows(request(shop, route, noon + n * MINUTE, url=f"/things/{n}") for n in range(60))
    return shop


@pytest.mark.usefixtures("staff")
def test_last_weeks_denied_requests_are_exported_in_three_clicks(
    server: LiveServer, denied: App, tmp_path: Path
) -> None:
    with browsing(server) as page:
        log_in(page)
        _click_link(page, "Requests")
        _click_link(page, "Denied, last 7 days")
        photograph(page, "requests-denied")
        with page.expect_download() as download:
            page.click("text=Export CSV")
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        page.wait_for_selector("text=24 rows saved.")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 24 == RequestLog.objects.exclude(status_code=200).count()
    assert {row["outcome"] for row in rows} == {"over_quota", "key_disabled", "key_expired", "user_disabled"}


@pytest.mark.usefixtures("staff")
def test_yesterdays_errors_of_an_app_are_seen_in_three_clicks(server: LiveServer, shop: Environment) -> None:
    with browsing(server) as page:
        log_in(page)
        _click_link(page, "Requests")
        photograph(page, "requests-of-which-app")
        page.click("a[aria-label*='The failing one'][aria-label*='Errors, yesterday']")
        page.wait_for_load_state()
        assert page.locator("tbody tr").count() == 1
        photograph(page, "requests-errors")
        page.click("tbody th a")
        page.wait_for_selector("text=Where its time went")
        assert page.locator("text=KeyError").count() == 1
        photograph(page, "request")


@pytest.mark.usefixtures("staff")
def test_a_pasted_secret_shows_its_keys_requests_and_stands_nowhere(
    server: LiveServer, denied: App, alice: Tenant
) -> None:
    issued = alice.key()
    with browsing(server) as page:
        log_in(page)
        _click_link(page, "Requests")
        page.click("summary")
        page.fill("[name=key]", issued.secret)
        page.click("text=Show")
        page.wait_for_selector("text=No request matches")
        assert issued.secret not in page.content() + page.url
        assert issued.api_key.public_id in page.url


def _click_link(page: Page, name: str) -> None:
    page.locator(f"a:has-text('{name}')").first.click()
    page.wait_for_load_state()
