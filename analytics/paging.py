"""`next_token`: an opaque, signed place in a list, with the query that the list answers."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core import signing

VALID_FOR = timedelta(hours=24)
TOKEN_LENGTH = 1024
SALT = "analytics.paging"
# A token that would grow too long knows texts longer than this by their digest alone.
LONG_TEXT = 64


class BadToken(Exception):
    """Forged, too old, of another account or another list, or contradicting the parameters beside it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next page begins, and the parameters as they were resolved for the first one, as JSON can say them."""

    query: dict[str, Any]
    after: list[Any]


def token_of(place: Place, *, owner: str) -> str:
    """`owner` names the account and the list: a token is good there alone. At most TOKEN_LENGTH characters."""
    token = _sign(place.query, place.after, owner)
    if len(token) <= TOKEN_LENGTH:
        return token
    return _sign({name: _shortened(value) for name, value in place.query.items()}, place.after, owner)


def place_of(token: str, *, owner: str) -> Place:
    """Errors: BadToken."""
    try:
        found, query, after = signing.loads(token, salt=SALT, max_age=VALID_FOR)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadToken("This next_token is not one of ours, or older than 24 hours.") from error
    if found != owner:
        raise BadToken("This next_token belongs to another list.")
    return Place(query, after)


def agreed(place: Place, given: dict[str, Any]) -> dict[str, Any]:
    """The query of the list. Parameters may be repeated or left out, not changed. Errors: BadToken."""
    query = dict(place.query)
    for name, value in given.items():
        if query.get(name) not in (value, _shortened(value)):
            raise BadToken(f"{name} contradicts the next_token: leave it out, or repeat it as it was.")
        query[name] = value
    for name, value in query.items():
        if isinstance(value, dict):
            raise BadToken(f"{name} is too long for a next_token to carry: repeat it as it was.")
    return query


def _sign(query: dict[str, Any], after: list[Any], owner: str) -> str:
    return signing.dumps([owner, query, after], salt=SALT, compress=True)


def _shortened(value: Any) -> Any:
    """A long text by its digest, all else as it is."""
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return {"sha256": hashlib.sha256(value.encode()).hexdigest()}
    return value
