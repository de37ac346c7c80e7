"""`next_token`: an opaque, signed place in a list, with the query that the list answers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core import signing

VALID_FOR = timedelta(hours=24)
TOKEN_LENGTH = 1024
SALT = "analytics.paging"


class BadToken(Exception):
    """Forged, too old, of another account or another list, or contradicting the parameters beside it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next page begins, and the parameters as they were resolved for the first one."""

    query: dict[str, Any]
    after: list[Any]


def token_of(place: Place, *, owner: str) -> str:
    """`owner` names the account and the list: a token is good there alone."""
    return signing.dumps([owner, place.query, place.after], salt=SALT, compress=True)


def place_of(token: str, *, owner: str) -> Place:
    """Errors: BadToken."""
    try:
        found, query, after = signing.loads(token, salt=SALT, max_age=VALID_FOR)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadToken("This next_token is not one of ours, or older than 24 hours.") from error
    if found != owner:
        raise BadToken("This next_token belongs to another list.")
    return Place(query, after)


def agree(place: Place, given: dict[str, Any]) -> None:
    """Parameters may be repeated or left out, not changed. Errors: BadToken."""
    for name, value in given.items():
        if place.query.get(name) != value:
            raise BadToken(f"{name} contradicts the next_token: leave it out, or repeat it as it was.")
