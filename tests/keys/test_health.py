"""/healthz and /readyz: alive, and able to work."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.secrets import Bucket
from analytics import services
from analytics.models import App, InboxReport, RejectedReport, ReportKind
from analytics.rollup.folding import fold_decisions
from analytics.rollup.lag import read_fold_lag
from keys.api import health
from keys.events import FIELD, stream_name, to_ms
from keys.ledger.drain import drain_all
from tests.analytics.folds import decide
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.store_redis import StoreRedis


def test_alive(api: ApiClient) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}


def test_ready_once_a_worker_has_drained(api: ApiClient) -> None:
    before = api.get("/readyz")
    drain_all(for_s=1)
    after = api.get("/readyz")
    assert before.status_code == 503
    assert "no worker" in before.json()["parts"]["worker"]
    assert (after.status_code, set(after.json()["parts"].values())) == (200, {"ok"})


def test_not_ready_while_redis_would_evict(api: ApiClient, stores: StoreRedis) -> None:
    drain_all(for_s=1)
    stores.config_set("maxmemory-policy", "allkeys-lru")
    answer = api.get("/readyz")
    stores.config_set("maxmemory-policy", "noeviction")
    assert answer.status_code == 503
    assert "noeviction" in answer.json()["parts"]["redis"]


def test_not_ready_while_the_ledger_is_far_behind(api: ApiClient, stores: StoreRedis, alice: Tenant) -> None:
    drain_all(for_s=1)
    an_hour_ago = to_ms(timezone.now()) - 3_600_000
    stores.xadd(stream_name(Bucket(alice.account.bucket)), {FIELD: "1"}, id=f"{an_hour_ago}-0")
    assert "waits for 36" in api.get("/readyz").json()["parts"]["ledger"]


def test_not_ready_while_reports_wait_too_long(api: ApiClient, alice: Tenant) -> None:
    _wait_in_the_inbox(alice, for_s=30)
    in_time = api.get("/readyz").json()["parts"]["ingest"]
    _wait_in_the_inbox(alice, for_s=3_600)
    answer = api.get("/readyz")
    assert in_time == "ok"
    assert answer.status_code == 503
    assert answer.json()["parts"]["ingest"].startswith("the oldest report waits for 36")
    assert answer.json()["parts"]["ingest"].endswith(" s, 200 bytes with it")


def test_a_fold_that_is_behind_is_told_and_makes_nothing_unready_unless_it_is_asked_to(
    api: ApiClient, stores: StoreRedis, alice: Tenant, settings: Settings
) -> None:
    _decide_an_hour_ago(stores, alice)
    drain_all(for_s=1)
    late = api.get("/readyz")
    settings.LIMITLY_READY_FOLD_LAG_S = 1_000
    too_late = api.get("/readyz")
    settings.LIMITLY_READY_FOLD_LAG_S = 86_400
    fold_decisions(for_s=5, now=timezone.now())
    folded = api.get("/readyz")
    assert (late.status_code, late.json()["status"]) == (200, "ok")
    assert late.json()["parts"]["fold"].startswith("the oldest decision that is not folded is 36")
    assert 3_600 <= late.json()["figures"]["fold_lag_s"] < 3_700
    assert (too_late.status_code, too_late.json()["parts"]) == (503, late.json()["parts"])
    assert (folded.json()["parts"]["fold"], folded.json()["figures"]["fold_lag_s"]) == ("ok", 0)


def test_a_fold_that_is_off_is_not_behind(
    api: ApiClient, stores: StoreRedis, alice: Tenant, settings: Settings
) -> None:
    settings.LIMITLY_FOLD_DECISIONS = False
    _decide_an_hour_ago(stores, alice)
    drain_all(for_s=1)
    answer = api.get("/readyz").json()
    assert (answer["parts"]["fold"], answer["figures"]["fold_lag_s"]) == ("ok", 0)


def test_the_fold_is_as_old_as_the_oldest_decision_of_any_bucket(
    stores: StoreRedis, alice: Tenant, bob: Tenant
) -> None:
    now = timezone.now()
    decide(stores, alice, now - timedelta(seconds=50))
    decide(stores, alice, now - timedelta(seconds=40))
    decide(stores, bob, now - timedelta(seconds=30))
    before = read_fold_lag(now)
    drain_all(for_s=1)
    assert (before, round(read_fold_lag(now))) == (0, 50)


def test_figures_tell_what_waits_and_what_was_rejected(api: ApiClient, alice: Tenant) -> None:
    drain_all(for_s=1)
    _wait_in_the_inbox(alice, for_s=30)
    app = App.objects.get()
    now = timezone.now()
    for reason in ("bad_gzip", "bad_gzip", "too_late"):
        RejectedReport.objects.create(app=app, kind=ReportKind.LOG, reason=reason, size_bytes=1, received_at=now)
    figures = api.get("/readyz").json()["figures"]
    assert 30 <= figures.pop("oldest_report_s") < 60
    assert figures == {
        "ledger_lag_s": 0,
        "fold_lag_s": 0,
        "waiting_reports_bytes": 100,
        "rejected_reports_of_a_day": {"bad_gzip": 2, "too_late": 1},
    }


def _decide_an_hour_ago(stores: StoreRedis, tenant: Tenant) -> None:
    decide(stores, tenant, timezone.now() - timedelta(hours=1))


def test_not_ready_while_reports_are_refused(api: ApiClient, alice: Tenant, settings: Settings) -> None:
    settings.LIMITLY_INGEST_BACKLOG_BYTES = 100
    _wait_in_the_inbox(alice, for_s=0)
    answer = api.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["ingest"] == "100 bytes of reports wait to be counted: new ones are refused"


def _wait_in_the_inbox(tenant: Tenant, *, for_s: int) -> None:
    app = services.create_app(tenant.account, by=BY, name="shop")
    since = timezone.now() - timedelta(seconds=for_s)
    InboxReport.objects.create(app=app, kind=ReportKind.SYNC, environment="dev", received_at=since, body=b"x" * 100)


def test_not_ready_without_redis(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(health, "client", unreachable)
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["redis"]) == (503, "ConnectionError")


def test_figures_that_cannot_be_read_are_left_out(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: object) -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(health, "read_lag", unreachable)
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["figures"]) == (503, None)
