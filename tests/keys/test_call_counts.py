"""Calls by minute and quarter hour: as exact as the decisions they are counted with."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.secrets import Bucket
from keys.events import to_ms
from keys.ledger.calls import Grain, prune_minutes
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all
from keys.ledger.rebuilding import rebuild_bucket
from keys.models import CallCount, Outcome, UsageHour
from keys.overview import calls_in
from tests.cast import Tenant
from tests.keys.test_drain import append
from tests.store_redis import StoreRedis

TODAY = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
ROWS = ("account_id", "grain", "start", "calls_allowed", "calls_denied")
Rows = list[tuple[int, int, datetime, int, int]]


def _rows() -> Rows:
    """Of all access keys and plans."""
    return list(CallCount.objects.filter(access_key_id=0, plan_id=0).order_by(*ROWS).values_list(*ROWS))


def _parts() -> list[tuple[int, int, int, int]]:
    """By access key or plan: which, and how many calls were allowed and denied."""
    names = ("access_key_id", "plan_id", "calls_allowed", "calls_denied")
    parts = CallCount.objects.exclude(access_key_id=0, plan_id=0)
    assert {each.grain for each in parts} <= {Grain.QUARTER.value}
    return list(parts.order_by(*names).values_list(*names))


def _call(
    stores: StoreRedis, tenant: Tenant, at: datetime, *, outcome: Outcome = Outcome.ALLOWED, seq: int = 0, **other: int
) -> None:
    append(stores, tenant, f"{to_ms(at)}-{seq}", outcome=outcome.value, cost=7, **other)


def _call_around_a_quarter(stores: StoreRedis, tenant: Tenant) -> None:
    _call(stores, tenant, TODAY + timedelta(minutes=14, seconds=59))
    _call(stores, tenant, TODAY + timedelta(minutes=14, seconds=59), outcome=Outcome.OVER_QUOTA, seq=1)
    _call(stores, tenant, TODAY + timedelta(minutes=15))


def test_a_drain_counts_calls_of_the_account_and_of_all(stores: StoreRedis, alice: Tenant) -> None:
    _call_around_a_quarter(stores, alice)
    drain_all(for_s=5)
    minute, quarter, own = timedelta(minutes=14), timedelta(minutes=15), alice.account.pk
    assert _rows() == [
        (counted_for, grain, TODAY + start, allowed, denied)
        for counted_for in (0, own)
        for grain, start, allowed, denied in (
            (1, minute, 1, 1), (1, quarter, 1, 0), (15, timedelta(), 1, 1), (15, quarter, 1, 0),
        )
    ]  # fmt: skip


def test_what_is_drained_later_is_added(stores: StoreRedis, alice: Tenant) -> None:
    for second in (1, 2):
        _call(stores, alice, TODAY + timedelta(seconds=second))
        drain_all(for_s=5)
    assert {row[3] for row in _rows()} == {2}


def test_calls_of_all_accounts_are_the_sum_over_the_buckets(stores: StoreRedis, alice: Tenant, bob: Tenant) -> None:
    for tenant, seq in ((alice, 0), (bob, 1)):  # whether or not they share a bucket
        _call(stores, tenant, TODAY, seq=seq)
    for tenant, seq in ((alice, 0), (bob, 1)):
        _call(stores, tenant, TODAY + timedelta(minutes=15), outcome=Outcome.KEY_EXPIRED, seq=seq)
    drain_all(for_s=5)
    starts = [TODAY, TODAY + timedelta(minutes=15), TODAY + timedelta(minutes=30)]
    of_all = calls_in(starts, TODAY + timedelta(minutes=45), account_id=None, grain=Grain.QUARTER)
    of_bob = calls_in(starts, TODAY + timedelta(minutes=45), account_id=bob.account.pk, grain=Grain.QUARTER)
    assert of_all == [(2, 0), (0, 2), (0, 0)]
    assert of_bob == [(1, 0), (0, 1), (0, 0)]


def test_quarter_hours_are_known_by_access_key_and_by_plan(stores: StoreRedis, alice: Tenant) -> None:
    told: list[dict[str, Any]] = [
        {"access_key_id": 71, "plan_id": 8},
        {"access_key_id": 71, "plan_id": 9, "outcome": Outcome.OVER_QUOTA},
        {"access_key_id": 72, "plan_id": 9},
        {"access_key_id": 72, "plan_id": 0, "outcome": Outcome.KEY_DISABLED},  # on none
        {"access_key_id": 0, "plan_id": 0},  # of no part
    ]
    for seq, each in enumerate(told):
        _call(stores, alice, TODAY, seq=seq, **each)
    drain_all(for_s=5)
    parts = [(0, 8, 1, 0), (0, 9, 1, 1), (71, 0, 1, 1), (72, 0, 1, 1)]
    assert _parts() == parts
    assert _rows()[-1][3:] == (3, 2)
    assert check_ledger().differences == []
    CallCount.objects.filter(access_key_id=71).delete()
    CallCount.objects.filter(plan_id=9).update(calls_denied=5)
    assert len(check_ledger().differences) == 2
    rebuild_bucket(Bucket(alice.account.bucket))
    assert _parts() == parts


def test_what_was_decided_before_parts_were_known_is_counted(stores: StoreRedis, alice: Tenant) -> None:
    migration = import_module("keys.migrations.0013_calls_by_part")
    for seq, plan_id in enumerate((8, 8, 9, 0)):
        _call(stores, alice, TODAY, seq=seq, plan_id=plan_id)
    _call(stores, alice, TODAY, seq=4, access_key_id=0, plan_id=0)
    drain_all(for_s=5)
    before = _parts()
    own, yesterday = alice.account.pk, TODAY - timedelta(days=1)
    UsageHour.objects.create(
        account_id=own, key_id=1, user_id=0, plan_id=8, hour=yesterday,
        units_allowed=3, units_adjusted=0, calls_allowed=3, calls_denied=1,
    )  # fmt: skip
    with connection.cursor() as cursor:
        for statement in (migration.UNCOUNT, migration.COUNT_DECISIONS, migration.COUNT_HOURS):
            cursor.execute(statement)
    assert _parts() == sorted([*before, (0, 8, 3, 1)])


def test_calls_are_rebuilt_from_the_kept_decisions(stores: StoreRedis, alice: Tenant) -> None:
    _call_around_a_quarter(stores, alice)
    drain_all(for_s=5)
    before = _rows()
    CallCount.objects.filter(grain=1).delete()
    CallCount.objects.update(calls_allowed=99)
    assert len(check_ledger().differences) == 8
    rebuild_bucket(Bucket(alice.account.bucket))
    assert _rows() == before
    assert check_ledger().differences == []


def test_minutes_are_kept_for_two_days_and_quarter_hours_for_good(stores: StoreRedis, alice: Tenant) -> None:
    _call(stores, alice, TODAY)
    drain_all(for_s=5)
    with connection.cursor() as cursor:
        assert prune_minutes(cursor, TODAY + timedelta(days=2)) == 0
        assert prune_minutes(cursor, TODAY + timedelta(days=2, seconds=1)) == 2
    assert {row[1] for row in _rows()} == {15}
