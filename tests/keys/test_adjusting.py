"""Windows are reset and extra units granted by events with an amount: nothing else changes a counter (DESIGN 5a)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from accounts.models import AuditEntry
from keys import adjusting
from keys.adjusting import Adjusted, NotAdjusted, PerhapsAdjusted, adjust
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all
from keys.models import Adjustment, AdjustmentKind
from keys.quotas import quota_of
from tests.cast import BY, Tenant
from tests.conftest import ApiClient, Decisions
from tests.keys.adjustments import grant, reset, spend, standing, wish
from tests.store_redis import StoreRedis


# --- what they do -------------------------------------------------------------------------------------------------
def test_a_grant_admits_exactly_so_many_more(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    assert spend(decisions, alice, key, 7) == 5
    assert grant(key.api_key, 3) == Adjusted(amount=-3, net=2, granted=3)
    assert spend(decisions, alice, key, 7) == 3
    assert check_ledger().differences == []


def test_a_grant_before_any_use_is_not_lost(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 3)
    assert spend(decisions, alice, key, 12) == 8
    assert check_ledger().differences == []


def test_a_reset_lets_the_window_begin_again(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    spend(decisions, alice, key, 5)
    assert reset(key.api_key) == Adjusted(amount=-5, net=0, granted=0)
    assert spend(decisions, alice, key, 9) == 5
    assert check_ledger().differences == []


def test_what_was_granted_outlives_a_reset(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 2)
    spend(decisions, alice, key, 7)
    assert reset(key.api_key) == Adjusted(amount=-7, net=-2, granted=2)
    assert spend(decisions, alice, key, 9) == 7
    assert check_ledger().differences == []


def test_a_key_without_a_plan_of_its_own_is_counted_with_its_user(alice: Tenant, decisions: Decisions) -> None:
    user = alice.user(alice.plan(2))
    keys = [alice.key(user=user), alice.key(user=user)]
    grant(keys[0].api_key, 2)
    assert spend(decisions, alice, keys[1], 5) == 4
    assert standing(user).spent == 4


def test_a_limit_that_is_changed_leaves_the_grant_in_force(api: ApiClient, alice: Tenant, decisions: Decisions) -> None:
    plan = alice.plan(5)
    key = alice.key(plan=plan)
    grant(key.api_key, 3)
    spend(decisions, alice, key, 8)
    api.put(f"/v1/plans/{plan.public_id}", of=alice, json={"max_requests": 6})
    assert spend(decisions, alice, key, 5) == 1


def test_the_next_window_begins_without_what_was_granted(
    alice: Tenant, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = timezone.now() - timedelta(days=1) + timedelta(seconds=1.5)
    user = alice.user(alice.plan(2, "day"), custom_start=start)
    key = alice.key(user=user)
    before = wish(user, AdjustmentKind.GRANT, 5)
    adjust(user, before, by=BY, stream_max=1000)
    ends = before.window.end
    assert spend(decisions, alice, key, 3) == 3
    while timezone.now() <= ends:
        pass
    assert spend(decisions, alice, key, 3) == 2
    assert standing(user).granted == 0
    assert check_ledger().differences == []


# --- what is refused ----------------------------------------------------------------------------------------------
def test_a_closed_window_is_not_adjusted(alice: Tenant, stores: StoreRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Redis's clock, even where ours has not noticed."""
    key = alice.key(plan=alice.plan(5, "day"))
    past = datetime(2026, 1, 5, 12, tzinfo=UTC)
    monkeypatch.setattr(adjusting, "redis_now", lambda: past)
    quota = quota_of(key.api_key, now=past)
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
        (AdjustmentKind.TAKE, {"units": 4}, "nothing to take back"),
        (AdjustmentKind.TAKE, {"units": 0}, "Take back 1 to"),
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
    spend(decisions, alice, key, 2)
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
    assert spend(decisions, alice, key, 12) == 8


def test_a_repeat_after_redis_lost_everything_adjusts_once(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    key, request = alice.key(plan=alice.plan(5)), uuid4()
    grant(key.api_key, 3, request_id=request)
    drain_all(for_s=5)
    stores.flushdb()
    assert grant(key.api_key, 3, request_id=request) == Adjusted(-3, -3, 3, is_repeat=True)
    assert spend(decisions, alice, key, 12) == 8
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
