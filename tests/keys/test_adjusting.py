"""Windows are reset and extra units granted by events with an amount: nothing else changes a counter (DESIGN 5a)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from accounts.models import AuditEntry
from accounts.secrets import Bucket
from keys import adjusting
from keys.adjusting import Adjusted, NotAdjusted, PerhapsAdjusted, adjust
from keys.events import AdjustmentEvent, head_name, stream_name
from keys.ledger import writing
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all, drain_bucket
from keys.ledger.rebuilding import rebuild_bucket
from keys.models import Adjustment, AdjustmentKind, DeadEvent, Decision, StreamPosition, UsageHour, UsageWindow
from keys.standing import adjustments_of
from keys.validation.verdicts import Verdict
from tests.cast import BY, IssuedKey, Tenant
from tests.conftest import ApiClient, Decisions
from tests.keys.adjustments import grant, reset, standing, wish
from tests.store_redis import StoreRedis


def _spend(decisions: Decisions, tenant: Tenant, key: IssuedKey, calls: int) -> int:
    """How many of so many calls were allowed."""
    verdicts = [decisions.decide(tenant, key.secret).verdict for _ in range(calls)]
    return verdicts.count(Verdict.ALLOWED)


# --- what they do -------------------------------------------------------------------------------------------------
def test_a_grant_admits_exactly_so_many_more(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    assert _spend(decisions, alice, key, 7) == 5
    assert grant(key.api_key, 3) == Adjusted(amount=-3, net=2, granted=3)
    assert _spend(decisions, alice, key, 7) == 3
    assert check_ledger().differences == []


def test_a_grant_before_any_use_is_not_lost(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 3)
    assert _spend(decisions, alice, key, 12) == 8
    assert check_ledger().differences == []


def test_a_reset_lets_the_window_begin_again(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    _spend(decisions, alice, key, 5)
    assert reset(key.api_key) == Adjusted(amount=-5, net=0, granted=0)
    assert _spend(decisions, alice, key, 9) == 5
    assert check_ledger().differences == []


def test_what_was_granted_outlives_a_reset(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 2)
    _spend(decisions, alice, key, 7)
    assert reset(key.api_key) == Adjusted(amount=-7, net=-2, granted=2)
    assert _spend(decisions, alice, key, 9) == 7
    assert check_ledger().differences == []


def test_a_key_without_a_plan_of_its_own_is_counted_with_its_user(alice: Tenant, decisions: Decisions) -> None:
    user = alice.user(alice.plan(2))
    keys = [alice.key(user=user), alice.key(user=user)]
    grant(keys[0].api_key, 2)
    assert _spend(decisions, alice, keys[1], 5) == 4
    assert standing(user).spent == 4


def test_a_limit_that_is_changed_leaves_the_grant_in_force(api: ApiClient, alice: Tenant, decisions: Decisions) -> None:
    plan = alice.plan(5)
    key = alice.key(plan=plan)
    grant(key.api_key, 3)
    _spend(decisions, alice, key, 8)
    api.put(f"/v1/plans/{plan.public_id}", of=alice, json={"max_requests": 6})
    assert _spend(decisions, alice, key, 5) == 1


def test_the_next_window_begins_without_what_was_granted(
    alice: Tenant, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = timezone.now() - timedelta(days=1) + timedelta(seconds=1.5)
    user = alice.user(alice.plan(2, "day"), custom_start=start)
    key = alice.key(user=user)
    before = wish(user, AdjustmentKind.GRANT, 5)
    adjust(user, before, by=BY, stream_max=1000)
    ends = before.window.end
    assert _spend(decisions, alice, key, 3) == 3
    while timezone.now() <= ends:
        pass
    assert _spend(decisions, alice, key, 3) == 2
    assert standing(user).granted == 0
    assert check_ledger().differences == []


# --- what is refused ----------------------------------------------------------------------------------------------
def test_a_closed_window_is_not_adjusted(alice: Tenant, stores: StoreRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Redis's clock, even where ours has not noticed."""
    key = alice.key(plan=alice.plan(5, "day"))
    past = datetime(2026, 1, 5, 12, tzinfo=UTC)
    monkeypatch.setattr(adjusting, "redis_now", lambda: past)
    quota = adjusting.quota_of(key.api_key, now=past)
    late = wish(key.api_key, AdjustmentKind.GRANT, 5, subject=quota.subject, window=quota.window)
    with pytest.raises(NotAdjusted, match="has ended"):
        adjust(key.api_key, late, by=BY, stream_max=1000)
    monkeypatch.undo()
    with pytest.raises(NotAdjusted, match="has ended"):
        adjust(key.api_key, late, by=BY, stream_max=1000)
    assert stores.keys("*:c:*") == []


@pytest.mark.parametrize(
    ("kind", "other", "sentence"),
    [
        (AdjustmentKind.RESET, {}, "nothing to reset"),
        (AdjustmentKind.GRANT, {"units": 0}, "Grant 1 to"),
        (AdjustmentKind.GRANT, {"units": -4}, "Grant 1 to"),
        (AdjustmentKind.GRANT, {"units": 9_000_000_000_001}, "Grant 1 to"),
        (AdjustmentKind.GRANT, {"units": 4, "reason": ""}, "reason"),
        (AdjustmentKind.GRANT, {"units": 4, "reason": "a\0b"}, "reason"),
        (AdjustmentKind.GRANT, {"units": 4, "reason": "x" * 501}, "reason"),
    ],
)
def test_a_wish_that_makes_no_sense_changes_nothing(
    stores: StoreRedis, alice: Tenant, kind: AdjustmentKind, other: dict[str, Any], sentence: str
) -> None:
    key = alice.key(plan=alice.plan(5))
    with pytest.raises(NotAdjusted, match=sentence):
        adjust(key.api_key, wish(key.api_key, kind, **other), by=BY, stream_max=1000)
    assert (stores.keys("*:c:*"), stores.keys("*:events")) == ([], [])
    assert not AuditEntry.objects.filter(action__contains="granted").exists()


def test_grants_together_stay_within_what_can_be_counted(alice: Tenant, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 9_000_000_000_000)
    with pytest.raises(NotAdjusted, match="No more than"):
        grant(key.api_key, 1)
    assert standing(key.api_key).granted == 9_000_000_000_000
    assert check_ledger().differences == []


def test_what_has_no_limit_is_not_adjusted(alice: Tenant) -> None:
    for key in (alice.key(), alice.key(plan=alice.plan(-1))):
        with pytest.raises(NotAdjusted, match="Nothing limits it"):
            grant(key.api_key, 1)


def test_the_window_that_was_looked_at_must_still_be_the_one_that_counts(alice: Tenant) -> None:
    key = alice.key(user=alice.user(alice.plan(5)))
    looked_at = wish(key.api_key, AdjustmentKind.GRANT, 5)
    key.api_key.plan = alice.plan(9)
    with pytest.raises(NotAdjusted, match="another window counts"):
        adjust(key.api_key, looked_at, by=BY, stream_max=1000)


def test_a_full_stream_adjusts_nothing(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    _spend(decisions, alice, key, 2)
    with pytest.raises(NotAdjusted, match="full"):
        adjust(key.api_key, wish(key.api_key, AdjustmentKind.GRANT, 5), by=BY, stream_max=2)
    assert standing(key.api_key).granted == 0


# --- once, whatever happens ---------------------------------------------------------------------------------------
def test_a_double_click_adjusts_once(alice: Tenant, decisions: Decisions) -> None:
    key, request = alice.key(plan=alice.plan(5)), uuid4()
    first, second = (grant(key.api_key, 3, request_id=request) for _ in range(2))
    assert (first.is_repeat, second.is_repeat) == (False, True)
    assert second.amount == -3
    drain_all(for_s=5)
    assert Adjustment.objects.count() == AuditEntry.objects.filter(action="API key granted extra units").count() == 1
    assert _spend(decisions, alice, key, 12) == 8


def test_a_repeat_after_redis_lost_everything_adjusts_once(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    key, request = alice.key(plan=alice.plan(5)), uuid4()
    grant(key.api_key, 3, request_id=request)
    drain_all(for_s=5)
    stores.flushdb()
    assert grant(key.api_key, 3, request_id=request) == Adjusted(-3, -3, 3, is_repeat=True)
    assert _spend(decisions, alice, key, 12) == 8
    assert check_ledger().differences == []


def test_an_answer_that_was_lost_is_said_and_the_wish_can_be_repeated(
    alice: Tenant, stores: StoreRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, request = alice.key(plan=alice.plan(5)), uuid4()
    grant(key.api_key, 1)
    sent = type(stores).eval

    def lose_the_answer(self: Any, script: str, *words: Any) -> Any:
        answer = sent(self, script, *words)
        if script == adjusting.SCRIPT and answer[0] == "ADJUSTED":
            raise RedisTimeoutError("no answer")
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(type(stores), "eval", lose_the_answer)
        with pytest.raises(PerhapsAdjusted):
            grant(key.api_key, 3, request_id=request)
    assert AuditEntry.objects.filter(action="API key grant not confirmed").count() == 1
    assert grant(key.api_key, 3, request_id=request).is_repeat
    assert standing(key.api_key).granted == 4
    assert AuditEntry.objects.filter(after__request=str(request)).count() == 2


def test_what_redis_refuses_was_not_done(alice: Tenant, stores: StoreRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    key = alice.key(plan=alice.plan(5))

    def refuse(*_: object) -> None:
        raise ResponseError("OOM command not allowed")

    monkeypatch.setattr(type(stores), "eval", refuse)
    with pytest.raises(NotAdjusted, match="nothing was adjusted: OOM"):
        grant(key.api_key, 3)


# --- the ledger ---------------------------------------------------------------------------------------------------
def test_the_ledger_tells_who_why_when_and_which_window(alice: Tenant, decisions: Decisions) -> None:
    plan = alice.plan(5)
    user = alice.user(plan)
    _spend(decisions, alice, alice.key(user=user), 2)
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
    _spend(decisions, alice, key, 2)
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
    _spend(decisions, alice, key, 5)
    grant(key.api_key, 3)
    if is_drained:
        drain_all(for_s=5)
    stores.flushdb()
    assert standing(key.api_key).granted == (3 if is_drained else 0)
    grant(key.api_key, 1)
    assert standing(key.api_key).granted == (4 if is_drained else 1)
    assert _spend(decisions, alice, key, 12) == (4 if is_drained else 6)
    assert check_ledger().differences == []


def test_a_former_lifes_grant_is_not_taken_for_this_ones(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    """The counter is still there, of a life that the ledger has left behind."""
    key = alice.key(plan=alice.plan(5))
    _spend(decisions, alice, key, 5)
    drain_all(for_s=5)
    grant(key.api_key, 3)
    head, events = head_name(Bucket(alice.account.bucket)), stream_name(Bucket(alice.account.bucket))
    stores.delete(head, events)
    assert standing(key.api_key).granted == 0
    assert _spend(decisions, alice, key, 4) == 0
    assert grant(key.api_key, 2) == Adjusted(-2, 3, 2)
    assert _spend(decisions, alice, key, 4) == 2
    assert check_ledger().differences == []


def test_a_bucket_that_was_never_opened_is_opened(alice: Tenant, decisions: Decisions, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(5))
    assert stores.keys("*") == []
    grant(key.api_key, 3)
    assert _spend(decisions, alice, key, 9) == 8


def test_rebuilding_loses_no_adjustment(alice: Tenant, decisions: Decisions) -> None:
    user = alice.user(alice.plan(5, "day"))
    _spend(decisions, alice, alice.key(user=user), 5)
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
    _spend(decisions, alice, key, 1)
    grant(key.api_key, 3)
    drain_all(for_s=5)
    hour = UsageHour.objects.get()
    assert (hour.units_allowed, hour.units_adjusted, hour.calls_allowed) == (1, 0, 1)


def test_an_adjustment_that_cannot_be_filed_goes_to_dead_events(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    key = alice.key(plan=alice.plan(5))
    _spend(decisions, alice, key, 1)
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


# --- what others see ----------------------------------------------------------------------------------------------
def test_use_is_never_shown_below_zero_and_what_remains_is_true(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(5))
    key = alice.key(user=user)
    grant(user, 3)
    of_key = api.get(f"/v1/keys/{key.api_key.public_id}/usage", of=alice).json()["data"]
    of_user = api.get(f"/v1/users/{user.pk}/usage", of=alice).json()["data"]
    answer = api.validate(alice, key.secret)
    details = answer.json()["details"]
    assert (of_key["current_usage"], of_key["limit"], of_key["remaining"]) == (0, 5, 8)
    assert (of_user["current_usage"], of_user["percentage_used"]) == (0, 0.0)
    assert (details["current_usage"], details["limit"], details["remaining"]) == (0, 5, 7)
    assert answer.headers["X-RateLimit-Remaining"] == "7"
    assert "r=7;" in answer.headers["RateLimit"]


def test_a_plans_total_is_what_its_users_spent(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(5)
    granted, other = alice.user(plan), alice.user(plan)
    grant(granted, 1000)
    api.validate(alice, alice.key(user=other).secret)
    for _ in range(2):
        told = api.get(f"/v1/plans/{plan.public_id}/usage", of=alice).json()["data"]
        assert (told["total_users"], told["total_requests"]) == (2, 1)
        drain_all(for_s=5)


def test_histories_tell_of_calls_alone(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(5))
    api.validate(alice, alice.key(user=user).secret)
    grant(user, 3)
    for _ in range(2):
        assert api.get(f"/v1/users/{user.pk}/requests", of=alice).json()["count"] == 1
        drain_all(for_s=5)


def test_the_position_moves_past_an_adjustment(alice: Tenant, stores: StoreRedis) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 3)
    ((stream_id, _),) = stores.xrange(stream_name(Bucket(alice.account.bucket)))
    drain_all(for_s=5)
    assert StreamPosition.objects.get(bucket=alice.account.bucket).last_id == stream_id
    assert stores.xlen(stream_name(Bucket(alice.account.bucket))) == 0
