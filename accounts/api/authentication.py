"""Who calls: the access key that was admitted before Django was reached (keys.api.admission)."""

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import AccessKey

if TYPE_CHECKING:  # rest_framework.views imports this module, by the settings
    from rest_framework.views import APIView

ADMITTED = "limitly.admitted"


class AccessKeyAuthentication(BaseAuthentication):
    """`request.auth` is the AccessKey; `request.user` stays anonymous, for a User is somebody else here."""

    def authenticate(self, request: Request) -> tuple[None, AccessKey] | None:
        access_key_id = getattr(request._request, "scope", {}).get(ADMITTED)  # noqa: SLF001  # DRF has no other way to it
        if access_key_id is None:
            return None
        return None, AccessKey.objects.select_related("account").get(pk=access_key_id)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasAccessKey(BasePermission):
    def has_permission(self, request: Request, view: "APIView") -> bool:
        return isinstance(request.auth, AccessKey)
