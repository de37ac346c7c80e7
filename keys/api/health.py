"""`/readyz`: whether this installation can do its work, which part cannot, and how far each is behind."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError

from analytics.ingest.backlog import Waiting, read_waiting
from analytics.rollup.lag import read_fold_lag
from analytics.rollup.unused import rejected_reports
from keys.ledger.lag import Lag, read_lag
from keys.redis import client

OK: Final = "ok"


class NotReady(Exception):
    """In a sentence that says what to do."""


class Behind(Exception):
    """In a sentence. It does its work, though not in time: that is shown, and no reason to take the site away."""


class State(NamedTuple):
    """Of one part, as it is shown."""

    says: str
    is_ready: bool


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when every part does its work; else 503, each part with what is wrong. `figures` are None unless all could be
    read."""
    look = Look(timezone.now())
    states = states_of(look)
    is_ready = all(state.is_ready for state in states.values())
    answer = {
        "status": OK if is_ready else "unavailable",
        "parts": {name: state.says for name, state in states.items()},
        "figures": _figures(look),
    }
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
    def _lag(self) -> Lag | RedisError:
        """The error is kept as well: who waits for an answer that does not come, waits once."""
        try:
            return read_lag(self.now)
        except RedisError as error:
            return error

    @cached_property
    def waiting(self) -> Waiting:
        return read_waiting()

    @cached_property
    def fold_lag_s(self) -> float:
        return read_fold_lag(self.now)


def states_of(look: Look) -> dict[str, State]:
    return {name: _state(check, look) for name, check in CHECKS.items()}


def _state(check: Callable[[Look], None], look: Look) -> State:
    try:
        check(look)
    except NotReady as error:
        return State(str(error), is_ready=False)
    except Behind as error:
        return State(str(error), is_ready=True)
    except (DatabaseError, RedisError) as error:
        return State(type(error).__name__, is_ready=False)
    return State(OK, is_ready=True)


def _figures(look: Look) -> dict[str, object] | None:
    try:
        return {
            "ledger_lag_s": round(look.lag.seconds, 1),
            "fold_lag_s": round(look.fold_lag_s, 1),
            "oldest_report_s": round(_age_s(look.waiting.oldest_at, look.now), 1),
            "waiting_reports_bytes": look.waiting.bytes,
            "rejected_reports_of_a_day": rejected_reports(look.now),
        }
    except (DatabaseError, RedisError):
        return None


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
    age_s = _age_s(waiting.oldest_at, look.now)
    if waiting.bytes >= settings.LIMITLY_INGEST_BACKLOG_BYTES:
        raise NotReady(f"{waiting.bytes} bytes of reports wait to be counted: new ones are refused")
    if age_s > settings.LIMITLY_READY_LAG_S:
        raise NotReady(f"the oldest report waits for {age_s:.0f} s, {waiting.bytes} bytes with it")


def _check_fold(look: Look) -> None:
    """Validate, usage and the ledger do not need it: late request logs alone are no reason for 503."""
    behind_s, at_most_s = look.fold_lag_s, settings.LIMITLY_READY_FOLD_LAG_S
    says = f"the oldest decision that is not folded is {behind_s:.0f} s old"
    if at_most_s and behind_s > at_most_s:
        raise NotReady(says)
    if behind_s > settings.LIMITLY_READY_LAG_S:
        raise Behind(says)


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else (now - since).total_seconds()


CHECKS: dict[str, Callable[[Look], None]] = {
    "database": _check_database,
    "migrations": _check_migrations,
    "redis": _check_redis,
    "worker": _check_worker,
    "ledger": _check_ledger,
    "ingest": _check_ingest,
    "fold": _check_fold,
}
