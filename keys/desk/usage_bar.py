"""A quota as the desk shows it: a bar, and the same in figures."""

from __future__ import annotations  # ModelAdmin takes no parameters at run time

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from redis.exceptions import RedisError

from accounts.desk.charts import shown
from keys.ledger.reading import redis_now
from keys.usage import Quota

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object
NEAR = 80  # per cent


@dataclass(frozen=True, slots=True)
class UsageBar:
    quota: Quota

    @property
    def text(self) -> str:
        return f"{shown(self.quota.used)} / {'no limit' if self.quota.is_unlimited else shown(self.quota.limit)}"

    @property
    def percentage(self) -> int:
        """What the bar shows: never beyond its end."""
        return int(min(100, self.quota.percentage_used)) if self.quota.limit else 100

    @property
    def state(self) -> str:
        if self.quota.is_unlimited:
            return ""
        if self.quota.used >= self.quota.limit:
            return "used up"
        return "nearly used up" if self.percentage >= NEAR else ""


def bar_of(quotas_of: Callable[..., dict[int, Quota]], row: Any) -> UsageBar | None:
    """None when Redis does not answer."""
    try:
        return UsageBar(quotas_of([row], now=redis_now())[row.pk])
    except RedisError:
        return None


class UsageColumn(_Base):
    """A list with the column `usage`. Cost, however long the page: two SELECTs and two round trips at most."""

    quotas_of: Callable[..., dict[int, Quota]]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        quotas = self._quotas_of(rows)
        for row in rows:
            row.quota = quotas.get(row.pk)
        changelist.result_list = rows
        return changelist

    def _quotas_of(self, rows: Sequence[Any]) -> dict[int, Quota]:
        try:
            now: datetime = redis_now()
            return self.quotas_of(rows, now=now)
        except RedisError:
            return {}

    @admin.display(description="usage")
    def usage(self, row: Any) -> str:
        quota = getattr(row, "quota", None)
        return render_to_string("desk/usage_bar.html", {"bar": UsageBar(quota) if quota else None})
