"""How long a session of staff lasts, and what it must have shown to be one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from accounts.models import SecondFactor, Staff
from accounts.second_factor import second_factor_of

BEGAN: Final = "limitly_began"
SEEN: Final = "limitly_seen"
PASSED: Final = "limitly_second_factor"
# A session is written when its last page was so long ago: not with each page.
WRITTEN_EVERY_S: Final = 60
# What staff may open before they have a second factor where one is required.
OPEN: Final = ("desk:second-factor", "admin:logout", "admin:password_change", "admin:password_change_done")


class StaffSessions:
    """Middleware of the admin's pages alone: the API knows no session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_of_staff = request.path.startswith(reverse("admin:index")) and request.user.is_authenticated
        refusal = self._refusal(request) if is_of_staff else None
        return refusal or self._get_response(request)

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        device = second_factor_of(cast(Staff, request.user))
        if not _keeps(request.session) or (device and request.session.get(PASSED) != device.pk):
            auth.logout(request)
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if device is None and settings.LIMITLY_REQUIRE_SECOND_FACTOR and not _is_open(request.path):
            return redirect("desk:second-factor")
        return None


def begin_session(request: HttpRequest) -> None:
    """As the log-in is written, so that the first page writes nothing."""
    now = int(timezone.now().timestamp())
    request.session[BEGAN] = request.session[SEEN] = now


def mark_passed(request: HttpRequest, device: SecondFactor) -> None:
    """This session has shown this second factor. Others of the same member of staff must log in anew."""
    request.session[PASSED] = device.pk


def _keeps(session: Any) -> bool:
    """Whether it goes on. Django itself ends one that was not written for SESSION_COOKIE_AGE."""
    now = int(timezone.now().timestamp())
    began = session.setdefault(BEGAN, now)
    if now - began >= timedelta(hours=settings.LIMITLY_SESSION_HOURS).total_seconds():
        return False
    if now - session.get(SEEN, 0) >= WRITTEN_EVERY_S:
        session[SEEN] = now
    return True


def _is_open(path: str) -> bool:
    return path in {reverse(name) for name in OPEN}
