"""Links from a row's page to what belongs to it; each is shown to whom its page would open."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from keys.models import SubjectKind


@dataclass(frozen=True, slots=True)
class RelatedLink:
    """`label`: what it is; `text`: which one."""

    label: str
    text: str
    url: str
    permission: str


def linked(label: str, text: str, permission: str, page: str, pk: int) -> RelatedLink:
    return RelatedLink(label, text, reverse(f"admin:{page}", args=[pk]), permission)


def listed(label: str, text: str, permission: str, page: str, **query: str | int) -> RelatedLink:
    return RelatedLink(label, text, f"{reverse(f'admin:{page}')}?{urlencode(query)}", permission)


def changes_of(row: Model) -> RelatedLink:
    query = {"row_type": row._meta.label, "row_id": row.pk}
    return listed("Changes", "who did what", "accounts.view_auditentry", "accounts_auditentry_changelist", **query)


def shown_to(request: HttpRequest, links: Iterable[RelatedLink | None]) -> list[RelatedLink]:
    """Those whose pages this member of staff may open; what there is none of is None."""
    return [link for link in links if link is not None and request.user.has_perm(link.permission)]


def key_link(pk: int | None) -> str:
    """In a table that names keys by their number alone; 0 and None are no key."""
    return _numbered("key", "keys_apikey", pk)


def user_link(pk: int | None) -> str:
    return _numbered("user", "accounts_user", pk)


def subject_link(kind: str, pk: int) -> str:
    """To whom a window counts."""
    return user_link(pk) if kind in (SubjectKind.USER, SubjectKind.FREE_USER) else key_link(pk)


def _numbered(noun: str, page: str, pk: int | None) -> str:
    return format_html('<a href="{}">{} {}</a>', reverse(f"admin:{page}_change", args=[pk]), noun, pk) if pk else ""
