"""A quota as the desk shows it: a bar, and the same in figures."""

from __future__ import annotations  # ModelAdmin takes no parameters at run time

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from redis.exceptions import RedisError

from accounts.desk.charts import shown
from accounts.models import User
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from keys.quotas import Quota
from keys.standing import Standing, standing_of, standings_of

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object
NEAR = 80  # per cent


@dataclass(frozen=True, slots=True)
class UsageBar:
    standing: Standing

    @property
    def quota(self) -> Quota:
        return self.standing.quota

    @property
    def text(self) -> str:
        """7,200 of 5,000 + 1,000 granted."""
        spent, granted = shown(self.standing.spent), self.standing.granted
        if self.quota.is_unlimited:
            return f"{spent}, no limit"
        return f"{spent} of {shown(self.quota.limit)}" + (f" + {shown(granted)} granted" if granted else "")

    @property
    def percentage(self) -> int:
        """What the bar shows: never beyond its end."""
        return int(min(100, self.standing.percentage)) if self.standing.allowance else 100

    @property
    def state(self) -> str:
        if self.quota.is_unlimited:
            return ""
        if self.standing.is_used_up:
            return "used up"
        return "nearly used up" if self.percentage >= NEAR else ""


def bar_of(row: ApiKey | User) -> UsageBar | None:
    """None when Redis does not answer."""
    try:
        return UsageBar(standing_of(row, now=redis_now()))
    except RedisError:
        return None


class UsageColumn(_Base):
    """A list with the column `usage`. Cost, however long the page: three SELECTs and two round trips at most."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        for row, bar in zip(rows, _bars_of(rows), strict=True):
            row.usage_bar = bar
        changelist.result_list = rows
        return changelist

    @admin.display(description="usage")
    def usage(self, row: Any) -> str:
        return render_to_string("desk/usage_bar.html", {"bar": getattr(row, "usage_bar", None)})


def _bars_of(rows: Sequence[ApiKey | User]) -> list[UsageBar | None]:
    try:
        return [UsageBar(standing) for standing in standings_of(rows, now=redis_now())]
    except RedisError:
        return [None] * len(rows)
