"""Quota work at the desk: granting, resetting and changing plans, each previewed, confirmed and on record."""

from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from redis.exceptions import TimeoutError as RedisTimeoutError

from accounts.models import AuditEntry, User
from keys.ledger.drain import drain_all
from keys.models import Adjustment, ApiKey
from plans.models import Subscription
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.keys.adjustments import grant, standing
from tests.queries import counting_queries
from tests.store_redis import StoreRedis

SPACE = "\N{NARROW NO-BREAK SPACE}"


def _page(of: ApiKey | User, name: str = "adjust") -> str:
    return reverse(f"desk:{name}", args=["key" if isinstance(of, ApiKey) else "user", of.pk])


def _text(answer: Any) -> str:
    return unescape(answer.content.decode()).replace(SPACE, " ")


def _preview(desk: Client, of: ApiKey | User, kind: str, **given: Any) -> Any:
    fields = {f"{kind}-{name}": value for name, value in given.items()}
    return desk.post(_page(of), {"preview": kind, **fields})


def _confirm(desk: Client, of: ApiKey | User, preview: Any) -> Any:
    return desk.post(_page(of), {"confirm": "1", **preview.context["wish"]}, follow=True)


# --- adjusting ----------------------------------------------------------------------------------------------------
def test_extra_units_are_granted_after_a_preview(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(2))
    key = alice.key(user=user)
    for _ in range(3):
        api.validate(alice, key.secret)
    assert "2 of 2 used: blocked until" in _text(desk.get(_page(user)))
    preview = _preview(desk, user, "grant", units="3000", reason="A launch")
    assert "2 of 3 002 used: 3 000 left until" in _text(preview)
    assert not api.validate(alice, key.secret).json()["success"]
    page = _text(_confirm(desk, user, preview))
    assert "3 000 extra units granted." in page
    assert "2 of 3 002 used" in page
    assert "A launch" in page
    assert api.validate(alice, key.secret).json()["success"]
    entry = AuditEntry.objects.get(action="user granted extra units")
    assert (entry.actor_name, entry.reason, entry.after["amount"]) == ("sam", "A launch", -3000)


def test_a_window_is_reset_after_a_preview(api: ApiClient, desk: Client, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(1))
    api.validate(alice, key.secret)
    preview = _preview(desk, key.api_key, "reset", reason="Our bug")
    assert "0 of 1 used: 1 left until" in _text(preview)
    assert "1 used units taken back." in _text(_confirm(desk, key.api_key, preview))
    assert api.validate(alice, key.secret).json()["success"]
    drain_all(for_s=5)
    row = Adjustment.objects.get()
    assert (row.kind, row.amount, row.actor_name, row.actor_kind, row.reason) == (
        "reset",
        -1,
        "sam",
        "staff",
        "Our bug",
    )


def test_a_confirmation_sent_twice_adjusts_once(desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(2))
    preview = _preview(desk, user, "grant", units="5", reason="A launch")
    first, second = (_text(_confirm(desk, user, preview)) for _ in range(2))
    assert "This was done before, once" not in first
    assert "This was done before, once: 5 extra units granted." in second
    assert standing(user).granted == 5


def test_a_lost_answer_is_told_as_it_is(
    desk: Client, alice: Tenant, stores: StoreRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = alice.user(alice.plan(2))
    grant(user, 1)
    preview = _preview(desk, user, "grant", units="5", reason="A launch")
    sent = type(stores).eval

    def lose_the_answer(self: Any, script: str, *words: Any) -> Any:
        sent(self, script, *words)
        raise RedisTimeoutError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(type(stores), "eval", lose_the_answer)
        lost = _confirm(desk, user, preview)
    assert "it may or may not have been adjusted" in _text(lost)
    again = desk.post(_page(user), {**lost.context["wish"], "confirm": "1"}, follow=True)
    assert "done before, once: 5 extra units" in _text(again)
    assert standing(user).granted == 6


@pytest.mark.parametrize(
    ("kind", "given"),
    [("grant", {"units": "0", "reason": "x"}), ("grant", {"units": "5", "reason": " "}), ("reset", {"reason": ""})],
)
def test_a_form_that_lacks_something_is_shown_again(
    desk: Client, alice: Tenant, kind: str, given: dict[str, str]
) -> None:
    answer = _preview(desk, alice.user(alice.plan(2)), kind, **given)
    assert answer.templates[0].name == "desk/adjust_quota.html"
    assert 'role="alert"' in _text(answer)
    assert Adjustment.objects.count() == 0


def test_a_forged_confirmation_is_refused(desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(2))
    wish = _preview(desk, user, "grant", units="5", reason="A launch").context["wish"]
    for forged in (
        {"subject": "u999"},
        {"start": 5},
        {"end": "x"},
        {"end": 10**20},
        {"request_id": "1"},
        {"units": "-5"},
    ):
        answer = desk.post(_page(user), {"confirm": "1", **wish, **forged}, follow=True)
        assert "units granted." not in _text(answer), forged
    assert standing(user).granted == 0


def test_what_has_no_limit_says_so(desk: Client, alice: Tenant) -> None:
    for of in (alice.key().api_key, alice.user(), alice.user(alice.plan(-1))):
        page = _text(desk.get(_page(of)))
        assert "Nothing limits it" in page
        assert "Grant extra units" not in page
        assert _preview(desk, of, "grant", units="5", reason="x").templates[0].name == "desk/adjust_quota.html"


def test_a_key_says_whose_window_counts_it(desk: Client, alice: Tenant) -> None:
    key = alice.key(user=alice.user(alice.plan(2)))
    assert "counted together with all keys of Uma" in _text(desk.get(_page(key.api_key)))


def test_who_is_not_there_is_not_found(desk: Client, alice: Tenant) -> None:
    for path in ("/admin/desk/quota/user/999/", "/admin/desk/quota/plan/1/", "/admin/desk/plan/key/999/"):
        assert desk.get(path).status_code == 404


def test_the_page_costs_the_same_however_much_was_adjusted(desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(2))

    def cost() -> int:
        with counting_queries() as queries:
            assert desk.get(_page(user)).status_code == 200
        return len(queries)

    few = cost()
    for _ in range(4):
        grant(user, 1)
        drain_all(for_s=5)
        grant(user, 1)
    assert cost() <= few <= 12


# --- change of plan -----------------------------------------------------------------------------------------------
def _ask(desk: Client, of: ApiKey | User, plan: Any) -> str:
    return _text(desk.get(f"{_page(of, 'change_plan')}?{urlencode({'plan': plan.pk if plan else ''})}"))


def test_a_smaller_plan_is_previewed_with_who_would_be_blocked(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(5, name="Gold"))
    small = alice.plan(2, name="Copper")
    key = alice.key(user=user)
    for _ in range(3):
        api.validate(alice, key.secret)
    said = _ask(desk, user, small)
    assert "Gold (5 a month) → Copper (2 a month)" in said
    assert "3 of 5 used: 2 left until" in said
    assert "3 of 2 used: blocked until" in said
    assert "The window stays the same" in said
    assert "It is refused from the moment you confirm." in said
    assert Subscription.objects.get(user=user).plan != small
    given = {"plan": small.pk, "reason": "They asked for it"}
    told = _text(desk.post(_page(user, "change_plan"), given, follow=True))
    assert "Now on Copper (2 a month)." in told
    assert not api.validate(alice, key.secret).json()["success"]
    entry = AuditEntry.objects.get(action="subscription changed")
    assert (entry.actor_name, entry.after["plan"]) == ("sam", f"Copper (#{small.pk})")
    assert entry.reason == "They asked for it"
    assert "reason: They asked for it" in _text(desk.get(reverse("admin:accounts_auditentry_changelist")))


def test_a_reason_that_is_too_long_changes_no_plan(desk: Client, alice: Tenant) -> None:
    user, key, plan = alice.user(), alice.key().api_key, alice.plan(2, name="Copper")
    for of in (user, key):
        said = _text(desk.post(_page(of, "change_plan"), {"plan": plan.pk, "reason": "x" * 501}))
        assert "no plan (no limit) → Copper (2 a month)" in said
        assert "at most 500 characters" in said
    assert not Subscription.objects.filter(plan=plan).exists()
    assert ApiKey.objects.get(pk=key.pk).plan is None


def test_another_period_is_another_window(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user, daily = alice.user(alice.plan(5)), alice.plan(2, "day", name="Daily")
    for _ in range(3):
        api.validate(alice, alice.key(user=user).secret)
    said = _ask(desk, user, daily)
    assert "0 of 2 used: 2 left until" in said
    assert "it stands at nothing used" in said
    assert "is refused" not in said


def test_a_key_is_given_a_plan_of_its_own_and_loses_it(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user, own = alice.user(alice.plan(5)), alice.plan(2, name="Own")
    key = alice.key(user=user)
    api.validate(alice, key.secret)
    said = _ask(desk, key.api_key, own)
    assert "1 of 5 used" in said
    assert "0 of 2 used" in said
    desk.post(_page(key.api_key, "change_plan"), {"plan": own.pk})
    assert ApiKey.objects.get(pk=key.api_key.pk).plan == own
    said = _ask(desk, key.api_key, None)
    assert "Own (2 a month) → Gold (5 a month)" in said
    assert "counted together with its user's" in said
    desk.post(_page(key.api_key, "change_plan"), {"plan": "", "reason": "The pilot is over"})
    assert ApiKey.objects.get(pk=key.api_key.pk).plan is None
    reasons = AuditEntry.objects.filter(action="API key changed").order_by("id").values_list("reason", flat=True)
    assert list(reasons) == ["", "The pilot is over"]


def test_a_plan_of_another_account_or_switched_off_is_not_given(desk: Client, alice: Tenant, bob: Tenant) -> None:
    user, foreign = alice.user(), bob.plan(2)
    off = alice.plan(2, name="Off")
    off.is_active = False
    off.save()
    for plan in (foreign, off):
        desk.post(_page(user, "change_plan"), {"plan": plan.pk})
        assert Subscription.objects.filter(plan=plan).count() == 0


def test_a_preview_tells_of_the_grant_that_stays(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user, large = alice.user(alice.plan(5)), alice.plan(9)
    grant(user, 4)
    assert "0 of 13 used: 13 left" in _ask(desk, user, large)


def test_links_are_shown_to_those_who_may(desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(2))
    key = alice.key(user=user)
    for page, of in (("accounts_user_change", user), ("keys_apikey_change", key.api_key)):
        shown = _text(desk.get(reverse(f"admin:{page}", args=[of.pk])))
        assert _page(of) in shown
        assert _page(of, "change_plan") in shown
