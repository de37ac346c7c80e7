"""What staff find among an app's requests: every filter, exactly; decisions with their reasons, keys and users."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.exploring import EXPORTED, OUTCOMES, Explored, Sought, TooManyConsumers, export_of, page_of, walk_of
from analytics.models import App, Environment, Record, RequestLog, RequestSource
from analytics.request_logs import STREAMS_MAX, Position
from keys.models import ApiKey, Decision, Outcome
from tests.analytics.filed import endpoint, file_rows, observe, request, switch
from tests.analytics.folds import decide, fold_all
from tests.cast import Tenant
from tests.queries import counting_queries
from tests.store_redis import StoreRedis

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
TIME: dict[str, Any] = {"start": NOON - DAY, "end": NOON + DAY}
Find = Callable[..., list[str]]


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def shop(prod: Environment, alice: Tenant) -> Find:
    """Requests that an SDK reported, whose urls say how they differ; what finds them, newest first."""
    app, dev = prod.app, observe(alice, app=prod.app, name="dev")
    orders, users, nowhere = endpoint(app, "GET /orders/{id}"), endpoint(app, "POST /users"), endpoint(app, "GET")
    ann, bo = (app.consumers.create(identifier=name.lower(), name=name) for name in ("Ann", "Bo"))
    app.consumers.create(identifier="bo2", name="BO")
    told: dict[str, dict[str, Any]] = {
        "plain": {},
        "posted": {"endpoint_id": users.pk, "status_code": 201},
        "lost": {"endpoint_id": nowhere.pk, "status_code": 404},
        "failed": {"status_code": 500, "response_time_ms": 1_000},
        "anns": {"consumer_id": ann.pk, "client_ip": "10.1.2.3"},
        "bos": {"consumer_id": bo.pk, "client_ip": "2001:db8::1"},
        "decided": {"source": RequestSource.DECISION, "status_code": 429},
    }
    rows = [
        request(prod, orders, NOON + number * SECOND, **{"url": url} | fields)
        for number, (url, fields) in enumerate(told.items())
    ]
    file_rows([*rows, request(dev, orders, NOON + 9 * SECOND, url="dev"), request(prod, orders, NOON - DAY - SECOND)])
    return lambda **sought: [each.request.url for each in found(app, Sought(**sought))]


def found(app: App, sought: Sought, *, limit: int = 100) -> list[Explored]:
    """All of it, through its pages."""
    walk = walk_of(app, sought, **TIME)
    rows: list[Explored] = []
    before: Position | None = None
    while walk is not None:
        page = page_of(walk, app, before=before, limit=limit, **TIME)
        rows += page.rows
        before = page.end
        if before is None:
            break
    return rows


@pytest.mark.parametrize(
    ("sought", "expected"),
    [
        ({}, "dev bos anns failed lost posted plain"),
        ({"methods": ("POST",)}, "posted"),
        ({"path": "/orders/*"}, "dev bos anns failed plain"),
        ({"path": "*"}, "dev bos anns failed posted plain"),
        ({"statuses": ("4xx", "500")}, "failed lost"),
        ({"statuses": ("503",)}, ""),
        ({"consumer": "ann"}, "anns"),
        ({"consumer": "Bo"}, "bos"),
        ({"consumer": "nobody"}, ""),
        ({"at_least_ms": 1_000}, "failed"),
        ({"at_most_ms": 999}, "dev bos anns lost posted plain"),
        ({"at_least_ms": 13, "at_most_ms": 999}, ""),
        ({"client": "10.1.2.3"}, "anns"),
        ({"client": "10.1.0.0/16"}, "anns"),
        ({"client": "2001:db8::/32"}, "bos"),
        ({"path": "/orders/*", "statuses": ("2xx",), "consumer": "ann", "client": "10.0.0.0/8"}, "anns"),
        ({"outcome": "denied"}, "decided"),
        ({"outcome": "denied", "statuses": ("403",)}, ""),
        ({"outcome": "allowed"}, ""),
    ],
)
def test_every_filter_finds_its_requests_newest_first(shop: Find, sought: dict[str, Any], expected: str) -> None:
    assert shop(**sought) == expected.split()


def test_an_environment_is_looked_at_alone(shop: Find, prod: Environment) -> None:
    dev = prod.app.environments.get(name="dev")
    assert shop(environment_id=dev.pk) == ["dev"]
    assert shop(environment_id=dev.pk + 1) == []


def test_what_the_source_in_force_does_not_tell_is_not_shown_twice(shop: Find, prod: Environment) -> None:
    switch(prod, Record.REQUEST_LOG, RequestSource.DECISION, since=NOON + 2 * SECOND)
    assert shop() == ["dev", "decided", "posted", "plain"]


def test_a_name_of_very_many_consumers_is_refused(prod: Environment) -> None:
    for number in range(STREAMS_MAX + 1):
        prod.app.consumers.create(identifier=f"c{number}", name="Many")
    with pytest.raises(TooManyConsumers):
        walk_of(prod.app, Sought(consumer="many"), **TIME)


# --- decisions ----------------------------------------------------------------------------------------------------
class Decided:
    """Alice's decisions: of a key of Uma's (that became nobody's) and of one that never was anybody's."""

    def __init__(self, stores: StoreRedis, alice: Tenant) -> None:
        self.user = alice.user()
        self.hers, self.free = alice.key(user=self.user).api_key, alice.key().api_key
        given: list[tuple[str, ApiKey, int, Outcome]] = [
            ("/a", self.hers, self.user.pk, Outcome.ALLOWED),
            ("/b", self.hers, self.user.pk, Outcome.OVER_QUOTA),
            ("/c", self.hers, self.user.pk, Outcome.USER_DISABLED),
            ("/d", self.hers, 0, Outcome.KEY_EXPIRED),
            ("/e", self.free, 0, Outcome.KEY_DISABLED),
        ]
        for number, (path, key, user_id, outcome) in enumerate(given):
            at = NOON + number * SECOND
            decide(stores, alice, at, endpoint=path, api_key_id=key.pk, user_id=user_id, outcome=outcome.value)
        assert fold_all() == len(given)
        self.app = App.objects.select_related("account").get()

    def paths(self, **sought: Any) -> str:
        return " ".join(str(each.request.path) for each in found(self.app, Sought(**sought)))


@pytest.fixture
def decided(stores: StoreRedis, alice: Tenant) -> Decided:
    return Decided(stores, alice)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("", "/e /d /c /b /a"),
        ("allowed", "/a"),
        ("denied", "/e /d /c /b"),
        ("over_quota", "/b"),
        ("user_disabled", "/c"),
        ("key_expired", "/d"),
        ("key_disabled", "/e"),
    ],
)
def test_an_outcome_finds_the_decisions_that_ended_so(decided: Decided, outcome: str, expected: str) -> None:
    assert set(OUTCOMES) >= {outcome} - {""}
    assert decided.paths(outcome=outcome) == expected


def test_a_key_finds_its_own_decisions_whosever_it_was(decided: Decided) -> None:
    assert decided.paths(api_key=decided.hers) == "/d /c /b /a"
    assert decided.paths(api_key=decided.free) == "/e"
    assert decided.paths(api_key=decided.hers, outcome="over_quota") == "/b"
    assert decided.paths(api_key=decided.hers, user_id=decided.user.pk) == "/c /b /a"
    assert decided.paths(api_key=decided.free, user_id=decided.user.pk) == ""


def test_one_of_a_users_keys_finds_not_the_others(decided: Decided, stores: StoreRedis, alice: Tenant) -> None:
    other = alice.key(user=decided.user).api_key
    at = NOON + 9 * SECOND
    decide(stores, alice, at, endpoint="/other", api_key_id=other.pk, user_id=decided.user.pk)
    fold_all()
    assert decided.paths(user_id=decided.user.pk) == "/other /c /b /a"
    assert decided.paths(api_key=other) == "/other"


def test_decisions_are_found_where_reports_are_in_force(decided: Decided) -> None:
    environment = decided.app.environments.get()
    switch(environment, Record.REQUEST_LOG, RequestSource.REPORT, since=NOON - DAY)
    assert decided.paths() == ""
    assert decided.paths(outcome="denied") == "/e /d /c /b"


def test_a_decision_is_told_with_its_reason_key_and_user(decided: Decided) -> None:
    rows = found(decided.app, Sought())
    told = [(each.decision and (each.decision.reason, each.decision.api_key, each.decision.user)) for each in rows]
    assert told == [
        ("key_disabled", decided.free, None),
        ("key_expired", decided.hers, None),
        ("user_disabled", decided.hers, decided.user),
        ("over_quota", decided.hers, decided.user),
        ("allowed", decided.hers, decided.user),
    ]


def test_another_account_s_decision_of_the_same_id_tells_nothing(decided: Decided, bob: Tenant) -> None:
    (row,) = found(decided.app, Sought(outcome="allowed"))
    Decision.objects.filter(id=row.request.uuid).update(account_id=bob.account.pk)
    (again,) = found(decided.app, Sought(outcome="allowed"))
    assert (row.decision is None, again.decision) == (False, None)


def test_the_queries_of_a_page_do_not_grow_with_it(decided: Decided, stores: StoreRedis, alice: Tenant) -> None:
    def cost() -> int:
        with counting_queries() as queries:
            found(decided.app, Sought(api_key=decided.hers, outcome="key_expired", path="/*"))
            found(decided.app, Sought(api_key=decided.hers, outcome="denied", statuses=("4xx",)))
        return len(queries)

    few = cost()
    for number in range(20):
        other = alice.user()
        decide(stores, alice, NOON + HOUR, number, api_key_id=decided.hers.pk, user_id=other.pk, outcome=2)
    fold_all()
    assert cost() == few <= 22


# --- exports ------------------------------------------------------------------------------------------------------
def test_an_export_has_what_the_pages_show_in_order_of_time(decided: Decided) -> None:
    walk = walk_of(decided.app, Sought(outcome="denied"), **TIME)
    rows = [row for page in export_of(walk, decided.app, **TIME) for row in page.rows]
    assert [row["path"] for row in rows] == ["/b", "/c", "/d", "/e"]
    log = RequestLog.objects.get(url="/b")
    assert tuple(rows[0]) == EXPORTED
    assert list(rows[0].values()) == [
        "2026-06-15T12:00:01.000Z", str(log.uuid), "prod", "GET", "/b", "/b", 429, "over_quota",
        decided.hers.public_id, "key", decided.user.pk, log.consumer_id, str(decided.user.pk), 0, 0, 0, None, None,
    ]  # fmt: skip


def test_an_export_ends_with_its_limit_and_nothing_is_no_export(decided: Decided) -> None:
    walk = walk_of(decided.app, Sought(), **TIME)
    assert [len(page.rows) for page in export_of(walk, decided.app, limit=3, **TIME)] == [3]
    assert list(export_of(None, decided.app, **TIME)) == []
