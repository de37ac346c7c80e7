"""In whose time zone the desk shows and reads times: the query's `zone`, else the cookie that limitly/desk.js sets."""

from collections.abc import Callable
from datetime import UTC
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.zones import zone_named

COOKIE, DESK = "limitly_zone", "/admin/"


def reader_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware. Without a zone, or with one that is none, times are UTC, as everywhere outside the desk."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(DESK):
            return get_response(request)
        told = request.GET.get("zone", ""), unquote(request.COOKIES.get(COOKIE, ""))
        with timezone.override(next((zone for name in told if name and (zone := zone_named(name))), UTC)):
            return get_response(request)

    return answer
