"""DESIGN 5a, one sentence, one test: decide, fill, invalidate, open, and what holds because of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts import services as accounts
from accounts.secrets import Bucket, bucket_of, digest_of
from keys import invalidation
from keys import services as keys
from keys.events import Event, head_name, stream_name
from keys.invalidation import NotYetInForce, resend_invalidations
from keys.ledger.drain import drain_bucket
from keys.models import PendingInvalidation
from keys.validation import fills
from keys.validation import store as store_module
from keys.validation.store import StoreUnavailable
from keys.validation.verdicts import Verdict
from tests.cast import BY, Tenant
from tests.conftest import Decisions
from tests.decision_script import HOUR_MS, Script
from tests.store_redis import StoreRedis


# --- names --------------------------------------------------------------------------------------------------------
def test_an_access_key_names_its_accounts_bucket(alice: Tenant, bob: Tenant) -> None:
    assert bucket_of(alice.secret) == alice.account.bucket
    assert bucket_of(bob.secret) == bob.account.bucket


def test_every_name_in_redis_carries_the_accounts_tag(stores: StoreRedis, alice: Tenant, decisions: Decisions) -> None:
    accounts.update_access_key(alice.access_key, by=BY, requests_per_minute=5)
    decisions.decide(alice, alice.key(user=alice.user(alice.plan())).secret)
    tag = f"{{b{alice.account.bucket:x}}}:"
    names = stores.keys("*")
    assert len(names) == 9  # head, events, minute, counter; access key, key, user, plan, window
    assert all(name.startswith(tag) for name in names)


def test_snapshots_live_ten_minutes_and_counters_two_days_longer_than_their_window(script: Script) -> None:
    head = script.head
    script(fill=script.fill(), nonce=head["nonce"], inv=head["inv"])
    assert {round(script.client.pttl(name), -4) for name in script.snapshots} == {
        600_000,
        10_000,
    }  # 10 s: none
    assert round(script.client.pttl(script.counters[0]), -5) == HOUR_MS + 2 * 24 * HOUR_MS


# --- decide -------------------------------------------------------------------------------------------------------
def test_a_warm_decision_costs_one_round_trip_and_no_sql(
    alice: Tenant, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = alice.key(user=alice.user(alice.plan()))
    decisions.decide(alice, key.secret)
    calls: list[object] = []
    connection_ = decisions.store._connection
    assert connection_ is not None
    monkeypatch.setattr(type(connection_), "send", _counting(type(connection_).send, calls))
    asked = decisions.store._pool.get_stats()["requests_num"]
    assert decisions.decide(alice, key.secret).verdict is Verdict.ALLOWED
    assert len(calls) == 1
    assert decisions.store._pool.get_stats()["requests_num"] == asked


def test_a_cold_decision_costs_two_round_trips_and_one_select(
    alice: Tenant, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions.decide(alice, "unknown")
    key = alice.key(user=alice.user(alice.plan()))
    calls: list[object] = []
    connection_ = decisions.store._connection
    assert connection_ is not None
    monkeypatch.setattr(type(connection_), "send", _counting(type(connection_).send, calls))
    asked = decisions.store._pool.get_stats()["requests_num"]
    assert decisions.decide(alice, key.secret).verdict is Verdict.ALLOWED
    assert len(calls) == 2
    assert decisions.store._pool.get_stats()["requests_num"] == asked + 1


def _counting(send: Any, calls: list[object]) -> Any:
    def counted(self: object, words: object, on_reply: object) -> Any:
        calls.append(words)
        return send(self, words, on_reply)

    return counted


def test_another_run_is_closed(script: Script) -> None:
    assert script(run="another") == ["CLOSED"]


def test_a_miss_writes_nothing(script: Script) -> None:
    before = sorted(script.client.keys("*"))
    assert script()[0] == "MISS"
    assert sorted(script.client.keys("*")) == before


def test_a_full_stream_spends_nothing(script: Script) -> None:
    head = script.head
    script(fill=script.fill(), nonce=head["nonce"], inv=head["inv"])
    assert script(stream_max=1) == ["FULL"]
    assert script.client.hget(script.counters[0], "used") == "1"


def test_a_full_stream_is_answered_as_unavailable(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key()
    decisions.decide(alice, key.secret)
    decisions.store._stream_max = 1
    with pytest.raises(StoreUnavailable, match="full"):
        decisions.decide(alice, key.secret)


def test_a_counter_of_another_life_is_a_miss(script: Script) -> None:
    head = script.head
    script(fill=script.fill(), nonce=head["nonce"], inv=head["inv"])
    script.client.hset(script.counters[0], "life", "former")
    assert script()[0] == "MISS"


def test_a_window_made_for_another_period_or_anchor_is_a_miss(script: Script) -> None:
    head, fill = script.head, script.fill()
    window = next(name for name in fill["snapshots"] if ":w:" in name)
    fill["snapshots"][window][0] = "day1234"
    assert script(fill=fill, nonce=head["nonce"], inv=head["inv"])[0] == "MISS"


def test_after_its_end_the_successor_counts_from_nothing_without_a_select(script: Script) -> None:
    head = script.head
    ended = script.fill(used=9, since_ms=-HOUR_MS, until_ms=-1000)
    reply = script(fill=ended, nonce=head["nonce"], inv=head["inv"])
    assert (reply[0], reply[6]) == ("ALLOWED", 1)


def test_a_successor_that_the_ledger_knows_goes_on_from_there(script: Script) -> None:
    """As after a clock that went back: the successor was used before, by another life."""
    head = script.head
    ended = script.fill(until_ms=-1000, next_used=10)
    assert script(fill=ended, nonce=head["nonce"], inv=head["inv"])[0] == "OVER_QUOTA"


def test_past_the_successor_is_a_miss(script: Script) -> None:
    head = script.head
    old = script.fill(since_ms=-3 * HOUR_MS, until_ms=-2 * HOUR_MS)
    assert script(fill=old, nonce=head["nonce"], inv=head["inv"])[0] == "MISS"


def test_an_event_names_what_was_decided(script: Script) -> None:
    head = script.head
    script(fill=script.fill(), nonce=head["nonce"], inv=head["inv"], cost=3)
    event = Event.parse(script.bucket, *script.client.xrange(stream_name(script.bucket))[-1])
    key = script.key.api_key.pk
    assert (event.account_id, event.access_key_id) == (script.tenant.account.pk, script.tenant.access_key.pk)
    assert (event.api_key_id, event.user_id, event.plan_id) == (key, None, 7)
    assert (event.outcome, event.cost, event.method, event.endpoint, event.ip) == (1, 3, "GET", "/o", None)
    assert event.spent is not None
    assert str(event.spent.subject) == f"k{key}"
    assert (event.spent.end - event.spent.start).total_seconds() == 7200


# --- fill ---------------------------------------------------------------------------------------------------------
def test_a_fill_of_another_nonce_is_a_miss(script: Script) -> None:
    assert script(fill=script.fill(), nonce="another", inv=script.head["inv"], final="1")[0] == "MISS"


def test_a_fill_of_another_inv_is_a_miss_and_is_not_kept(script: Script) -> None:
    assert script(fill=script.fill(), nonce=script.head["nonce"], inv="99")[0] == "MISS"
    assert all(":a:" not in name for name in script.snapshots)


def test_an_insisting_fill_decides_its_own_call_and_is_not_kept(script: Script) -> None:
    assert script(fill=script.fill(), nonce=script.head["nonce"], inv="99", final="1")[0] == "ALLOWED"
    assert all(":a:" not in name for name in script.snapshots)


def test_a_counter_of_this_life_is_never_overwritten_by_a_fill(script: Script) -> None:
    head, fill = script.head, script.fill(used=2)
    script(fill=fill, nonce=head["nonce"], inv=head["inv"])
    reply = script(fill=fill | {"used": 0}, nonce=head["nonce"], inv=head["inv"])
    assert reply[6] == 4


def test_a_fill_starts_the_counter_at_the_ledgers_use(alice: Tenant, decisions: Decisions, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(10, "month"))
    for _ in range(3):
        decisions.decide(alice, key.secret)
    drain_bucket(Bucket(alice.account.bucket))
    stores.flushdb()
    after = decisions.decide(alice, key.secret)
    assert after.quota is not None
    assert after.quota.used == 4


def test_the_same_junk_key_reaches_sql_once(alice: Tenant, decisions: Decisions) -> None:
    decisions.decide(alice, "junk")
    asked = decisions.store._pool.get_stats()["requests_num"]
    for _ in range(20):
        assert decisions.decide(alice, "junk").verdict is Verdict.NOT_FOUND
    assert decisions.store._pool.get_stats()["requests_num"] == asked


def test_distinct_junk_asks_at_most_eight_times_at_once(
    alice: Tenant, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, most = 0, 0
    read_fill = fills.read_fill

    async def watched(*given: Any, **named: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await read_fill(*given, **named)
        finally:
            under_way -= 1

    decisions.decide(alice, "unknown")
    monkeypatch.setattr(store_module, "read_fill", watched)
    decisions.decide_at_once(alice, [f"junk {number}" for number in range(40)])
    assert most == store_module.FILLS_AT_ONCE


# --- invalidate ---------------------------------------------------------------------------------------------------
def test_a_change_is_forgotten_on_commit_and_leaves_no_row(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    key = alice.key()
    decisions.decide(alice, key.secret)
    inv = int(stores.hget(head_name(Bucket(alice.account.bucket)), "inv") or 0)
    keys.update_api_key(key.api_key, by=BY, name="renamed")
    assert int(stores.hget(head_name(Bucket(alice.account.bucket)), "inv") or 0) == inv + 1
    assert not stores.keys(f"*:k:{digest_of(key.secret).hex()}")
    assert not PendingInvalidation.objects.exists()


def test_a_change_that_is_rolled_back_invalidates_nothing(alice: Tenant, stores: StoreRedis) -> None:
    key = alice.key()
    with pytest.raises(LookupError), transaction.atomic():
        keys.update_api_key(key.api_key, by=BY, name="renamed")
        raise LookupError
    assert not PendingInvalidation.objects.exists()


def test_a_fill_read_before_a_revocation_is_not_believed_after_it(script: Script) -> None:
    """The race that cache-aside loses: read, revoke, then keep what was read."""
    head, stale = script.head, script.fill()
    accounts.revoke_access_key(script.tenant.access_key, now=timezone.now(), by=BY)
    assert script(fill=stale, nonce=head["nonce"], inv=head["inv"])[0] == "MISS"
    assert script()[0] == "MISS"


def test_when_redis_is_away_the_change_is_saved_and_sent_later(
    alice: Tenant, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = alice.key()
    decisions.decide(alice, key.secret)
    with monkeypatch.context() as away:
        away.setattr(invalidation, "client", _unreachable)
        with pytest.raises(NotYetInForce):
            keys.delete_api_key(key.api_key, now=timezone.now(), by=BY)
    assert PendingInvalidation.objects.count() == 1
    assert resend_invalidations() == 0  # its caller may still be at it
    PendingInvalidation.objects.update(created_at=timezone.now() - timedelta(seconds=2))
    assert resend_invalidations() == 1
    assert decisions.decide(alice, key.secret).verdict is Verdict.NOT_FOUND


def _unreachable() -> Any:
    raise RedisConnectionError("away")


def test_a_script_that_the_server_forgot_is_sent_again(alice: Tenant, decisions: Decisions, stores: StoreRedis) -> None:
    key = alice.key()
    decisions.decide(alice, key.secret)
    stores.script_flush()
    after = decisions.decide(alice, key.secret)
    assert after.quota is not None
    assert after.quota.used == 2
