"""One page of a list: what was asked for, at first or by next_token, and how it is answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from analytics.paging import Place, token_of


@dataclass(frozen=True, slots=True)
class Asked:
    """`query` as it was resolved for the first page, as JSON can say it; `after` is where the page before ended."""

    owner: str
    limit: int
    query: dict[str, Any]
    after: list[Any]

    def answer(self, data: Any, *, after: list[Any] | None) -> dict[str, Any]:
        """`after` is where this page ends, None on the last."""
        token = None if after is None else token_of(Place(self.query, after), owner=self.owner)
        return {"data": data, "has_more": token is not None, "next_token": token}


def whole(data: Any) -> dict[str, Any]:
    """A list that is never paged."""
    return {"data": data, "has_more": False, "next_token": None}


def plain(value: Any) -> Any:
    """As JSON can say it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, ZoneInfo) else value
