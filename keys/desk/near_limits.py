"""Those near or over their limit as a page shows them: by name, with a link, for who may see and follow it."""

from collections.abc import Iterable
from typing import NamedTuple

from django.http import HttpRequest

from accounts.roles import SEE_PERSONAL_DATA
from keys.desk.decisions import VEIL
from keys.desk.subjects import kind_of, row_url, view_permission
from keys.overview import NearOne


class NearRow(NamedTuple):
    """`link` is empty where it may not be followed."""

    name: str
    link: str
    one: NearOne

    @property
    def used(self) -> str:
        return f"{self.one.row.used:,} of {self.one.row.limit:,}"


def near_rows(request: HttpRequest, near: Iterable[NearOne]) -> list[NearRow]:
    """What templates/desk/near_limits.html draws."""
    return [NearRow(_name_of(one, request), _link_to(one, request), one) for one in near]


def _name_of(one: NearOne, request: HttpRequest) -> str:
    if one.user is not None:
        return one.user.name if request.user.has_perm(SEE_PERSONAL_DATA) else f"User {one.user.pk} {VEIL}"
    return one.api_key.name if one.api_key is not None else "deleted since"


def _link_to(one: NearOne, request: HttpRequest) -> str:
    of = one.user or one.api_key
    return row_url(of) if of is not None and request.user.has_perm(view_permission(kind_of(of))) else ""
