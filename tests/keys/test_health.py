"""/healthz and /readyz: alive, and able to work."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.secrets import Bucket
from analytics import services
from analytics.models import InboxReport, ReportKind
from keys.api import health
from keys.events import FIELD, stream_name, to_ms
from keys.ledger.drain import drain_all
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
