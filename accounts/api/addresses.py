"""From which address a request came."""

from ipaddress import ip_address
from typing import Protocol

from django.conf import settings


class WithMeta(Protocol):
    """Django's request, or DRF's around it."""

    @property
    def META(self) -> dict[str, object]: ...  # noqa: N802  # its name in Django


def address_of(request: WithMeta) -> str | None:
    """The caller's; behind a proxy (LIMITLY_BEHIND_PROXY) what the proxy itself added to X-Forwarded-For, the last."""
    told = str(request.META.get("REMOTE_ADDR") or "")
    if settings.LIMITLY_BEHIND_PROXY:
        told = str(request.META.get("HTTP_X_FORWARDED_FOR") or told).rpartition(",")[2].strip()
    try:
        return str(ip_address(told)).partition("%")[0]
    except ValueError:
        return None
