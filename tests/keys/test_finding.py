"""Staff find a key by its secret, by what they remember of it, or by its owner; the secret leaves no trace."""

import pytest
from django.test import Client
from django.urls import reverse

from keys.finding import find
from tests.cast import Tenant
from tests.queries import counting_queries


def test_a_whole_secret_finds_its_key_alone(alice: Tenant, bob: Tenant) -> None:
    issued, _ = alice.key(), bob.key()
    found = find(f" {issued.secret}\n", sees_people=False)
    assert (found.by_secret, found.api_keys, found.users) == (True, [issued.api_key], [])


def test_an_access_keys_secret_finds_it(alice: Tenant, bob: Tenant) -> None:
    assert find(alice.secret, sees_people=False).access_keys == [alice.access_key]


@pytest.mark.parametrize("remembered", ["id", "end"])
def test_a_key_is_found_by_what_is_remembered_of_it(alice: Tenant, remembered: str) -> None:
    issued = alice.key()
    text = issued.api_key.public_id if remembered == "id" else f"lk_user_…{issued.secret[-4:]}"
    assert issued.api_key in find(text, sees_people=False).api_keys


@pytest.mark.parametrize("text", ["uma@example.com", "UMA@EXAMPLE.COM", "um"])
def test_a_customer_and_its_keys_are_found_by_address_and_name(alice: Tenant, text: str) -> None:
    user = alice.user(email="uma@example.com")
    issued = alice.key(user=user)
    found = find(text, sees_people=True)
    assert (found.users, found.api_keys) == ([user], [issued.api_key])
    assert find(text, sees_people=False).users == []


def test_finding_costs_five_selects_at_most(alice: Tenant) -> None:
    alice.key(user=alice.user(email="uma@example.com"))
    with counting_queries() as queries:
        find("uma@example.com", sees_people=True)
    assert len(queries) <= 5


def test_a_pasted_secret_stands_nowhere_in_the_answer(desk: Client, alice: Tenant) -> None:
    issued = alice.key()
    answer = desk.post(reverse("desk:find"), {"text": issued.secret})
    assert reverse("admin:keys_apikey_change", args=[issued.api_key.pk]) in answer.content.decode()
    assert issued.secret not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


def test_what_is_unknown_is_said(desk: Client, alice: Tenant) -> None:
    assert "Nothing is known" in desk.post(reverse("desk:find"), {"text": "nobody"}).content.decode()


def test_a_stranger_finds_nothing(stores: object) -> None:
    assert Client().post(reverse("desk:find"), {"text": "x"}).status_code == 302


@pytest.mark.parametrize("text", ["id", "masked", "access key"])
def test_a_secret_is_found_as_it_is_displayed(alice: Tenant, bob: Tenant, text: str) -> None:
    issued, _ = alice.key(), bob.key()
    shown = {
        "id": issued.api_key.public_id,
        "masked": issued.api_key.secrets.get().masked,
        "access key": alice.access_key.masked,
    }[text]
    found = find(f" {shown} ", sees_people=False)
    expected = ([], [alice.access_key]) if text == "access key" else ([issued.api_key], [])
    assert (found.api_keys, found.access_keys) == expected


@pytest.mark.parametrize("shown", ["{0:.12}", "{0:.12}…", "{0:.20}", " {0:.25}... "])
def test_a_key_is_found_by_the_beginning_of_its_secret(alice: Tenant, bob: Tenant, shown: str) -> None:
    issued, _ = alice.key(), bob.key()
    assert find(shown.format(issued.secret), sees_people=False).api_keys == [issued.api_key]


def test_an_access_key_is_found_by_the_beginning_of_its_secret(alice: Tenant, bob: Tenant) -> None:
    found = find(alice.secret[:9], sees_people=False)
    assert (found.api_keys, found.access_keys) == ([], [alice.access_key])


def test_the_list_of_keys_is_searched_by_either_end(desk: Client, alice: Tenant, bob: Tenant) -> None:
    issued, _ = alice.key(), bob.key()
    for end in (issued.secret[:12], issued.secret[-4:]):
        found = desk.get(reverse("admin:keys_apikey_changelist"), {"q": end}).context["cl"].result_list
        assert list(found) == [issued.api_key]


def test_another_beginning_with_the_same_end_is_another_key(alice: Tenant) -> None:
    issued = alice.key()
    masked = issued.api_key.secrets.get().masked
    other = f"{masked[:8]}{'0' if masked[8] != '0' else '1'}{masked[9:]}"
    assert find(other, sees_people=False).api_keys == []
