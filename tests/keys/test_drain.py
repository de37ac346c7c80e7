"""How events become the ledger: exactly once, whatever is refused, killed or running beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AccessKey
from accounts.secrets import Bucket
from keys.events import FIELD, RECORD, Event, StreamId, decision_id, stream_id_of, stream_name, to_ms
from keys.ledger import writing
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all, drain_bucket
from keys.ledger.retention import prune_decisions
from keys.models import ApiKey, DeadEvent, Decision, Outcome, StreamPosition, UsageHour, UsageWindow
from keys.partitions import DECISIONS
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.store_redis import StoreRedis

DAY = timedelta(days=1)


def event(tenant: Tenant, **other: Any) -> dict[str, bytes]:
    """As decide.lua would write it."""
    start = datetime(2026, 6, 1, tzinfo=UTC)
    words = {
        "account_id": tenant.account.pk, "access_key_id": tenant.access_key.pk, "api_key_id": 1, "user_id": 0,
        "plan_id": 2, "subject": "k1", "window": f"{to_ms(start)}:{to_ms(start + 30 * DAY)}", "outcome": 1,
        "cost": 1, "method": "GET", "ip": "-", "endpoint": "/o",
    } | other  # fmt: skip
    texts = [words[name] for name in RECORD]
    return {FIELD: b" ".join(text if isinstance(text, bytes) else str(text).encode() for text in texts)}


def append(stores: StoreRedis, tenant: Tenant, stream_id: str = "*", **other: Any) -> None:
    stores.xadd(stream_name(Bucket(tenant.account.bucket)), event(tenant, **other), id=stream_id)


def test_an_event_becomes_a_decision_a_window_and_an_hour(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(2, "month")
    key = alice.key(plan=plan)
    for _ in range(3):
        api.validate(alice, key.secret, ip_address="203.0.113.9", cost=1)
    assert drain_all(for_s=5) == 3
    window = UsageWindow.objects.get()
    hour = UsageHour.objects.get()
    newest = Decision.objects.first()
    assert newest is not None
    assert (window.units_allowed, window.calls_allowed, window.calls_denied) == (2, 2, 1)
    assert (window.subject_kind, window.subject_id, window.key_id) == ("k", key.api_key.pk, key.api_key.pk)
    assert (hour.units_allowed, hour.calls_allowed, hour.calls_denied, hour.plan_id) == (2, 2, 1, plan.pk)
    assert (newest.outcome, newest.endpoint, newest.method, newest.ip) == (2, "/orders", "GET", "203.0.113.9")


def test_a_refusal_before_the_quota_counts_in_hours_alone(stores: StoreRedis, alice: Tenant) -> None:
    append(stores, alice, outcome=Outcome.KEY_DISABLED.value, subject="-", window="0:0")
    drain_all(for_s=5)
    assert UsageWindow.objects.count() == 0
    assert UsageHour.objects.get().calls_denied == 1
    assert Decision.objects.get().subject_id is None


def test_draining_trims_the_stream_and_moves_the_position(stores: StoreRedis, alice: Tenant) -> None:
    append(stores, alice)
    bucket = Bucket(alice.account.bucket)
    newest = stores.xinfo_stream(stream_name(bucket))["last-generated-id"]
    drain_all(for_s=5)
    assert stores.xlen(stream_name(bucket)) == 0
    assert StreamPosition.objects.get(bucket=bucket).last_id == newest


def test_what_was_filed_but_not_trimmed_is_not_filed_again(
    stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a drain is killed between its commit and its trim."""
    append(stores, alice)
    with monkeypatch.context() as killed:
        killed.setattr(type(stores), "xtrim", _raise_keyboard_interrupt)
        with pytest.raises(KeyboardInterrupt):
            drain_bucket(Bucket(alice.account.bucket))
    append(stores, alice)
    assert drain_all(for_s=5) == 1
    assert Decision.objects.count() == 2
    assert UsageWindow.objects.get().units_allowed == 2


def test_a_drain_killed_before_its_commit_leaves_everything_to_the_next(
    stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(stores, alice)
    with monkeypatch.context() as killed:
        killed.setattr(writing, "touch_last_used", _raise_keyboard_interrupt)
        with pytest.raises(KeyboardInterrupt):
            drain_bucket(Bucket(alice.account.bucket))
    assert Decision.objects.count() == 0
    assert drain_all(for_s=5) == 1


def _raise_keyboard_interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_bucket_that_another_drains_is_left_to_it(stores: StoreRedis, alice: Tenant) -> None:
    append(stores, alice)
    with _position_held_by_another(alice):
        assert drain_bucket(Bucket(alice.account.bucket)) == 0
    assert drain_bucket(Bucket(alice.account.bucket)) == 1


@contextmanager
def _position_held_by_another(tenant: Tenant) -> Iterator[None]:
    told = connection.settings_dict
    dsn = {"dbname": told["NAME"], "user": told["USER"], "host": told["HOST"]}
    with psycopg.connect(**dsn) as other:
        other.execute("SELECT 1 FROM keys_streamposition WHERE bucket = %s FOR UPDATE", [tenant.account.bucket])
        yield


def test_a_large_stream_is_drained_in_batches(stores: StoreRedis, alice: Tenant) -> None:
    for _ in range(25):
        append(stores, alice)
    assert drain_bucket(Bucket(alice.account.bucket), at_most=10) == 10
    assert drain_all(for_s=5, batch=10) == 15
    assert UsageWindow.objects.get().calls_allowed == 25


@pytest.mark.parametrize(
    "broken",
    [
        {"endpoint": "/\0"},
        {"ip": "no-address"},
        {"cost": 2**40},
        {"outcome": 9},
        {"subject": "?"},
        {"cost": "many"},
        {"method": "M" * 17},
        {"account_id": 2**70},
    ],
)
def test_an_event_that_is_refused_goes_to_dead_events_and_the_rest_flow(
    stores: StoreRedis, alice: Tenant, broken: dict[str, Any]
) -> None:
    for number in range(7):
        append(stores, alice, **(broken if number == 3 else {}))
    assert drain_all(for_s=5) == 7
    dead = DeadEvent.objects.get()
    assert Decision.objects.count() == 6
    assert UsageWindow.objects.get().units_allowed == 6
    assert dead.reason
    assert dead.fields[FIELD]


def test_an_event_that_is_not_utf8_is_filed_legibly(stores: StoreRedis, alice: Tenant) -> None:
    append(stores, alice, endpoint=b"/\xff\xfe")
    append(stores, alice)
    assert drain_all(for_s=5) == 2
    assert {decision.endpoint for decision in Decision.objects.all()} == {"/\\xff\\xfe", "/o"}


def test_a_failure_that_is_not_the_events_fault_makes_none_dead(
    stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(stores, alice)

    def lose_connection(*_: object) -> None:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(writing, "copy_decisions", lose_connection)
    with pytest.raises(psycopg.OperationalError):
        drain_bucket(Bucket(alice.account.bucket))
    assert DeadEvent.objects.count() == 0


def test_a_drain_makes_the_partition_it_lacks(stores: StoreRedis, alice: Tenant) -> None:
    far = datetime(2031, 3, 4, 12, tzinfo=UTC)
    append(stores, alice, f"{to_ms(far)}-0")
    assert drain_all(for_s=5) == 1
    assert Decision.objects.get().at == far
    assert DECISIONS.make([far.replace(hour=0)]) == 0


def test_last_used_is_touched_of_both_keys(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    api.validate(alice, key.secret)
    drain_all(for_s=5)
    used = ApiKey.objects.get(pk=key.api_key.pk).last_used_at
    assert used == Decision.objects.get().at
    assert AccessKey.objects.get(pk=alice.access_key.pk).last_used_at == used


def test_a_decisions_id_holds_its_place_in_the_stream() -> None:
    place = StreamId(1_790_000_000_123, 42)
    made = decision_id(Bucket(11), place)
    assert made.version == 8
    assert stream_id_of(made) == place
    assert made < decision_id(Bucket(0), StreamId(place.ms + 1, 0))


def test_an_event_reads_back_what_was_written(alice: Tenant) -> None:
    fields = {name: value.decode() for name, value in event(alice, user_id=5, ip="::1", endpoint="/a b").items()}
    read = Event.parse(Bucket(3), "1700000000000-1", fields)
    assert read.endpoint == "/a b"
    assert (read.user_id, read.plan_id, read.ip, read.outcome) == (5, 2, "::1", Outcome.ALLOWED)


# --- retention ----------------------------------------------------------------------------------------------------
def test_days_beyond_retention_are_dropped(stores: StoreRedis, alice: Tenant) -> None:
    now = timezone.now()
    for days in (36, 35, 0):
        append(stores, alice, f"{to_ms(now - days * DAY)}-0")
    drain_all(for_s=5)
    assert prune_decisions(now)
    assert Decision.objects.count() == 2
    assert UsageHour.objects.count() == 3  # hours and windows are kept for good
    assert UsageWindow.objects.get().units_allowed == 3


def test_a_clock_that_runs_ahead_drops_nothing(stores: StoreRedis, alice: Tenant) -> None:
    now = timezone.now()
    append(stores, alice, f"{to_ms(now)}-0")
    drain_all(for_s=5)
    prune_decisions(now + 400 * DAY)
    assert Decision.objects.count() == 1


def test_partitions_are_made_a_week_ahead(stores: StoreRedis) -> None:
    now = datetime(2033, 1, 30, 23, 59, tzinfo=UTC)
    assert DECISIONS.make_ahead(now) == 8
    assert DECISIONS.lacking(now, now + 7 * DAY) == set()


# --- check_ledger -------------------------------------------------------------------------------------------------
def _spend(api: ApiClient, tenant: Tenant) -> None:
    user = tenant.user(tenant.plan(3, "day"))
    for secret in (tenant.key(user=user).secret, tenant.key(user=user).secret):
        for _ in range(2):
            api.validate(tenant, secret)


def test_a_true_ledger_has_no_difference(api: ApiClient, alice: Tenant, bob: Tenant) -> None:
    _spend(api, alice)
    drain_all(for_s=5)
    _spend(api, alice)
    _spend(api, bob)
    report = check_ledger()
    assert report.differences == []
    assert report.counters >= 2


def test_a_counter_that_was_tampered_with_is_found(api: ApiClient, alice: Tenant, stores: StoreRedis) -> None:
    _spend(api, alice)
    (name,) = stores.keys("*:c:*")
    stores.hincrby(name, "used", 1)
    assert [(found.expected, found.found) for found in check_ledger().differences] == [(3, 4)]


@pytest.mark.parametrize("model", [UsageWindow, UsageHour])
def test_a_sum_that_its_decisions_do_not_bear_is_found(
    api: ApiClient, alice: Tenant, model: type[UsageWindow] | type[UsageHour]
) -> None:
    _spend(api, alice)
    drain_all(for_s=5)
    row = model.objects.first()
    assert row is not None
    row.calls_denied += 1
    row.save()
    assert len(check_ledger().differences) == 1
