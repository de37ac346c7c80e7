"""The page that explains a refusal: by a pasted secret that stays nowhere, or by a key that was chosen."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisAway

from accounts.models import User
from accounts.roles import Role
from keys import services as keys
from keys.desk import why
from keys.models import ApiKey
from tests.cast import BY, IssuedKey, Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

WHY = "desk:why"
HOUR = timedelta(hours=1)


def _page(client: Client, issued: IssuedKey, **more: int) -> str:
    return client.get(reverse(WHY), {"key": issued.api_key.pk, **more}).content.decode()


def test_a_pasted_secret_leads_to_its_key_and_stands_in_no_address_and_no_answer(desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    keys.update_api_key(issued.api_key, by=BY, status="inactive")
    answer = desk.post(reverse(WHY), {"secret": f" {issued.secret} "}, follow=True)
    address, page = answer.redirect_chain[0][0], answer.content.decode()
    assert issued.secret not in address + page
    assert "403 Forbidden" in page
    assert "API_KEY_DISABLED" in page
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("shown", ["id", "masked"])
def test_a_key_is_meant_by_what_is_displayed_of_it_too(desk: Client, alice: Tenant, shown: str) -> None:
    issued = alice.key()
    text = issued.api_key.public_id if shown == "id" else issued.api_key.secrets.get().masked
    assert desk.post(reverse(WHY), {"secret": text})["Location"] == f"{reverse(WHY)}?key={issued.api_key.pk}"


def test_an_unknown_secret_is_404_whoever_calls(desk: Client, alice: Tenant) -> None:
    page = desk.post(reverse(WHY), {"secret": "lk_user_" + "0" * 32}).content.decode()
    assert "No key has this secret" in page
    assert "API_KEY_NOT_FOUND" in page


def test_a_revoked_key_is_explained_as_well(desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    keys.delete_api_key(issued.api_key, by=BY, now=timezone.now())
    page = _page(desk, issued)
    assert "API_KEY_NOT_FOUND" in page
    assert "(revoked)" in page


def test_the_page_shows_every_step_and_the_last_decisions_with_their_reasons(
    api: ApiClient, desk: Client, alice: Tenant
) -> None:
    issued = alice.key(user=alice.user(alice.plan(1)))
    for _ in range(2):
        api.validate(alice, issued.secret)
    answer = desk.get(reverse(WHY), {"key": issued.api_key.pk, "access_key": alice.access_key.pk})
    assert [step.state for step in answer.context["steps"]] == ["passed"] * 10 + ["failed"]
    assert [(call.answer, call.reason) for call in answer.context["recent"].calls] == [
        ("denied", "over the quota: no room for this call"),
        ("allowed", "within the limit"),
    ]
    assert "1 + 1 = 2 of 1" in answer.content.decode()


def test_without_an_access_key_its_steps_are_not_asked(desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    answer = desk.get(reverse(WHY), {"key": issued.api_key.pk})
    assert [step.state for step in answer.context["steps"]] == ["not asked"] * 3 + ["passed"] * 8


def test_a_neighbours_access_key_shows_whose_key_it_is(desk: Client, alice: Tenant, bob: Tenant) -> None:
    page = _page(desk, alice.key(), access_key=bob.access_key.pk)
    assert "Its account: Alice" in page
    assert "The access key&#x27;s account: Bob" in page


def test_the_replaced_secret_is_explained_apart_from_the_new_one(desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    now = timezone.now()
    keys.regenerate_api_key(issued.api_key, by=BY, now=now - 2 * HOUR, overlap=HOUR)
    old, new = issued.api_key.secrets.order_by("id")
    assert "API_KEY_NOT_FOUND" in _page(desk, issued, secret=old.pk)
    assert "The next call passes" in _page(desk, issued, secret=new.pk)


def test_a_change_that_is_not_in_force_is_announced(api: ApiClient, desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    api.validate(alice, issued.secret)
    ApiKey.objects.filter(pk=issued.api_key.pk).update(status="inactive")  # and Redis is told nothing
    page = _page(desk, issued)
    assert "A change is not yet in force" in page
    assert "The key is inactive. Not yet in force" in page


def test_without_redis_the_answer_is_503(desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise RedisAway

    monkeypatch.setattr(why, "trace", away)
    page = _page(desk, alice.key())
    assert "503 Service Unavailable" in page
    assert "Redis does not answer" in page


@pytest.mark.parametrize("query", [{"key": "x"}, {"key": 10**9}, {"key": "1", "cost": "-1"}])
def test_a_question_that_is_none_is_404(desk: Client, alice: Tenant, query: dict[str, str | int]) -> None:
    assert desk.get(reverse(WHY), query).status_code == 404


def test_a_viewer_is_told_why_and_not_who(as_role: Any, api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(1))
    User.objects.filter(pk=user.pk).update(name="Uma Underwood")
    issued = alice.key(user=user)
    api.validate(alice, issued.secret, endpoint="/of/uma", ip_address="192.0.2.7")
    page = _page(as_role(Role.VIEWER), issued)
    assert "The next call is refused" in page
    assert not any(told in page for told in ("Underwood", "/of/uma", "192.0.2.7"))


def test_who_may_not_see_keys_is_refused(as_role: Any, alice: Tenant) -> None:
    client = as_role(Role.VIEWER)
    client.get(reverse("admin:index")).wsgi_request.user.groups.clear()
    assert client.get(reverse(WHY)).status_code == 403
    assert client.post(reverse(WHY), {"secret": "x"}).status_code == 403


def test_the_page_costs_the_same_however_much_was_decided(api: ApiClient, desk: Client, alice: Tenant) -> None:
    issued = alice.key(user=alice.user(alice.plan(10)))

    def cost() -> int:
        with counting_queries() as queries:
            _page(desk, issued, access_key=alice.access_key.pk)
        return len(queries)

    api.validate(alice, issued.secret)
    few = cost()
    for _ in range(12):
        api.validate(alice, issued.secret)
        alice.key(user=issued.api_key.user)
    assert cost() == few <= 20
