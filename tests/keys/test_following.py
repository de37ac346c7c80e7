"""Who follows the ledger reads a bucket's decisions in the order of its stream, none twice and none left out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.secrets import Bucket
from keys.events import StreamId, stream_id_of, to_ms
from keys.ledger.drain import drain_all
from keys.ledger.following import BETWEEN, count_between, decisions_between, filed_until, pruned_calls
from keys.ledger.retention import prune_decisions
from keys.models import Decision
from tests.cast import Tenant, new_tenant
from tests.keys.test_drain import append
from tests.store_redis import StoreRedis

NOON, DAY = datetime(2026, 6, 1, 12, tzinfo=UTC), timedelta(days=1)
START = StreamId(0, 0)
END = StreamId(to_ms(NOON) + 10**9, 0)


def _place(number: int) -> StreamId:
    """Several in one millisecond, and over midnight."""
    return StreamId(to_ms(NOON) + number // 3 * 9_000_000, number % 3)


def _bucket_mates(tenant: Tenant, name: str) -> Tenant:
    """Another account of the same bucket."""
    while True:
        made = new_tenant(name)
        if made.account.bucket == tenant.account.bucket:
            return made


def _neighbour_bucket(tenant: Tenant) -> Tenant:
    while True:
        made = new_tenant("Elsewhere")
        if made.account.bucket != tenant.account.bucket:
            return made


def test_a_bucket_is_read_in_stream_order_across_accounts_and_days(stores: StoreRedis, alice: Tenant) -> None:
    mate, elsewhere = _bucket_mates(alice, "Mate"), _neighbour_bucket(alice)
    for number in range(20):
        append(stores, (alice, mate)[number % 2], str(_place(number)))
        append(stores, elsewhere, str(_place(number)))
    drain_all(for_s=10)
    bucket, read, after = Bucket(alice.account.bucket), [], START
    while decisions := decisions_between(bucket, after, END, at_most=7):
        read += [(stream_id_of(decision.id), decision.account_id) for decision in decisions]
        after = stream_id_of(decisions[-1].id)
    assert read == [(_place(number), (alice, mate)[number % 2].account.pk) for number in range(20)]
    assert filed_until()[bucket] == _place(19)


def test_what_lies_between_two_places_is_counted_bucket_by_bucket(stores: StoreRedis, alice: Tenant) -> None:
    elsewhere = _neighbour_bucket(alice)
    for number in range(20):
        append(stores, alice, str(_place(number)))
        append(stores, elsewhere, str(_place(number)))
    drain_all(for_s=10)
    ours, theirs = Bucket(alice.account.bucket), Bucket(elsewhere.account.bucket)
    assert count_between({ours: (_place(4), _place(10))}) == 6
    assert count_between({ours: (START, END), theirs: (_place(18), END)}) == 21
    assert count_between({}) == 0


def test_reading_ends_where_it_is_told_to(stores: StoreRedis, alice: Tenant) -> None:
    for number in range(9):
        append(stores, alice, str(_place(number)))
    drain_all(for_s=10)
    read = decisions_between(Bucket(alice.account.bucket), _place(2), _place(5), at_most=100)
    assert [stream_id_of(decision.id) for decision in read] == [_place(3), _place(4), _place(5)]


def test_no_table_is_scanned_to_read_on(stores: StoreRedis, alice: Tenant) -> None:
    for number in range(300):
        append(stores, alice, str(_place(number)))
    drain_all(for_s=10)
    given: dict[str, Any] = {"bucket": alice.account.bucket, "limit": 10, "since": NOON, "last": NOON + 9 * DAY}
    first, last = Decision.objects.last(), Decision.objects.first()
    assert first is not None
    assert last is not None
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE keys_decision")
        cursor.execute(f"EXPLAIN {BETWEEN}", given | {"after": first.id, "until": last.id})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "get_byte" in plan


@pytest.mark.parametrize(("folded_days_ago", "lost"), [(50, 2), (39, 1), (3, 0)])
def test_what_was_pruned_beyond_a_place_is_counted(
    stores: StoreRedis, alice: Tenant, folded_days_ago: int, lost: int
) -> None:
    for days in (45, 38, 1, 0):
        append(stores, alice, f"{to_ms(NOON - days * DAY)}-0")
    drain_all(for_s=10)
    prune_decisions(NOON)
    place = StreamId(to_ms(NOON - folded_days_ago * DAY), 0)
    assert pruned_calls(Bucket(alice.account.bucket), place) == lost
    assert pruned_calls(Bucket((alice.account.bucket + 1) % 16), place) == 0
