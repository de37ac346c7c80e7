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
from accounts.models import User
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from keys.standing import Standing, standing_of
from keys.usage import Quota

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object
NEAR = 80  # per cent


@dataclass(frozen=True, slots=True)
class UsageBar:
    """`granted` units may be used besides the limit; where that is not known, what was used is less by them."""

    quota: Quota
    granted: int = 0

    @property
    def text(self) -> str:
        if self.quota.is_unlimited:
            return f"{shown(self._standing.spent)} / no limit"
        granted = f", {shown(self.granted)} of them granted" if self.granted else ""
        return f"{shown(self._standing.spent)} / {shown(self._standing.allowance)}{granted}"

    @property
    def percentage(self) -> int:
        """What the bar shows: never beyond its end."""
        return int(min(100, self._standing.percentage)) if self._standing.allowance else 100

    @property
    def state(self) -> str:
        if self.quota.is_unlimited:
            return ""
        if self._standing.is_used_up:
            return "used up"
        return "nearly used up" if self.percentage >= NEAR else ""

    @property
    def _standing(self) -> Standing:
        return Standing(self.quota, self.granted)


def bar_of(row: ApiKey | User) -> UsageBar | None:
    """None when Redis does not answer."""
    try:
        standing = standing_of(row, now=redis_now())
        return UsageBar(standing.quota, standing.granted)
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
