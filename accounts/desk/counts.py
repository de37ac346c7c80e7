"""How many there are, in words, never counting a large table: an index is read up to a bound."""

from typing import Any, Final

from django.db.models import QuerySet

COUNT_MAX: Final = 10_000


def counted(rows: QuerySet[Any]) -> str:
    number = rows.order_by()[:COUNT_MAX].count()
    return f"{number:,}" if number < COUNT_MAX else f"{COUNT_MAX:,} or more"
