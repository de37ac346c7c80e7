"""`/readyz`: whether this installation can do its work, and which part cannot."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, lru_cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError

from analytics.ingest.backlog import Waiting, read_waiting
from keys.ledger.lag import Lag, read_lag
from keys.redis import client

OK = "ok"


class NotReady(Exception):
    """In a sentence that says what to do."""


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when every part is "ok"; else 503, each part with what is wrong."""
    parts = states(Look(timezone.now()))
    is_ready = all(state == OK for state in parts.values())
    answer = {"status": "ok" if is_ready else "unavailable", "parts": parts}
    return JsonResponse(answer, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


class Look:
    """What several parts are judged by, asked once."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    @property
    def lag(self) -> Lag:
        """Errors: RedisError."""
        if isinstance(self._lag, RedisError):
            raise self._lag
        return self._lag

    @cached_property
    def waiting(self) -> Waiting:
        return read_waiting()

    @cached_property
    def _lag(self) -> Lag | RedisError:
        """The error is kept as well: who waits for an answer that does not come, waits once."""
        try:
            return read_lag(self.now)
        except RedisError as error:
            return error


def states(look: Look) -> dict[str, str]:
    """OK, or what is wrong, of each part."""
    return {name: _state(check, look) for name, check in CHECKS.items()}


def _state(check: Callable[[Look], None], look: Look) -> str:
    try:
        check(look)
    except NotReady as error:
        return str(error)
    except (DatabaseError, RedisError) as error:
        return type(error).__name__
    return OK


def _check_database(_look: Look) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _check_migrations(_look: Look) -> None:
    _require_migrations()


@lru_cache(maxsize=1)  # what was applied stays so; a failure raises and is not kept
def _require_migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("migrations are missing: run `manage.py migrate`")


def _check_redis(_look: Look) -> None:
    policy = client().info("memory").get("maxmemory_policy")
    if policy != "noeviction":
        raise NotReady(f"maxmemory-policy is {policy}: set noeviction, or counters will be lost")


def _check_worker(look: Look) -> None:
    if not look.lag.is_draining:
        raise NotReady("no worker has drained for 15 s: start `celery -A limitly_site worker` and `beat`")


def _check_ledger(look: Look) -> None:
    behind_s = look.lag.seconds
    if behind_s > settings.LIMITLY_READY_LAG_S:
        raise NotReady(f"the oldest event waits for {behind_s:.0f} s")


def _check_ingest(look: Look) -> None:
    waiting = look.waiting
    age_s = 0.0 if waiting.oldest_at is None else (look.now - waiting.oldest_at).total_seconds()
    if waiting.bytes >= settings.LIMITLY_INGEST_BACKLOG_BYTES:
        raise NotReady(f"{waiting.bytes} bytes of reports wait to be counted: new ones are refused")
    if age_s > settings.LIMITLY_READY_LAG_S:
        raise NotReady(f"the oldest report waits for {age_s:.0f} s, {waiting.bytes} bytes with it")


CHECKS: dict[str, Callable[[Look], None]] = {
    "database": _check_database,
    "migrations": _check_migrations,
    "redis": _check_redis,
    "worker": _check_worker,
    "ledger": _check_ledger,
    "ingest": _check_ingest,
}
