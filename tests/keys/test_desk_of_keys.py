"""What staff see and do on the pages of keys, users, plans and accounts; what is done says so first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AccessKey, AuditEntry, User
from accounts.roles import Role
from accounts.services import create_access_key
from analytics import services as analytics
from keys import services as keys
from keys.ledger.drain import drain_all
from keys.ledger.limits import watch_limits
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from plans import services as plans
from tests.analytics.filed import observe
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.keys.adjustments import grant
from tests.queries import counting_queries

EXPIRY = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)


def _url(page: str, *args: object) -> str:
    return reverse(f"admin:{page}", args=args)


def _key_page(client: Client, api_key: ApiKey) -> Any:
    return client.get(_url("keys_apikey_change", api_key.pk))


def test_a_keys_page_shows_its_use_its_secrets_and_its_last_decisions(
    api: ApiClient, desk: Client, alice: Tenant
) -> None:
    user = alice.user(alice.plan(10, "month", "Gold"))
    issued = alice.key(user=user)
    for _ in range(9):
        api.validate(alice, issued.secret)
    drain_all(for_s=5)
    api.validate(alice, issued.secret, cost=2)
    renewed = keys.regenerate_api_key(issued.api_key, by=BY, now=timezone.now(), overlap=timedelta(days=1))
    answer = _key_page(desk, issued.api_key)
    page, bar, chart = answer.content.decode(), answer.context["bar"], answer.context["chart"]
    assert (bar.text, bar.state, bar.percentage) == ("9 of 10", "nearly used up", 90)
    assert "Plan Gold, a window of a month" in page
    assert page.count("works until") == 1
    assert all(f"{secret[:12]}…{secret[-4:]}" in page for secret in (issued.secret, renewed.secret))
    assert [call.answer for call in answer.context["recent"].calls] == ["denied"] + ["allowed"] * 9
    assert [series.values[-1] for series in chart.series] == [9, 0]
    assert chart.true_until is not None  # the tenth call is not filed yet
    assert reverse("admin:accounts_user_change", args=[user.pk]) in page


def test_a_users_page_shows_its_use_its_keys_and_what_they_called(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(4))
    one, two = alice.key(user=user), alice.key(user=user)
    for issued in (one, two, one, two, one):
        api.validate(alice, issued.secret)
    drain_all(for_s=5)
    answer = desk.get(_url("accounts_user_change", user.pk))
    assert (answer.context["bar"].text, answer.context["bar"].state) == ("4 of 4", "used up")
    assert answer.context["api_keys"] == [two.api_key, one.api_key]
    assert [call.answer for call in answer.context["recent"].calls] == ["denied"] + ["allowed"] * 4
    assert [series.values[-1] for series in answer.context["chart"].series] == [4, 1]


def test_a_list_shows_what_each_has_used(api: ApiClient, desk: Client, alice: Tenant) -> None:
    limited, free = alice.key(user=alice.user(alice.plan(10_000))), alice.key(user=alice.user())
    api.validate(alice, limited.secret, cost=7200)
    api.validate(alice, free.secret, cost=5)
    for name in ("keys_apikey", "accounts_user"):
        page = desk.get(_url(f"{name}_changelist")).content.decode()
        assert "7,200 of 10,000" in page, name
        assert "5, no limit" in page, name
        assert page.count("<progress") == 1, name


def test_a_list_says_of_what_was_granted_what_the_pages_say(api: ApiClient, desk: Client, alice: Tenant) -> None:
    user = alice.user(alice.plan(5_000))
    key = alice.key(user=user)
    grant(user, 1_000)
    api.validate(alice, key.secret, cost=5_500)
    pages = {
        _url("keys_apikey_changelist"),
        _url("accounts_user_changelist"),
        _url("keys_apikey_change", key.api_key.pk),
        _url("accounts_user_change", user.pk),
    }
    told = "5,500 of 5,000 + 1,000 granted"
    assert {page for page in pages if f">{told} · nearly used up<" in desk.get(page).content.decode()} == pages


def test_a_key_for_a_user_is_issued_from_a_form_that_is_filled_in(desk: Client, alice: Tenant) -> None:
    user = alice.user(email="uma@example.com")
    action = desk.get(_url("accounts_user_change", user.pk)).context["actions"][0]
    found = desk.post(reverse("desk:find"), {"text": "uma@example.com"}).content.decode()
    form = desk.get(action.url).context["adminform"].form
    given = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    given = {name: value for name, value in given.items() if value is not None}
    answer = desk.post(action.url, given)
    issued = ApiKey.objects.get(user=user)
    assert action.url.replace("&", "&amp;") in found
    assert answer.templates[0].name == "admin/secret_once.html"
    assert (issued.account, issued.name, issued.status) == (alice.account, "API key", "active")


@pytest.mark.parametrize(
    ("verb", "given", "said", "answered"),
    [
        ("deactivate", {}, "API_KEY_DISABLED", 403),
        ("activate", {}, "decided by its plan again", 200),
        ("expire", {"expires_at": "2020-01-01T00:00"}, "API_KEY_EXPIRED", 403),
        ("revoke", {}, "It cannot be undone", 404),
    ],
)
def test_an_act_says_what_it_will_do_and_does_it_at_once(
    api: ApiClient, desk: Client, alice: Tenant, verb: str, given: dict[str, str], said: str, answered: int
) -> None:
    issued = alice.key()
    if verb == "activate":
        keys.update_api_key(issued.api_key, by=BY, status="inactive")
    before = api.validate(alice, issued.secret).status_code
    url = _url(f"keys_apikey_{verb}", issued.api_key.pk)
    asked = desk.get(url).content.decode()
    assert said in asked
    assert api.validate(alice, issued.secret).status_code == before  # it only asked
    assert desk.post(url, given, follow=True).status_code == 200
    assert api.validate(alice, issued.secret).status_code == answered
    assert AuditEntry.objects.filter(actor_name="sam", row_type="keys.ApiKey", row_id=issued.api_key.pk).count() == 1


def test_an_expiry_is_read_in_the_readers_zone_and_taken_back_by_nothing(desk: Client, alice: Tenant) -> None:
    api_key = alice.key().api_key
    url = _url("keys_apikey_expire", api_key.pk)
    desk.cookies["limitly_zone"] = "Europe/Berlin"
    desk.post(url, {"expires_at": "2030-05-06T09:08"})
    api_key.refresh_from_db()
    assert api_key.expires_at == EXPIRY
    assert 'value="2030-05-06T09:08"' in desk.get(url).content.decode()
    assert "Enter a valid date/time" in desk.post(url, {"expires_at": "soon"}).content.decode()
    desk.post(url, {"expires_at": ""})
    api_key.refresh_from_db()
    assert api_key.expires_at is None


def test_a_leaked_key_is_revoked_by_pasting_it(api: ApiClient, desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    found = desk.post(reverse("desk:find"), {"text": issued.secret}).content.decode()
    revoke = _url("keys_apikey_revoke", issued.api_key.pk)
    assert revoke in found
    assert _url("keys_apikey_regenerate", issued.api_key.pk) in found
    shown = desk.post(revoke, follow=True).content.decode()
    assert "revoked: it stopped at once" in shown
    assert "API_KEY_NOT_FOUND" in shown  # it leads to what validate answers now
    assert api.validate(alice, issued.secret).status_code == 404


def test_a_leaked_access_key_is_revoked_by_pasting_it(api: ApiClient, desk: Client, alice: Tenant) -> None:
    revoke = _url("accounts_accesskey_revoke", alice.access_key.pk)
    assert revoke in desk.post(reverse("desk:find"), {"text": alice.secret}).content.decode()
    assert "INVALID_API_KEY" in desk.get(revoke).content.decode()
    desk.post(revoke)
    assert AccessKey.objects.get().revoked_at is not None
    assert api.get("/v1/keys", of=alice).status_code == 401
    assert revoke not in desk.get(_url("accounts_accesskey_change", alice.access_key.pk)).content.decode()


@pytest.mark.parametrize(
    ("verb", "answered", "said"),
    [("disable", 403, "USER_DISABLED"), ("enable", 200, "decided by their plan"), ("remove", 404, "cannot be undone")],
)
def test_an_act_with_a_user_holds_for_all_its_keys_at_once(
    api: ApiClient, desk: Client, alice: Tenant, verb: str, answered: int, said: str
) -> None:
    user = alice.user()
    issued = [alice.key(user=user), alice.key(user=user)]
    if verb == "enable":
        plans.update_user(user, by=BY, is_disabled=True)
    assert {api.validate(alice, key.secret).status_code for key in issued} == {403 if verb == "enable" else 200}
    url = _url(f"accounts_user_{verb}", user.pk)
    assert said in desk.get(url).content.decode()
    assert desk.post(url, follow=True).status_code == 200
    assert {api.validate(alice, key.secret).status_code for key in issued} == {answered}


def test_an_action_on_many_rows_names_them_and_asks_once(api: ApiClient, desk: Client, alice: Tenant) -> None:
    issued = [alice.key() for _ in range(3)]
    url = _url("keys_apikey_changelist")
    chosen = {"action": "delete_keys", "_selected_action": [key.api_key.pk for key in issued[:2]]}
    asked = desk.post(url, chosen)
    assert "for good" in asked.content.decode()
    assert asked.context["rows"] == ["key, of Alice"] * 2
    assert {api.validate(alice, key.secret).status_code for key in issued} == {200}
    again = desk.post(url, chosen | {"asked": "1"}, follow=True)
    assert "2 API keys revoked" in again.content.decode()
    assert [api.validate(alice, key.secret).status_code for key in issued] == [404, 404, 200]


@pytest.mark.parametrize(("role", "may"), [(Role.VIEWER, False), (Role.SUPPORT, True), (Role.OPERATOR, True)])
def test_buttons_are_for_those_who_may(as_role: Any, alice: Tenant, role: Role, may: bool) -> None:
    api_key, client = alice.key(user=alice.user()).api_key, as_role(role)
    titles = {action.title for action in _key_page(client, api_key).context["actions"]}
    changes = {"Replace its secret", "Adjust quota", "Change its plan", "Deactivate", "Set expiry", "Revoke"}
    assert titles == {"Why refused?"} | (changes if may else set())
    assert bool(client.get(_url("accounts_user_change", api_key.user_id)).context["actions"]) is may
    for verb in ("activate", "deactivate", "expire", "revoke"):
        url = _url(f"keys_apikey_{verb}", api_key.pk)
        assert client.get(url).status_code == (200 if may else 403), verb
        assert may or client.post(url).status_code == 403, verb
    answer = client.post(_url("accounts_accesskey_revoke", alice.access_key.pk))
    assert answer.status_code == (302 if role is Role.OPERATOR else 403)


def test_a_viewer_sees_how_a_user_stands_and_not_who_it_is(
    as_role: Any,
    api: ApiClient,
    alice: Tenant,
) -> None:
    user = alice.user(alice.plan(5), email="uma@example.com")
    User.objects.filter(pk=user.pk).update(name="Uma Underwood")
    issued = alice.key(user=user)
    api.validate(alice, issued.secret, endpoint="/of/uma", ip_address="192.0.2.7")
    client = as_role(Role.VIEWER)
    for page in (_url("accounts_user_change", user.pk), _url("keys_apikey_change", issued.api_key.pk)):
        shown = client.get(page).content.decode()
        assert "1 of 5" in shown
        assert not any(told in shown for told in ("Underwood", "uma@", "/of/uma", "192.0.2.7")), page


def test_a_plans_page_says_how_many_hold_it(desk: Client, alice: Tenant) -> None:
    plan = alice.plan()
    alice.user(plan)
    alice.user(plan)
    alice.key(plan=plan)
    related = desk.get(_url("plans_plan_change", plan.pk)).context["related"]
    assert {link.label: link.text for link in related} | {"Changes": ""} == {
        "Account": "Alice",
        "Users on it": "2",
        "API keys of their own": "1",
        "Changes": "",
    }
    assert all(desk.get(link.url).status_code == 200 for link in related)


def test_an_accounts_page_says_what_it_has_and_leads_there(desk: Client, alice: Tenant, bob: Tenant) -> None:
    alice.key(user=alice.user(alice.plan(1000, "week", "Gold")))
    bob.user()
    context = desk.get(_url("accounts_account_change", alice.account.pk)).context
    shown = {link.label: link.text for link in context["related"]}
    assert (shown["Users"], shown["API keys"], shown["Access keys in use"]) == ("1", "1", "1")
    assert [link.text for link in context["plans"]] == ["Gold: 1,000 a week"]
    assert all(desk.get(link.url).status_code == 200 for link in (*context["related"], *context["plans"]))


def test_an_accounts_page_shows_its_calls_by_the_day(api: ApiClient, desk: Client, alice: Tenant, bob: Tenant) -> None:
    limited = alice.key(plan=alice.plan(2))
    for issued, tenant in ((limited, alice), (limited, alice), (limited, alice), (bob.key(), bob)):
        api.validate(tenant, issued.secret)
    drain_all(for_s=5)
    chart = desk.get(_url("accounts_account_change", alice.account.pk)).context["chart"]
    assert [(series.name, series.values[-1], sum(series.values)) for series in chart.series] == [
        ("allowed", 2, 2),
        ("denied", 1, 1),
    ]


def test_pages_of_plans_and_access_keys_show_their_calls_by_the_day(
    api: ApiClient, desk: Client, as_role: Any, alice: Tenant
) -> None:
    gold, silver = alice.plan(2, name="Gold"), alice.plan(9, name="Silver")
    unused = create_access_key(alice.account, by=BY, name="unused").row
    limited, free = alice.key(plan=gold), alice.key(plan=silver)
    for issued in (limited, limited, limited, free):
        api.validate(alice, issued.secret)
    drain_all(for_s=5)
    viewer = as_role(Role.VIEWER)
    pages = {
        _url("plans_plan_change", gold.pk): [2, 1],
        _url("plans_plan_change", silver.pk): [1, 0],
        _url("accounts_accesskey_change", alice.access_key.pk): [3, 1],
        _url("accounts_accesskey_change", unused.pk): [0, 0],
    }
    for url, calls in pages.items():
        chart = desk.get(url).context["chart"]
        assert [series.values[-1] for series in chart.series] == calls, url
        assert viewer.get(url).context["chart"] is not None


def test_an_access_keys_page_says_how_it_stands_and_leads_on(desk: Client, alice: Tenant) -> None:
    page = _url("accounts_accesskey_change", alice.access_key.pk)
    environment = observe(alice)
    analytics.bind_access_key(alice.access_key, environment.app, environment_name=environment.name, by=BY)
    answer = desk.get(page)
    related = {link.label: link for link in answer.context["related"]}
    assert related["Its calls are filed under"].text == f"{environment.app}, {environment}"
    assert all(desk.get(link.url).status_code == 200 for link in related.values())
    assert f"<code>{alice.access_key.masked}</code>" in answer.content.decode()
    for told, since in (("expired", {"expires_at": EXPIRY.replace(year=2020)}), ("revoked", {"revoked_at": EXPIRY})):
        AccessKey.objects.filter(pk=alice.access_key.pk).update(**since)
        assert f"{told} {next(iter(since.values())):%Y-%m-%d}" in desk.get(page).content.decode()


def test_an_accounts_page_says_who_is_near_a_limit(
    api: ApiClient, as_role: Any, desk: Client, alice: Tenant, bob: Tenant
) -> None:
    uma = alice.user(alice.plan(10), email="uma@example.com")
    User.objects.filter(pk=uma.pk).update(name="Uma Underwood")
    for tenant, user, cost in (
        (alice, uma, 9),
        (alice, alice.user(alice.plan(10)), 8),
        (bob, bob.user(bob.plan(2)), 2),
    ):
        api.validate(tenant, tenant.key(user=user).secret, cost=cost)
    drain_all(for_s=5)
    page = _url("accounts_account_change", alice.account.pk)
    assert "Nobody looked yet" in desk.get(page).content.decode()
    watch_limits(redis_now())
    shown, of_viewer = (client.get(page).content.decode() for client in (desk, as_role(Role.VIEWER)))
    assert "1 used 90 % or more, 0 of them all of it" in shown
    assert f'href="{_url("accounts_user_change", uma.pk)}">Uma Underwood</a>' in shown
    assert "9 of 10" in shown
    assert (bob.account.name in shown, "Underwood" in of_viewer, "9 of 10" in of_viewer) == (False, False, True)


@pytest.mark.parametrize("page", ["key", "user", "plan", "account", "access key"])
def test_a_page_costs_the_same_however_much_belongs_to_it(
    api: ApiClient, desk: Client, alice: Tenant, page: str
) -> None:
    plan = alice.plan(100)
    user = alice.user(plan)
    issued = alice.key(user=user, plan=plan)
    url = {
        "key": _url("keys_apikey_change", issued.api_key.pk),
        "user": _url("accounts_user_change", user.pk),
        "plan": _url("plans_plan_change", plan.pk),
        "account": _url("accounts_account_change", alice.account.pk),
        "access key": _url("accounts_accesskey_change", alice.access_key.pk),
    }[page]

    def cost() -> int:
        with counting_queries() as queries:
            assert desk.get(url).status_code == 200
        return len(queries)

    api.validate(alice, issued.secret)
    cost()  # content types are remembered from the first page on
    few = cost()
    for _ in range(5):
        api.validate(alice, issued.secret)
        alice.key(user=user, plan=alice.plan())
        alice.user(plan)
    drain_all(for_s=5)
    api.validate(alice, issued.secret)
    assert cost() == few <= 25
