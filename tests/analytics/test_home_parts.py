"""The desk's first page beside its figures: who sees what, what is near or late, what it says when parts are away."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.admin import VEIL
from accounts.models import AccessKey, Staff, User
from accounts.roles import Role, sync_roles
from analytics import services
from analytics.desk import home
from analytics.models import Consumer, InboxReport, ReportKind
from analytics.rollup.folding import fold_decisions
from analytics.statistics import environments
from keys.api import health
from keys.events import to_ms
from keys.ledger import lag
from keys.ledger.drain import drain_all
from keys.ledger.limits import look_through
from keys.models import ApiKey, CallCount, StreamPosition, UsageHour, UsageWindow
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.cast import BY, Tenant, new_tenant
from tests.keys.test_drain import append
from tests.queries import counting_queries
from tests.store_redis import StoreRedis

NOW = datetime(2026, 6, 17, 12, 20, tzinfo=UTC)
QUARTER = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOME = reverse("admin:index")
QUERIES_MAX = 30


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "timezone", SimpleNamespace(now=lambda: NOW))


def _as(*roles: Role) -> Client:
    sync_roles()
    staff = Staff.objects.create_user(f"a {roles}", password="a long one", is_staff=True)
    staff.groups.set(Group.objects.filter(name__in=roles))
    client = Client()
    client.force_login(staff)
    return client


def _figures(client: Client, **query: Any) -> dict[str, str]:
    return {figure.title: figure.value for figure in client.get(HOME, query).context["figures"]}


def _spend(tenant: Tenant, user: User, units: int) -> None:
    UsageWindow.objects.create(
        account_id=tenant.account.pk, subject_kind="u", subject_id=user.pk, key_id=1, start=JUNE, end=JULY,
        units_allowed=units,
    )  # fmt: skip


def _call(tenant: Tenant, user_id: int, hour: datetime, key_id: int = 1) -> None:
    UsageHour.objects.create(account_id=tenant.account.pk, key_id=key_id, user_id=user_id, hour=hour, calls_allowed=1)


def _name(user: User, name: str) -> User:
    User.objects.filter(pk=user.pk).update(name=name)
    return user


def test_active_users_are_counted_once_however_many_keys_and_hours(desk: Client, alice: Tenant, bob: Tenant) -> None:
    _call(alice, 1, QUARTER)
    _call(alice, 1, QUARTER - timedelta(hours=1))
    _call(alice, 1, QUARTER, key_id=2)
    _call(alice, 2, QUARTER - timedelta(hours=24))
    _call(alice, 3, QUARTER - timedelta(hours=25))
    _call(alice, 0, QUARTER, key_id=3)  # a key of nobody's
    _call(bob, 9, QUARTER)
    assert _figures(desk)["Active users"] == "3"
    assert _figures(desk, account=alice.account.pk)["Active users"] == "2"


def test_active_users_beyond_the_bound_are_at_least_so_many(
    desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keys.overview.HOURS_MAX", 2)
    for user_id in (1, 2, 3):
        _call(alice, user_id, QUARTER)
    assert _figures(desk)["Active users"] == "at least 2"


def test_active_consumers_called_since_the_period_began(desk: Client, alice: Tenant) -> None:
    app = observe(alice).app
    for number, hours in enumerate((1, 23, 25)):
        Consumer.objects.create(app=app, identifier=str(number), last_request_at=NOW - timedelta(hours=hours))
    assert _figures(desk)["Active consumers"] == "2"
    past = {"period": "custom", "from": "2026-06-01T00:00", "to": "2026-06-02T00:00"}
    assert _figures(desk, **past)["Active consumers"] == "–"


def test_keys_that_expire_within_seven_days_are_shown(desk: Client, alice: Tenant, bob: Tenant) -> None:
    for tenant, name, days in ((alice, "soon", 6), (alice, "later", 8), (alice, "gone", -1), (bob, "his", 1)):
        key = tenant.key().api_key
        ApiKey.objects.filter(pk=key.pk).update(name=f"expires {name}", expires_at=NOW + timedelta(days=days))
    AccessKey.objects.filter(pk=bob.access_key.pk).update(expires_at=NOW + timedelta(days=2))
    of_all = desk.get(HOME).context["expiring"]
    of_alice = desk.get(HOME, {"account": alice.account.pk}).context["expiring"]
    assert [key.name for key in of_all.api_keys] == ["expires his", "expires soon"]
    assert (str(of_all.api_key_count), of_all.access_keys) == ("2", [bob.access_key])
    assert ([key.name for key in of_alice.api_keys], of_alice.access_keys) == (["expires soon"], [])


def test_those_near_their_limit_are_shown_with_the_moment_until_which_it_is_true(desk: Client, alice: Tenant) -> None:
    user = _name(alice.user(alice.plan(1_000)), "Uma Underwood")
    _spend(alice, user, 1_200)
    assert "Nobody looked yet" in desk.get(HOME).content.decode()
    look_through(alice.account.pk, now=NOW - timedelta(seconds=40))
    page = desk.get(HOME, {"zone": "Europe/Berlin"}).content.decode()
    assert "1 used 90 % or more, 1 of them all of it" in page
    assert "2026-06-17 14:19:20" in page
    assert reverse("admin:accounts_user_change", args=[user.pk]) in page
    assert all(text in page for text in ("Uma Underwood", "120 %", "1,200 of 1,000"))


def test_a_viewer_sees_no_names_of_users(alice: Tenant) -> None:
    user = _name(alice.user(alice.plan(1_000)), "Uma Underwood")
    key = alice.key(user=user).api_key
    ApiKey.objects.filter(pk=key.pk).update(expires_at=NOW + timedelta(days=1))
    _spend(alice, user, 950)
    look_through(alice.account.pk, now=NOW)
    of_viewer, of_support = (_as(role).get(HOME).content.decode() for role in (Role.VIEWER, Role.SUPPORT))
    assert "Underwood" not in of_viewer
    assert of_viewer.count(VEIL) == 2
    assert of_support.count("Uma Underwood") == 2


def test_staff_without_a_role_see_how_the_installation_is_and_nothing_of_customers(alice: Tenant) -> None:
    answer = _as().get(HOME)
    assert answer.status_code == 200
    assert {name for name in ("near", "expiring", "told") if name in answer.context} == set()
    assert (answer.context["figures"], answer.context["charts"], answer.context["ways"]) == ([], [], [])
    assert "This installation" in answer.content.decode()


def test_ways_lead_to_what_is_there_and_allowed(alice: Tenant) -> None:
    of_viewer, of_support = (_as(role).get(HOME).context["ways"] for role in (Role.VIEWER, Role.SUPPORT))
    assert {way.title for way, _ in of_support} - {way.title for way, _ in of_viewer} == {"Issue a key"}
    assert (home.WAYS[0], reverse("desk:why")) in of_viewer
    assert all(Client().get(link).status_code == 302 for _, link in of_support)


def test_a_page_that_is_not_there_is_no_way(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "WAYS", (home.Way("Nowhere", "help", "desk:nowhere", "keys.view_apikey"),))
    assert _as(Role.OPERATOR).get(HOME).context["ways"] == []


def test_charts_say_until_which_drained_moment_they_are_true(
    desk: Client, stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(stores, alice, f"{to_ms(NOW - timedelta(seconds=100))}-0", endpoint="/a")
    drain_all(for_s=5)
    append(stores, alice, f"{to_ms(NOW - timedelta(seconds=30))}-0", endpoint="/a")
    observe(alice)
    decisions, requests, _ = desk.get(HOME).context["charts"]
    fold_decisions(for_s=5, now=NOW)
    folded = desk.get(HOME).context["charts"][1]
    assert decisions.true_until == NOW - timedelta(seconds=30)
    assert requests.true_until == NOW - timedelta(seconds=100)
    assert folded.true_until == NOW - timedelta(seconds=30)


def test_how_far_behind_each_step_is_stands_on_the_page(desk: Client, stores: StoreRedis, alice: Tenant) -> None:
    append(stores, alice, f"{to_ms(NOW - timedelta(seconds=100))}-0", endpoint="/a")
    drain_all(for_s=5)
    append(stores, alice, f"{to_ms(NOW - timedelta(seconds=30))}-0", endpoint="/a")
    app = services.create_app(alice.account, by=BY, name="shop")
    received = NOW - timedelta(seconds=7)
    InboxReport.objects.create(app=app, kind=ReportKind.SYNC, environment="dev", received_at=received, body=b"x")
    told = {part.title: part.told for part in desk.get(HOME).context["parts"]}
    assert told["Decisions to the ledger"] == "30.0 s behind"
    assert told["Ledger to traffic"] == "100.0 s behind"
    assert told["Reports to traffic"] == "7.0 s behind"
    assert (told["Database"], told["Redis"]) == ("ok", "ok")


def test_the_page_survives_redis_and_says_that_it_is_away(
    desk: Client, stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(stores, alice, f"{to_ms(QUARTER)}-0", endpoint="/a")
    drain_all(for_s=5)

    def unreachable() -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(lag, "client", unreachable)
    monkeypatch.setattr(health, "client", unreachable)
    answer = desk.get(HOME)
    assert answer.status_code == 200
    assert "Redis does not answer" in answer.content.decode()
    assert {figure.title: figure.value for figure in answer.context["figures"]}["Decisions"] == "1"
    assert answer.context["charts"][0].true_until == QUARTER
    assert [part.told for part in answer.context["parts"] if part.title == "Redis"] == ["ConnectionError"]


def test_traffic_that_takes_too_long_is_not_waited_for(
    desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.overview.PATIENCE_MS", 1)
    monkeypatch.setattr(environments, "BY_CLASS", f"{environments.BY_CLASS} HAVING pg_sleep(1) IS NOT NULL")
    environment = observe(alice)
    file_traffic([Traffic(environment, endpoint(environment.app, "GET /a"), QUARTER)])
    answer = desk.get(HOME)
    assert answer.status_code == 200
    assert home.TOO_MUCH in answer.content.decode()
    assert {"Decisions", "Active consumers"} < {figure.title for figure in answer.context["figures"]}
    assert "Requests" not in {figure.title for figure in answer.context["figures"]}


def test_an_empty_installation_says_what_to_do_first(desk: Client) -> None:
    answer = desk.get(HOME)
    page = answer.content.decode()
    assert [(step.title, step.is_done) for step in answer.context["steps"]] == [
        ("Create an account", False),
        ("Give it an access key", False),
        ("Make a plan", False),
        ("Issue an API key", False),
        ("Ask for the first decision", False),
    ]
    assert reverse("admin:accounts_account_add") in page
    assert "curl -X POST http://testserver/v1/validate" in page


def test_steps_are_ticked_off_and_go_with_the_first_decision(desk: Client, stores: StoreRedis, alice: Tenant) -> None:
    alice.key(plan=alice.plan())
    before = [step.is_done for step in desk.get(HOME).context["steps"]]
    append(stores, alice)
    drain_all(for_s=5)
    assert before == [True, True, True, True, False]
    assert desk.get(HOME).context["steps"] == []


def test_a_viewer_is_led_to_no_form_that_he_may_not_open(stores: StoreRedis) -> None:
    assert {step.link for step in _as(Role.VIEWER).get(HOME).context["steps"]} == {""}


def test_an_account_that_is_none_is_said(desk: Client, alice: Tenant) -> None:
    answer = desk.get(HOME, {"account": 999_999})
    assert answer.status_code == 200
    assert "not one of the available choices" in answer.content.decode()


def test_the_page_costs_the_same_however_many_accounts_there_are(stores: StoreRedis, alice: Tenant) -> None:
    client = _as(Role.OPERATOR)

    def cost() -> int:
        with counting_queries() as queries:
            assert client.get(HOME, {"account": ""}).status_code == 200
        return len(queries)

    _fill(alice)
    cost()  # what is looked at once in a process
    few = cost()
    for number in range(8):
        _fill(new_tenant(f"Account {number}"))
    assert cost() == few
    assert few <= QUERIES_MAX


def _fill(tenant: Tenant) -> None:
    """One of everything that the page shows, and a fold that is behind."""
    plan = tenant.plan(100)
    for _ in range(2):
        user = tenant.user(plan)
        key = tenant.key(user=user, plan=plan).api_key
        ApiKey.objects.filter(pk=key.pk).update(expires_at=NOW + timedelta(days=1))
        _spend(tenant, user, 100)
        UsageWindow.objects.create(
            account_id=tenant.account.pk, subject_kind="k", subject_id=key.pk, key_id=1, start=JUNE, end=JULY,
            units_allowed=100,
        )  # fmt: skip
    look_through(tenant.account.pk, now=NOW)
    StreamPosition.objects.filter(bucket=tenant.account.bucket).update(last_id=f"{to_ms(NOW)}-0")
    start = QUARTER - CallCount.objects.count() * HOUR
    CallCount.objects.create(account_id=0, bucket=0, grain=15, start=start, calls_allowed=1, calls_denied=1)
    environment = observe(tenant)
    file_traffic([Traffic(environment, endpoint(environment.app, "GET /a"), QUARTER, 5, seconds={0.2: 5})])
