"""What is left of a grant is taken back, never what was spent of it; previewed, exact, once."""

from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from keys.adjusting import Adjusted, NotAdjusted
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all
from keys.models import Adjustment
from tests.cast import Tenant
from tests.conftest import Decisions
from tests.keys.adjustments import grant, reset, spend, standing, take
from tests.keys.test_commands import run_json
from tests.store_redis import StoreRedis


def test_all_of_a_grant_is_taken_back_where_nothing_was_spent_of_it(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 3)
    assert spend(decisions, alice, key, 4) == 4
    assert take(key.api_key) == Adjusted(amount=3, net=4, granted=0)
    assert spend(decisions, alice, key, 4) == 1
    assert check_ledger().differences == []


def test_what_was_spent_of_a_grant_stays_spent(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 10)
    spend(decisions, alice, key, 9)
    assert standing(key.api_key).left_of_grants == 6
    assert take(key.api_key) == Adjusted(amount=6, net=5, granted=4)
    assert (standing(key.api_key).spent, standing(key.api_key).allowance) == (9, 9)
    assert spend(decisions, alice, key, 3) == 0
    assert check_ledger().differences == []


def test_no_more_is_taken_back_than_was_asked_for(alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 10)
    assert take(key.api_key, 4) == Adjusted(amount=4, net=-6, granted=6)


def test_of_a_grant_that_is_spent_nothing_is_left(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key(plan=alice.plan(2))
    grant(key.api_key, 2)
    spend(decisions, alice, key, 4)
    assert standing(key.api_key).left_of_grants == 0
    with pytest.raises(NotAdjusted, match="nothing to take back"):
        take(key.api_key)


def test_a_wish_that_is_sent_twice_takes_once(alice: Tenant) -> None:
    key, request = alice.key(plan=alice.plan(5)), uuid4()
    grant(key.api_key, 10)
    first, second = (take(key.api_key, 4, request_id=request) for _ in range(2))
    assert (first.amount, second.amount, second.is_repeat) == (4, 4, True)
    assert standing(key.api_key).granted == 6


@pytest.mark.parametrize("is_lost", [False, True])
def test_the_ledger_knows_what_is_left(alice: Tenant, stores: StoreRedis, decisions: Decisions, is_lost: bool) -> None:
    """Also where Redis lost its counters, and a reset lies between."""
    user = alice.user(alice.plan(5))
    key = alice.key(user=user)
    grant(user, 10)
    spend(decisions, alice, key, 7)
    take(user, 2)
    reset(user)
    drain_all(for_s=5)
    if is_lost:
        stores.delete(*stores.keys("*:c:*"))
    assert (standing(user).spent, standing(user).granted) == (0, 8)
    assert take(user) == Adjusted(amount=8, net=0, granted=0)
    assert check_ledger().differences == []


@pytest.mark.parametrize(("kind", "amount"), [("take", -1), ("take", 0), ("grant", 1), ("reset", 0), ("gift", -1)])
def test_an_adjustment_of_the_wrong_sign_is_refused_by_the_database(alice: Tenant, kind: str, amount: int) -> None:
    key = alice.key(plan=alice.plan(5))
    grant(key.api_key, 1)
    drain_all(for_s=5)
    with pytest.raises(IntegrityError), transaction.atomic():
        Adjustment.objects.update(kind=kind, amount=amount)


# --- at the desk --------------------------------------------------------------------------------------------------
def _page(user: User) -> str:
    return reverse("desk:adjust", args=["user", user.pk])


def _text(answer: Any) -> str:
    return unescape(answer.content.decode()).replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_staff_take_back_what_is_left_after_a_preview(desk: Client, alice: Tenant, decisions: Decisions) -> None:
    user = alice.user(alice.plan(5))
    key = alice.key(user=user)
    grant(user, 10)
    spend(decisions, alice, key, 7)
    assert "8 of the units that were granted are not used." in _text(desk.get(_page(user)))
    preview = desk.post(_page(user), {"preview": "take", "take-reason": "Granted to the wrong one"})
    assert "Take back 8 granted units for this window" in _text(preview)
    assert "7 of 15 used: 8 left until" in _text(preview)
    assert "7 of 7 used: blocked until" in _text(preview)
    spend(decisions, alice, key, 1)  # meanwhile
    done = desk.post(_page(user), {"confirm": "1", **preview.context["wish"]}, follow=True)
    assert "7 granted units taken back." in _text(done)
    assert "8 of 8 used: blocked until" in _text(done)
    assert "Take back what is left" not in _text(done)
    entry = AuditEntry.objects.get(action="user had granted units taken back")
    assert (entry.actor_name, entry.after["amount"], entry.reason) == ("sam", 7, "Granted to the wrong one")


def test_where_nothing_is_left_nothing_is_offered(desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(5))
    assert "Take back what is left" not in _text(desk.get(_page(user)))
    answer = desk.post(_page(user), {"preview": "take", "take-reason": "x"})
    assert answer.templates[0].name == "desk/adjust_quota.html"


def test_the_command_takes_back_all_that_is_left(alice: Tenant) -> None:
    user = alice.user(alice.plan(5))
    grant(user, 10)
    words = ("adjust_quota", "take", "--user", str(user.pk), "--reason", "x")
    assert run_json(*words, "--units", "3")["amount"] == 3
    told = run_json(*words)
    assert (told["amount"], told["granted"], told["limit"]) == (7, 0, 5)
