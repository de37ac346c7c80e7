"""`page` and `limit`: which rows of a list are shown."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

Row = TypeVar("Row", bound=Model)
DEFAULT_LIMIT = 10
LIMIT_MAX = 100
# Rows beyond are never reached by OFFSET: it would read all before them.
ROW_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """`first` counts from 0."""

    first: int
    limit: int

    @classmethod
    def of(cls, request: Request) -> "Page":
        """Errors: ValidationError."""
        limit = _number(request, "limit", DEFAULT_LIMIT, LIMIT_MAX)
        page = _number(request, "page", 1, ROW_MAX)
        if page * limit > ROW_MAX:
            raise ValidationError({"page": f"Only the first {ROW_MAX} rows can be paged through: use the filters."})
        return cls((page - 1) * limit, limit)

    def cut(self, rows: "QuerySet[Row]") -> "QuerySet[Row]":
        return rows[self.first : self.first + self.limit]


def _number(request: Request, name: str, default: int, at_most: int) -> int:
    given: Any = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal()) or len(given) > 9 or not 1 <= int(given) <= at_most:
        raise ValidationError({name: f"Give a whole number from 1 to {at_most}."})
    return int(given)
