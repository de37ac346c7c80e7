"""The second factor: what it takes to get in, that no code serves twice, and the ways back for who lost the phone."""

import io
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.models import AuditEntry, SecondFactor, Staff
from accounts.roles import Role, sync_roles
from accounts.second_factor import begin_second_factor, confirm_second_factor, second_factor_of
from tests.cast import BY

LOGIN = {"username": "vera", "password": "a long one"}
OWN, CODE = "desk:second-factor", "desk:code"


@pytest.fixture
def vera(stores: object) -> Staff:
    return Staff.objects.create_user(**LOGIN, is_staff=True, is_superuser=True)


@pytest.fixture
def codes(vera: Staff) -> list[str]:
    """Her recovery codes: she has a second factor, whose code of now is not used up."""
    begin_second_factor(vera)
    codes = confirm_second_factor(vera, _code(vera, -1), by=BY)
    assert codes is not None
    return codes


def _code(staff: Staff, steps: int = 0) -> str:
    """What the authenticator shows, or showed so many steps of 30 seconds ago."""
    shown = TOTP(SecondFactor.objects.get(user=staff).bin_key)
    shown.time = time.time() + steps * 30
    return f"{shown.token():06}"


def _password(client: Client | None = None) -> Client:
    client = client or Client()
    client.post(reverse("admin:login"), LOGIN)
    return client


def _is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


def _enter(client: Client, code: str) -> int:
    return client.post(reverse(CODE), {"code": code}).status_code


# --- setting it up ------------------------------------------------------------------------------------------------
def test_staff_set_up_a_second_factor_on_their_own_page(vera: Staff) -> None:
    client = _password()
    asked = client.get(reverse(OWN)).content.decode()
    begun = client.post(reverse(OWN), {"do": "begin"})
    secret = re.search(r'value="([A-Z2-7]{32})"', begun.content.decode())
    confirmed = client.post(reverse(OWN), {"do": "confirm", "code": _code(vera)}).content.decode()
    shown = re.findall(r"<li>([a-z2-9]{5}-[a-z2-9]{5})</li>", confirmed)
    assert secret is not None
    assert "<svg" in begun.content.decode()
    assert "no-store" in begun["Cache-Control"]
    assert secret[1] not in asked + confirmed + client.get(reverse(OWN)).content.decode()
    assert len(set(shown)) == 10
    assert _is_in(client)


def test_nothing_is_asked_for_before_a_code_confirmed_it(vera: Staff) -> None:
    client = _password()
    client.post(reverse(OWN), {"do": "begin"})
    wrong = client.post(reverse(OWN), {"do": "confirm", "code": "000000"}).content.decode()
    assert "does not fit" in wrong
    assert second_factor_of(vera) is None
    assert _is_in(_password())


def test_the_tables_hold_neither_secret_nor_codes(vera: Staff, codes: list[str]) -> None:
    device = TOTPDevice.objects.get()
    assert device.bin_key != SecondFactor.objects.get().bin_key
    assert len(SecondFactor.objects.get().bin_key) == 20
    kept = set(StaticToken.objects.values_list("token", flat=True))
    assert len(kept) == 10
    assert not kept & set(codes)


def test_other_sessions_end_when_it_is_set_up(vera: Staff) -> None:
    here, elsewhere = _password(), _password()
    here.post(reverse(OWN), {"do": "begin"})
    here.post(reverse(OWN), {"do": "confirm", "code": _code(vera)})
    assert (_is_in(here), _is_in(elsewhere)) == (True, False)


# --- logging in ---------------------------------------------------------------------------------------------------
def test_the_password_alone_is_no_session(vera: Staff, codes: list[str]) -> None:
    client = _password()
    assert client.post(reverse("admin:login"), LOGIN)["Location"] == reverse(CODE)
    assert not _is_in(client)
    assert "_auth_user_id" not in client.session


def test_password_and_code_lead_where_one_wanted_to_go(vera: Staff, codes: list[str]) -> None:
    client, wanted = Client(), reverse("admin:plans_plan_changelist")
    client.post(f"{reverse('admin:login')}?next={wanted}", LOGIN)
    answer = client.post(reverse(CODE), {"code": _code(vera)})
    assert answer["Location"] == wanted
    assert _is_in(client)


def test_nobody_is_led_to_another_site(vera: Staff, codes: list[str]) -> None:
    client = Client()
    client.post(f"{reverse('admin:login')}?next=https://evil.example.com/", LOGIN)
    assert client.post(reverse(CODE), {"code": _code(vera)})["Location"] == reverse("admin:index")


def test_a_code_serves_once(vera: Staff, codes: list[str]) -> None:
    code = _code(vera)
    assert _enter(_password(), code) == 302
    again = _password()
    assert _enter(again, code) == 200
    assert not _is_in(again)


def test_the_code_that_confirmed_it_lets_nobody_in(vera: Staff) -> None:
    begin_second_factor(vera)
    code = _code(vera)
    confirm_second_factor(vera, code, by=BY)
    assert _enter(_password(), code) == 200


def test_a_recovery_code_serves_once(vera: Staff, codes: list[str]) -> None:
    assert _enter(_password(), f" {codes[0].upper()} ") == 302
    assert _enter(_password(), codes[0]) == 200
    assert second_factor.recovery_codes_left(vera) == 9
    entry = AuditEntry.objects.get(action="staff member recovery code used")
    assert (entry.actor_name, entry.after) == ("vera", {"codes_left": 9})


def test_after_a_wrong_code_the_next_must_wait(vera: Staff, codes: list[str]) -> None:
    client = _password()
    _enter(client, "000000")
    assert _enter(client, _code(vera)) == 200
    SecondFactor.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=2))
    assert _enter(client, _code(vera)) == 302


def test_wrong_codes_make_a_pause_like_wrong_passwords(vera: Staff, codes: list[str]) -> None:
    client = _password()
    tries = [_enter(client, "000000") for _ in range(settings.AXES_FAILURE_LIMIT)]
    SecondFactor.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert tries == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    assert _enter(client, _code(vera)) == 429
    assert Client().post(reverse("admin:login"), LOGIN).status_code == 429


def test_a_right_password_forgets_no_wrong_codes(vera: Staff, codes: list[str]) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        _enter(_password(), "000000")
    assert _enter(_password(), "000000") == 429


def test_a_wrong_code_is_on_record_and_not_what_was_typed(vera: Staff, codes: list[str]) -> None:
    from axes.models import AccessAttempt

    _enter(_password(), "123456")
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor_kind, entry.action) == ("visitor", "staff member log-in failed")
    assert "123456" not in str(list(AuditEntry.objects.values()) + list(AccessAttempt.objects.values()))


def test_between_password_and_code_time_runs_out(vera: Staff, codes: list[str]) -> None:
    client = _password()
    session = client.session
    session["limitly_log_in"] |= {"until": timezone.now().timestamp() - 1}
    session.save()
    assert client.post(reverse(CODE), {"code": _code(vera)})["Location"] == reverse("admin:login")


def test_a_password_changed_meanwhile_begins_anew(vera: Staff, codes: list[str]) -> None:
    client = _password()
    vera.set_password("quite another")
    vera.save()
    assert client.post(reverse(CODE), {"code": _code(vera)})["Location"] == reverse("admin:login")


def test_without_a_password_no_code_is_asked_for(stores: object) -> None:
    assert Client().get(reverse(CODE))["Location"] == reverse("admin:login")


# --- keeping and losing it ----------------------------------------------------------------------------------------
@pytest.fixture
def client(vera: Staff, codes: list[str]) -> Client:
    client = _password()
    assert _enter(client, codes[0]) == 302
    return client


def test_new_recovery_codes_make_the_old_useless(vera: Staff, codes: list[str], client: Client) -> None:
    refused = client.post(reverse(OWN), {"do": "renew", "code": codes[0]}).content.decode()  # used up to log in
    renewed = client.post(reverse(OWN), {"do": "renew", "code": _code(vera)}).content.decode()
    fresh = re.findall(r"<li>([a-z2-9]{5}-[a-z2-9]{5})</li>", renewed)
    assert "does not fit" in refused
    assert len(fresh) == 10
    assert _enter(_password(), fresh[1]) == 302
    assert _enter(_password(), codes[1]) == 200


def test_it_is_turned_off_by_a_code_alone(vera: Staff, codes: list[str], client: Client) -> None:
    client.post(reverse(OWN), {"do": "remove", "code": "nonsense"})
    assert second_factor_of(vera) is not None
    client.post(reverse(OWN), {"do": "remove", "code": _code(vera)})
    assert second_factor_of(vera) is None
    assert _is_in(client)


def test_an_administrator_removes_that_of_who_lost_the_phone(desk: Client, vera: Staff, codes: list[str]) -> None:
    url = reverse("admin:accounts_staff_second_factor", args=[vera.pk])
    assert url in desk.get(reverse("admin:accounts_staff_change", args=[vera.pk])).content.decode()
    asked = desk.get(url)
    assert second_factor_of(vera) is not None
    desk.post(url)
    entry = AuditEntry.objects.latest("id")
    assert asked.status_code == 200
    assert (entry.actor_name, entry.action, entry.row_id) == ("sam", "staff member second factor removed", vera.pk)
    assert _is_in(_password())


def test_no_lesser_role_removes_it(vera: Staff, codes: list[str]) -> None:
    sync_roles()
    operator = Staff.objects.create_user("otto", password="a long one", is_staff=True)
    operator.groups.add(Group.objects.get(name=Role.OPERATOR.value))
    client = Client()
    client.force_login(operator)
    assert client.post(reverse("admin:accounts_staff_second_factor", args=[vera.pk])).status_code == 403
    assert second_factor_of(vera) is not None


def test_a_command_removes_it_where_no_administrator_can(vera: Staff, codes: list[str]) -> None:
    call_command("remove_second_factor", "vera", stdout=io.StringIO())
    assert _is_in(_password())
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("remove_second_factor", "vera")
    with pytest.raises(CommandError, match="no member of staff"):
        call_command("remove_second_factor", "nobody")


# --- where it is required -----------------------------------------------------------------------------------------
def test_where_it_is_required_staff_are_led_to_set_it_up(vera: Staff, settings: Any) -> None:
    settings.LIMITLY_REQUIRE_SECOND_FACTOR = True
    client = _password()
    assert client.get(reverse("admin:index"))["Location"] == reverse(OWN)
    assert client.post(reverse("admin:plans_plan_changelist"))["Location"] == reverse(OWN)
    client.post(reverse(OWN), {"do": "begin"})
    client.post(reverse(OWN), {"do": "confirm", "code": _code(vera)})
    assert _is_in(client)
    assert "Turn it off" not in client.get(reverse(OWN)).content.decode()
