"""Adjustments in the ledger: filed once, kept with who made them and why, never lost by a rebuild or a new life."""

import pytest

from accounts.models import AuditEntry
from accounts.secrets import Bucket
from keys.adjusting import Adjusted, adjust
from keys.events import AdjustmentEvent, head_name, stream_name
from keys.ledger import writing
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all, drain_bucket
from keys.ledger.rebuilding import rebuild_bucket
from keys.models import Adjustment, AdjustmentKind, DeadEvent, Decision, StreamPosition, UsageHour, UsageWindow
from keys.standing import adjustments_of
from tests.cast import BY, Tenant
from tests.conftest import Decisions
from tests.keys.adjustments import grant, reset, spend, standing, wish
from tests.store_redis import StoreRedis


def test_the_ledger_tells_who_why_when_and_which_window(alice: Tenant, decisions: Decisions) -> None:
    plan = alice.plan(5)
    user = alice.user(plan)
    spend(decisions, alice, alice.key(user=user), 2)
    looked_at = wish(user, AdjustmentKind.RESET, reason="Ä wrong bill; see #12")
    adjust(user, looked_at, by=BY, stream_max=1000)
    assert [row.reason for row in adjustments_of(alice.account, looked_at.subject)] == ["Ä wrong bill; see #12"]
    assert drain_all(for_s=5) == 3
    row = Adjustment.objects.get()
    (shown,) = adjustments_of(alice.account, looked_at.subject)
    assert shown == row
    assert (row.account_id, row.subject_kind, row.subject_id) == (alice.account.pk, "u", user.pk)
    assert (row.start, row.end) == (looked_at.window.start, looked_at.window.end)
    assert (row.kind, row.amount, row.plan_id, row.request_id) == ("reset", -2, plan.pk, looked_at.request_id)
    assert (row.actor_kind, row.actor_name, row.reason) == ("command", "test", "Ä wrong bill; see #12")
    windows = UsageWindow.objects.values_list("key_id", "units_allowed", "units_adjusted", "calls_allowed")
    assert set(windows) == {(0, 0, -2, 0), (Decision.objects.first().api_key_id, 2, 0, 2)}  # type: ignore[union-attr]
    entry = AuditEntry.objects.get(action="user had its use reset")
    assert (entry.reason, entry.after["amount"]) == ("Ä wrong bill; see #12", -2)


def test_a_redrained_adjustment_is_filed_once(
    alice: Tenant, decisions: Decisions, stores: StoreRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a drain is killed before its commit, and the next one between its commit and its trim."""
    key = alice.key(plan=alice.plan(5))
    spend(decisions, alice, key, 2)
    grant(key.api_key, 3)
    for owner, name in ((writing, "add_adjustments"), (type(stores), "xtrim")):
        with monkeypatch.context() as killed:
            killed.setattr(owner, name, _raise_keyboard_interrupt)
            with pytest.raises(KeyboardInterrupt):
                drain_bucket(Bucket(alice.account.bucket))
    assert drain_bucket(Bucket(alice.account.bucket)) == 0
    assert (Adjustment.objects.get().amount, Decision.objects.count()) == (-3, 2)
    assert check_ledger().differences == []


def _raise_keyboard_interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("is_drained", [True, False])
def test_a_new_life_begins_from_the_ledger_adjustments_included(
    alice: Tenant, decisions: Decisions, stores: StoreRedis, is_drained: bool
) -> None:
    """What was not drained is lost with Redis, spent and granted alike."""
    key = alice.key(plan=alice.plan(5))
    spend(decisions, alice, key, 5)
    grant(key.api_key, 3)
    if is_drained:
        drain_all(for_s=5)
    stores.flushdb()
    assert standing(key.api_key).granted == (3 if is_drained else 0)
    grant(key.api_key, 1)
    assert standing(key.api_key).granted == (4 if is_drained else 1)
    assert spend(decisions, alice, key, 12) == (4 if is_drained else 6)
    assert check_ledger().differences == []


def test_a_former_lifes_grant_is_not_taken_for_this_ones(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    """The counter is still there, of a life that the ledger has left behind."""
    key = alice.key(plan=alice.plan(5))
    spend(decisions, alice, key, 5)
    drain_all(for_s=5)
    grant(key.api_key, 3)
    head, events = head_name(Bucket(alice.account.bucket)), stream_name(Bucket(alice.account.bucket))
    stores.delete(head, events)
    assert standing(key.api_key).granted == 0
    assert spend(decisions, alice, key, 4) == 0
    assert grant(key.api_key, 2) == Adjusted(-2, 3, 2)
    assert spend(decisions, alice, key, 4) == 2
    assert check_ledger().differences == []


def test_a_bucket_that_was_never_opened_is_opened(alice: Tenant, decisions: Decisions, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(5))
    assert stores.keys("*") == []
    grant(key.api_key, 3)
    assert spend(decisions, alice, key, 9) == 8


def test_rebuilding_loses_no_adjustment(alice: Tenant, decisions: Decisions) -> None:
    user = alice.user(alice.plan(5, "day"))
    spend(decisions, alice, alice.key(user=user), 5)
    grant(user, 3)
    reset(user)
    drain_all(for_s=5)
    before = _sums()
    UsageWindow.objects.filter(key_id=0).delete()
    rebuild_bucket(Bucket(alice.account.bucket))
    assert _sums() == before
    UsageWindow.objects.filter(key_id=0).update(units_adjusted=-1)
    assert len(check_ledger().differences) == 2  # the window, and the counter that follows from it
    rebuild_bucket(Bucket(alice.account.bucket))
    assert _sums() == before
    assert check_ledger().differences == []


def _sums() -> set[tuple[int, int, int]]:
    return set(UsageWindow.objects.values_list("key_id", "units_allowed", "units_adjusted"))


def test_hours_count_calls_alone(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    spend(decisions, alice, key, 1)
    grant(key.api_key, 3)
    drain_all(for_s=5)
    hour = UsageHour.objects.get()
    assert (hour.units_allowed, hour.units_adjusted, hour.calls_allowed) == (1, 0, 1)


def test_an_adjustment_that_cannot_be_filed_goes_to_dead_events(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    key = alice.key(plan=alice.plan(5))
    spend(decisions, alice, key, 1)
    grant(key.api_key, 3)
    ((_, _fields), (_, fields)) = stores.xrange(stream_name(Bucket(alice.account.bucket)))
    stores.xadd(stream_name(Bucket(alice.account.bucket)), dict(fields) | {"a": fields["a"].replace("grant", "gift")})
    drain_all(for_s=5)
    assert DeadEvent.objects.get().fields["why"] == "asked by phone"
    assert (Adjustment.objects.count(), Decision.objects.count()) == (1, 1)
    assert check_ledger().differences == []


def test_an_adjustment_reads_back_what_was_written(alice: Tenant, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(5))
    looked_at = wish(key.api_key, AdjustmentKind.GRANT, 7, reason="a b  c")
    adjust(key.api_key, looked_at, by=BY, stream_max=1000)
    ((stream_id, fields),) = stores.xrange(stream_name(Bucket(alice.account.bucket)))
    event = AdjustmentEvent.parse(Bucket(alice.account.bucket), stream_id, fields)
    assert (event.spent.subject, event.spent.start) == (looked_at.subject, looked_at.window.start)
    assert (event.units, event.reason, event.request_id) == (-7, "a b  c", looked_at.request_id)


def test_the_position_moves_past_an_adjustment(alice: Tenant, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 3)
    ((stream_id, _),) = stores.xrange(stream_name(Bucket(alice.account.bucket)))
    drain_all(for_s=5)
    assert StreamPosition.objects.get(bucket=alice.account.bucket).last_id == stream_id
    assert stores.xlen(stream_name(Bucket(alice.account.bucket))) == 0
