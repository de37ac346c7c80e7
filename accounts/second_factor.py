"""A member of staff's second factor: set up, asked for, taken away; each by somebody and on record."""

import secrets
from typing import Final

from django.db import transaction
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from accounts import audit
from accounts.actors import Actor
from accounts.models import SecondFactor, Staff

RECOVERY_CODES: Final = 10
# Without what is mistaken for another: 0 o, 1 l i.
LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP_LENGTH = 2, 5
TOKEN_LENGTH: Final = 16


def second_factor_of(staff: Staff) -> SecondFactor | None:
    """The one that was set up. One SELECT."""
    found: SecondFactor | None = SecondFactor.objects.filter(user=staff, confirmed=True).first()
    return found


def recovery_codes_left(staff: Staff) -> int:
    return int(StaticToken.objects.filter(device__user=staff).count())


@transaction.atomic
def begin_second_factor(staff: Staff) -> SecondFactor:
    """One that asks for nothing until a code confirms it; what was begun before is forgotten."""
    SecondFactor.objects.filter(user=staff, confirmed=False).delete()
    begun: SecondFactor = SecondFactor.objects.create(user=staff, name="authenticator", confirmed=False)
    return begun


def second_factor_begun(staff: Staff) -> SecondFactor | None:
    begun: SecondFactor | None = SecondFactor.objects.filter(user=staff, confirmed=False).first()
    return begun


@transaction.atomic
def confirm_second_factor(staff: Staff, code: str, *, by: Actor) -> list[str] | None:
    """The recovery codes, this once; None where the code does not fit, or one was set up meanwhile."""
    Staff.objects.select_for_update().get(pk=staff.pk)
    begun = second_factor_begun(staff)
    if begun is None or second_factor_of(staff) is not None or not begun.verify_token(code):
        return None
    begun.confirmed = True
    begun.save(update_fields=["confirmed"])
    audit.record_done(by, staff, "second factor set up", told={})
    return _new_codes(staff)


@transaction.atomic
def passes_second_factor(staff: Staff, code: str, *, by: Actor) -> bool:
    """Whether it is the authenticator's code of now, or a recovery code; either is taken once.

    Wrong ones are counted by django-otp: after each, the next try waits twice as long.
    """
    code = "".join(code.split()).lower()
    device = SecondFactor.objects.select_for_update().filter(user=staff, confirmed=True).first()
    if device is None:
        return False
    if code.isascii() and code.isdecimal():
        return bool(device.verify_token(code))
    recovery = StaticDevice.objects.select_for_update().filter(user=staff).first()
    if recovery is None or not recovery.verify_token(_token(staff, code)):
        return False
    audit.record_done(by, staff, "recovery code used", told={"codes_left": recovery_codes_left(staff)})
    return True


@transaction.atomic
def renew_recovery_codes(staff: Staff, *, by: Actor) -> list[str]:
    """New ones, this once; the old are good for nothing."""
    audit.record_done(by, staff, "recovery codes renewed", told={})
    return _new_codes(staff)


@transaction.atomic
def remove_second_factor(staff: Staff, *, by: Actor) -> bool:
    """Whether there was one. Its sessions go on; the next log-in asks for the password alone."""
    had = second_factor_of(staff) is not None
    SecondFactor.objects.filter(user=staff).delete()
    StaticDevice.objects.filter(user=staff).delete()
    if had:
        audit.record_done(by, staff, "second factor removed", told={})
    return had


def _new_codes(staff: Staff) -> list[str]:
    StaticDevice.objects.filter(user=staff).delete()
    device = StaticDevice.objects.create(user=staff, name="recovery codes")
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    for code in codes:
        StaticToken.objects.create(device=device, token=_token(staff, code))
    return codes


def _new_code() -> str:
    """49 bits of chance; tries are throttled."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def _token(staff: Staff, code: str) -> str:
    """What is kept of a recovery code: nothing that could be tried without SECRET_KEY."""
    salt = f"limitly.recovery_code {staff.pk}"
    return salted_hmac(salt, code, algorithm="sha256").hexdigest()[:TOKEN_LENGTH]
