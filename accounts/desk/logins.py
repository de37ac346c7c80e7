"""Who logged in, tried to, and left: put on record from what Django and axes say of it."""

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import audit
from accounts.actors import Actor
from accounts.api.addresses import address_of
from accounts.desk.sessions import begin_session
from accounts.models import Staff

NAME_LENGTH = 150


@receiver(user_logged_in, dispatch_uid="accounts.logins.in")
def record_login(request: HttpRequest, user: Staff, **_: Any) -> None:
    begin_session(request)
    audit.record_done(_staff(user, request), user, "logged in", told={})


@receiver(user_logged_out, dispatch_uid="accounts.logins.out")
def record_logout(request: HttpRequest, user: Staff | None, **_: Any) -> None:
    if user is not None:
        audit.record_done(_staff(user, request), user, "logged out", told={})


@receiver(user_login_failed, dispatch_uid="accounts.logins.failed")
def record_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Whoever it was, it was not proven to be this member of staff. Of a name that nobody has, nothing is kept: some
    type their password there."""
    _record_attempt("log-in failed", str(credentials.get("username") or ""), request)


@receiver(user_locked_out, dispatch_uid="accounts.logins.locked")
def record_lockout(request: HttpRequest | None, username: str | None, **_: Any) -> None:
    _record_attempt("log-in locked", username or "", request)


def _record_attempt(what: str, username: str, request: HttpRequest | None) -> None:
    visitor = Actor.visitor(address=_address(request))
    staff = Staff.objects.filter(username=username[:NAME_LENGTH]).first() if "\x00" not in username else None
    if staff is None:
        audit.record_attempt(visitor, f"staff member {what}", told={"name": "unknown"})
    else:
        audit.record_done(visitor, staff, what, told={})


def _staff(user: Staff, request: HttpRequest) -> Actor:
    return Actor.staff(user.get_username(), address=_address(request))


def _address(request: HttpRequest | None) -> str | None:
    return None if request is None else address_of(request)
