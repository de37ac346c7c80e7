"""Of whom a page of quota work speaks: a key or a user, by its address; and what its reader may see and do of it."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse

from accounts.models import User
from accounts.roles import SEE_PERSONAL_DATA
from keys.models import ApiKey

USER, KEY = "user", "key"
ADJUST = "keys.add_adjustment"  # the permission for grants and resets


def found(kind: str, pk: int) -> ApiKey | User:
    """Errors: Http404 when it is not there, or was deleted."""
    if kind == USER:
        of: ApiKey | User | None = User.objects.live().select_related("account").filter(pk=pk).first()
    elif kind == KEY:
        keys = ApiKey.objects.filter(deleted_at=None).select_related("account", "user", "plan")
        of = keys.filter(pk=pk).first()
    else:
        of = None
    if of is None:
        raise Http404(f"There is no such {kind}.")
    return of


def kind_of(of: ApiKey | User) -> str:
    return KEY if isinstance(of, ApiKey) else USER


def page_url(page: str, of: ApiKey | User) -> str:
    """Of one of the desk's pages: `adjust` or `change_plan`."""
    return reverse(f"desk:{page}", args=[kind_of(of), of.pk])


def row_url(of: ApiKey | User) -> str:
    """Its own page in the admin."""
    page = "admin:keys_apikey_change" if isinstance(of, ApiKey) else "admin:accounts_user_change"
    return reverse(page, args=[of.pk])


def name_for(request: HttpRequest, of: ApiKey | User) -> str:
    if isinstance(of, ApiKey) or request.user.has_perm(SEE_PERSONAL_DATA):
        return str(of)
    return f"user {of.pk}"


def require(request: HttpRequest, *permissions: str) -> None:
    """Errors: PermissionDenied."""
    if not request.user.has_perms(permissions):
        raise PermissionDenied


def view_permission(kind: str) -> str:
    return "keys.view_apikey" if kind == KEY else "accounts.view_user"
