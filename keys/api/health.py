"""`/readyz`: whether this installation can do its work, and which part cannot."""

from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError

from analytics.ingest.backlog import read_waiting
from keys.ledger.lag import read_lag
from keys.redis import client


class NotReady(Exception):
    """In a sentence that says what to do."""


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when every part is "ok"; else 503, each part with what is wrong."""
    parts = {name: _state(check) for name, check in CHECKS.items()}
    is_ready = all(state == "ok" for state in parts.values())
    answer = {"status": "ok" if is_ready else "unavailable", "parts": parts}
    return JsonResponse(answer, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as error:
        return str(error)
    except (DatabaseError, RedisError) as error:
        return type(error).__name__
    return "ok"


def _check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@lru_cache(maxsize=1)  # what was applied stays so; a failure raises and is not kept
def _check_migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("migrations are missing: run `manage.py migrate`")


def _check_redis() -> None:
    policy = client().info("memory").get("maxmemory_policy")
    if policy != "noeviction":
        raise NotReady(f"maxmemory-policy is {policy}: set noeviction, or counters will be lost")


def _check_worker() -> None:
    if not read_lag(timezone.now()).is_draining:
        raise NotReady("no worker has drained for 15 s: start `celery -A limitly_site worker` and `beat`")


def _check_ledger() -> None:
    behind_s = read_lag(timezone.now()).seconds
    if behind_s > settings.LIMITLY_READY_LAG_S:
        raise NotReady(f"the oldest event waits for {behind_s:.0f} s")


def _check_ingest() -> None:
    waiting = read_waiting()
    age_s = 0.0 if waiting.oldest_at is None else (timezone.now() - waiting.oldest_at).total_seconds()
    if waiting.bytes >= settings.LIMITLY_INGEST_BACKLOG_BYTES:
        raise NotReady(f"{waiting.bytes} bytes of reports wait to be counted: new ones are refused")
    if age_s > settings.LIMITLY_READY_LAG_S:
        raise NotReady(f"the oldest report waits for {age_s:.0f} s, {waiting.bytes} bytes with it")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _check_database,
    "migrations": _check_migrations,
    "redis": _check_redis,
    "worker": _check_worker,
    "ledger": _check_ledger,
    "ingest": _check_ingest,
}
