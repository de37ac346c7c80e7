"""/healthz and /readyz: alive, and able to work."""

import pytest
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.secrets import Bucket
from keys.api import health
from keys.events import FIELD, stream_name, to_ms
from keys.ledger.drain import drain_all
from tests.cast import Tenant
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


def test_not_ready_without_redis(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(health, "client", unreachable)
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["redis"]) == (503, "ConnectionError")
