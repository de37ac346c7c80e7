"""Plans edited and users moved in bulk: who would be refused is said first, and what is done can be gone on with."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from keys import overrun
from keys.desk import move
from keys.invalidation import NotYetInForce
from keys.ledger.drain import drain_all
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from keys.overrun import Overrun, overrun_of_plan, overrun_of_users
from plans import services as plans
from plans.models import Plan, Subscription
from plans.windows import Period
from tests.cast import BY, IssuedKey, Tenant
from tests.conftest import ApiClient
from tests.keys.adjustments import grant
from tests.keys.test_commands import run, run_json
from tests.queries import counting_queries

SPACE = "\N{NARROW NO-BREAK SPACE}"


def _text(answer: Any) -> str:
    return unescape(answer.content.decode()).replace(SPACE, " ")


def _spender(api: ApiClient, tenant: Tenant, plan: Plan, units: int) -> User:
    """A user on the plan that has spent so many units by two keys, the last one's one unit apart."""
    user = tenant.user(plan)
    for cost in (units - 1, 1):
        _call(api, tenant, tenant.key(user=user), cost)
    return user


def _call(api: ApiClient, tenant: Tenant, key: IssuedKey, cost: int) -> None:
    assert api.validate(tenant, key.secret, cost=cost).json()["success"]


# --- whom a limit refuses -----------------------------------------------------------------------------------------
def test_a_users_keys_are_summed_and_grants_count(api: ApiClient, alice: Tenant, bob: Tenant) -> None:
    plan = alice.plan(100)
    first, second, granted, _below = (_spender(api, alice, plan, units) for units in (50, 60, 55, 49))
    grant(granted, 10)
    own = alice.key(plan=plan)
    _call(api, alice, own, 70)
    _spender(api, alice, alice.plan(100, name="Other"), 90)
    _spender(api, bob, bob.plan(100), 90)
    drain_all(for_s=5)
    found = overrun_of_plan(plan, limit=50, period=Period.MONTH, now=redis_now())
    assert (found.count, found.is_whole) == (3, True)
    assert [(over.of, over.used) for over in found.first] == [(own.api_key, 70), (second, 60), (first, 50)]
    assert overrun_of_plan(plan, limit=-1, period=Period.MONTH, now=redis_now()) == Overrun(0, [])
    assert overrun_of_plan(plan, limit=50, period=Period.YEAR, now=redis_now()).count == 0
    users = User.objects.filter(pk__in=[first.pk, second.pk, granted.pk])
    assert overrun_of_users(users, limit=55, period=Period.MONTH, now=redis_now()).count == 1
    assert overrun_of_users([], limit=55, period=Period.MONTH, now=redis_now()) == Overrun(0, [])


def test_windows_from_an_anchor_are_seen(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(100)
    user = alice.user(plan, custom_start=timezone.now() - timedelta(days=40))
    _call(api, alice, alice.key(user=user), 60)
    drain_all(for_s=5)
    (over,) = overrun_of_plan(plan, limit=60, period=Period.MONTH, now=redis_now()).first
    assert (over.of, over.used, over.window.start > timezone.now() - timedelta(days=31)) == (user, 60, True)


def test_what_was_not_seen_is_said(api: ApiClient, alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = alice.plan(100)
    for units in (50, 60, 70):
        _spender(api, alice, plan, units)
    drain_all(for_s=5)
    monkeypatch.setattr(overrun, "LOOKED_AT", 2)
    found = overrun_of_plan(plan, limit=10, period=Period.MONTH, now=redis_now())
    assert (found.count, found.is_whole) == (2, False)


def test_looking_costs_the_same_however_many_there_are(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(100)

    def cost() -> int:
        drain_all(for_s=5)
        with counting_queries() as queries:
            overrun_of_plan(plan, limit=10, period=Period.MONTH, now=redis_now())
        return len(queries)

    _spender(api, alice, plan, 50)
    few = cost()
    for _ in range(4):
        _spender(api, alice, plan, 50)
    assert cost() == few <= 9


# --- a plan is edited ---------------------------------------------------------------------------------------------
def _typed(plan: Plan, **other: Any) -> dict[str, Any]:
    return {
        "name": plan.name, "description": "", "max_requests": plan.max_requests, "request_period": plan.request_period,
        "is_active": "on",
    } | other  # fmt: skip


def test_a_lower_limit_is_previewed_and_saved_once_confirmed(api: ApiClient, desk: Client, alice: Tenant) -> None:
    plan = alice.plan(100)
    _spender(api, alice, plan, 60)
    _spender(api, alice, plan, 20)
    drain_all(for_s=5)
    page = reverse("admin:plans_plan_change", args=[plan.pk])
    asked = desk.post(page, _typed(plan, max_requests=50, name="Silver"))
    said = _text(asked)
    assert "100 a month → 50 a month" in said
    assert "the plan of 2 users" in said
    assert "1 of them has used that much already" in said
    assert "60 of 50 used: blocked until" in said
    plan.refresh_from_db()
    assert (plan.max_requests, plan.name) == (100, "Gold")
    assert desk.post(page, dict(asked.context["typed"])).status_code == 302
    plan.refresh_from_db()
    assert (plan.max_requests, plan.name, plan.is_active) == (50, "Silver", True)


def test_another_period_is_previewed(desk: Client, alice: Tenant) -> None:
    plan = alice.plan(100)
    alice.user(plan)
    asked = _text(desk.post(reverse("admin:plans_plan_change", args=[plan.pk]), _typed(plan, request_period="day")))
    assert "Windows of another length begin" in asked
    assert "nobody is refused at once" in asked


@pytest.mark.parametrize("other", [{"max_requests": 101}, {"max_requests": -1}, {"name": "Silver"}])
def test_what_refuses_nobody_is_saved_at_once(desk: Client, alice: Tenant, other: dict[str, Any]) -> None:
    plan = alice.plan(100)
    alice.user(plan)
    assert desk.post(reverse("admin:plans_plan_change", args=[plan.pk]), _typed(plan, **other)).status_code == 302
    assert AuditEntry.objects.filter(action="plan changed").count() == 1


def test_a_plan_that_nobody_holds_is_saved_at_once(desk: Client, alice: Tenant) -> None:
    plan = alice.plan(100)
    page = reverse("admin:plans_plan_change", args=[plan.pk])
    assert desk.post(page, _typed(plan, max_requests=5)).status_code == 302


def test_a_form_with_a_fault_is_shown_again_as_ever(desk: Client, alice: Tenant) -> None:
    plan = alice.plan(100)
    answer = desk.post(reverse("admin:plans_plan_change", args=[plan.pk]), _typed(plan, max_requests=5, name=""))
    assert answer.context["errors"]


# --- users are moved ----------------------------------------------------------------------------------------------
def _go_through(desk: Client, answer: Any, whom: dict[str, Any], target: Plan) -> tuple[int, Any]:
    """How many steps it took, and the last page."""
    steps = 0
    while "data-limitly-continue" in _text(answer):
        steps += 1
        moved = {name: answer.context[name] for name in ("moved", "reason")} | {"target": target.pk}
        answer = desk.post(reverse("desk:move"), {**whom, **moved}, follow=True)
    return steps, answer


def test_a_preview_says_what_was_granted_as_the_pages_do(api: ApiClient, desk: Client, alice: Tenant) -> None:
    gold, copper = alice.plan(100), alice.plan(50, name="Copper")
    user = alice.user(gold)
    grant(user, 30)
    _call(api, alice, alice.key(user=user), 90)
    drain_all(for_s=5)
    for whom in ({"source": gold.pk}, {"users": user.pk}):
        assert "90 of 80 used: blocked until" in _text(desk.get(reverse("desk:move"), whom | {"target": copper.pk}))
    one = desk.get(reverse("desk:change_plan", args=["user", user.pk]), {"plan": copper.pk})
    assert "90 of 80 used: blocked until" in _text(one)


def test_a_plans_users_are_moved_step_by_step(
    api: ApiClient, desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "STEP", 2)
    gold, copper = alice.plan(100), alice.plan(50, name="Copper")
    for units in (60, 20, 10, 5, 5):
        _spender(api, alice, gold, units)
    gone = alice.user(gold)
    User.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())
    drain_all(for_s=5)
    whom = {"source": gold.pk}
    assert reverse("desk:move") in _text(desk.get(reverse("admin:plans_plan_change", args=[gold.pk])))
    said = _text(desk.get(reverse("desk:move"), {**whom, "target": copper.pk}))
    assert "5 users → Copper (50 a month)" in said
    assert "1 of them has used that much already" in said
    assert Subscription.objects.filter(plan=copper).count() == 0
    first = desk.post(reverse("desk:move"), {**whom, "target": copper.pk, "moved": "0", "reason": "Gold is gone"})
    assert "2 users moved to Copper, 3 users left." in _text(first)
    steps, last = _go_through(desk, first, whom, copper)
    assert steps == 3
    assert "5 users moved to Copper. All of them are there." in _text(last)
    assert Subscription.objects.filter(plan=copper).count() == 5
    entries = AuditEntry.objects.filter(action="subscription changed", actor_name="sam")
    assert [entry.reason for entry in entries] == ["Gold is gone"] * 5


def test_chosen_users_are_moved_whatever_plan_they_had(desk: Client, alice: Tenant) -> None:
    users, copper = [alice.user(), alice.user(alice.plan(9)), alice.user()], alice.plan(50, name="Copper")
    action = {"action": "move_to_plan", "_selected_action": [user.pk for user in users[:2]]}
    page = desk.post(reverse("admin:accounts_user_changelist"), action, follow=True)
    assert "2 chosen users" in _text(page)
    whom = page.context["moving"].query
    first = desk.post(reverse("desk:move"), {**whom, "target": copper.pk})
    assert "2 users moved to Copper, 0 users left." in _text(first)
    steps, last = _go_through(desk, first, whom, copper)
    assert steps == 1
    assert "2 users moved to Copper." in _text(last)
    assert set(Subscription.objects.filter(plan=copper).values_list("user_id", flat=True)) == {
        user.pk for user in users[:2]
    }


def test_users_of_two_accounts_are_not_moved_together(desk: Client, alice: Tenant, bob: Tenant) -> None:
    users = f"{alice.user().pk},{bob.user().pk}"
    assert "Choose users of one account" in _text(desk.get(reverse("desk:move"), {"users": users}, follow=True))


def test_too_many_are_not_chosen_one_by_one(desk: Client, alice: Tenant) -> None:
    users = ",".join(str(number) for number in range(501))
    assert "Choose at most 500 users" in _text(desk.get(reverse("desk:move"), {"users": users}, follow=True))


def test_a_move_to_another_accounts_plan_moves_nobody(desk: Client, alice: Tenant, bob: Tenant) -> None:
    gold, foreign = alice.plan(100), bob.plan(5)
    user = alice.user(gold)
    desk.post(reverse("desk:move"), {"source": gold.pk, "target": foreign.pk})
    assert Subscription.objects.get(user=user).plan == gold


@pytest.mark.parametrize("whom", [{}, {"users": "999"}, {"users": "x"}, {"source": "999"}])
def test_who_chose_nobody_is_led_to_where_to_choose(desk: Client, alice: Tenant, whom: dict[str, str]) -> None:
    page = desk.get(reverse("desk:move"), whom, follow=True)
    assert "Choose here whom to move" in _text(page)
    assert page.redirect_chain == [(reverse("admin:accounts_user_changelist"), 302)]


def test_who_left_meanwhile_stays_where_it_is(alice: Tenant) -> None:
    gold, copper, iron = alice.plan(9), alice.plan(5, name="Copper"), alice.plan(4, name="Iron")
    users = [alice.user(gold) for _ in range(3)]
    plans.subscribe(users[1], by=BY, plan=iron)
    assert plans.move_users(users, by=BY, source=gold, target=copper) == 2
    assert Subscription.objects.get(user=users[1]).plan == iron
    assert plans.move_users(users, by=BY, source=gold, target=copper) == 0


def test_a_step_that_fails_halfway_can_be_gone_on_with(
    desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold, copper = alice.plan(9), alice.plan(5, name="Copper")
    for _ in range(3):
        alice.user(gold)

    def fail_after_one(users: list[User], **given: Any) -> int:
        plans.move_users(users[:1], **given)
        raise NotYetInForce

    monkeypatch.setattr(move, "move_users", fail_after_one)
    page = desk.post(reverse("desk:move"), {"source": gold.pk, "target": copper.pk}, follow=True)
    assert "Redis does not answer" in _text(page)
    assert "2 users → Copper" in _text(page)


# --- the command --------------------------------------------------------------------------------------------------
def test_the_command_moves_a_plans_users(api: ApiClient, alice: Tenant) -> None:
    gold, copper = alice.plan(100), alice.plan(50, name="Copper")
    _spender(api, alice, gold, 60)
    alice.user(gold)
    drain_all(for_s=5)
    words = ("move_users", "--from", gold.public_id, "--to", copper.public_id)
    told = {"users": 2, "moved": 0, "over_limit": 1, "over_limit_is_whole": True}
    assert run_json(*words, "--dry-run") == told
    assert run_json(*words, "--reason", "Gold is gone") == told | {"moved": 2}
    assert run(*words) == "0 of 0 users moved to Copper; 0 of them have used its limit.\n"
    assert AuditEntry.objects.filter(actor_name="move_users", reason="Gold is gone").count() == 2


def test_the_command_says_what_it_cannot_do(alice: Tenant, bob: Tenant) -> None:
    gold, foreign = alice.plan(9), bob.plan(9)
    for source, target in ((gold.public_id, "plan_0"), (gold.public_id, foreign.public_id), (gold.public_id,) * 2):
        with pytest.raises(CommandError, match=r"[.]$"):
            run("move_users", "--from", source, "--to", target)


def test_keys_with_a_plan_of_their_own_keep_it(alice: Tenant) -> None:
    gold, copper = alice.plan(9), alice.plan(5, name="Copper")
    user = alice.user(gold)
    own = alice.key(user=user, plan=gold)
    plans.move_users([user], by=BY, source=gold, target=copper)
    assert ApiKey.objects.get(pk=own.api_key.pk).plan == gold
