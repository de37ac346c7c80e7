"""Whose window is nearly spent, or spent: looked through once a minute, so that no page ever has to.

What a subject used is the sum over its keys, what it may use is its plan's: no index knows both. A look at an account
reads its open windows once, and keeps those of NEAR percent and more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from accounts.models import Account
from keys.models import LimitWatch, NearLimit, SubjectKind
from plans.windows import Period, Window, window_at

NEAR: Final = 90
# Kept of an account, those who used most of theirs first; how many there are is counted all the same.
KEPT: Final = 1_000
CANDIDATES = """
WITH used AS MATERIALIZED (
  SELECT subject_kind, subject_id, start, "end", sum(units_allowed + units_adjusted)::bigint AS units
    FROM keys_usagewindow
   WHERE account_id = %(account)s AND "end" > %(now)s AND start <= %(now)s AND subject_kind = ANY(%(kinds)s)
   GROUP BY 1, 2, 3, 4),
limits AS (
  SELECT 'u' AS subject_kind, s.user_id AS subject_id, s.plan_id, s.custom_start
    FROM plans_subscription AS s JOIN accounts_user AS u ON u.id = s.user_id
   WHERE s.account_id = %(account)s AND u.deleted_at IS NULL
   UNION ALL
  SELECT 'k', id, plan_id, NULL FROM keys_apikey WHERE account_id = %(account)s AND deleted_at IS NULL)
SELECT subject_kind, subject_id, used.start, used."end", units, p.max_requests, p.request_period, custom_start
  FROM used JOIN limits USING (subject_kind, subject_id) JOIN plans_plan AS p ON p.id = limits.plan_id
 WHERE p.max_requests > 0 AND units * 100 >= p.max_requests * %(near)s
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """A window that holds `now`, and which of a subject's it is that decides."""

    kind: SubjectKind
    id: int
    window: Window
    used: int
    limit: int

    @property
    def percent(self) -> int:
        """Rounded down: 100 is said of a window only when it is spent."""
        return self.used * 100 // self.limit


def watch_limits(now: datetime) -> int:
    """Looks through every account; how many subjects are near their limit, or over it."""
    return sum(look_through(account_id, now=now) for account_id in Account.objects.values_list("pk", flat=True))


def look_through(account_id: int, *, now: datetime) -> int:
    """Of one account; what was found before makes room. Three statements."""
    found = sorted(_near(account_id, now), key=lambda spent: (-spent.percent, spent.kind, spent.id))
    over = sum(spent.used >= spent.limit for spent in found)
    with transaction.atomic():
        NearLimit.objects.filter(account_id=account_id).delete()
        NearLimit.objects.bulk_create(_row(account_id, spent) for spent in found[:KEPT])
        told = {"looked_at": now, "near": len(found), "over": over}
        LimitWatch.objects.update_or_create(account_id=account_id, defaults=told)
    return len(found)


def _near(account_id: int, now: datetime) -> Iterable[Spent]:
    given: dict[str, Any] = {
        "account": account_id,
        "now": now,
        "near": NEAR,
        "kinds": [SubjectKind.USER.value, SubjectKind.KEY.value],
    }
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, given)
        rows = cursor.fetchall()
    for kind, subject_id, start, end, used, limit, period, anchor in rows:
        window = Window(start, end)
        # A plan that changed left windows behind that are open still, but decide nothing.
        if window == window_at(now, period=Period(period), anchor=anchor):
            yield Spent(SubjectKind(kind), subject_id, window, used, limit)


def _row(account_id: int, spent: Spent) -> NearLimit:
    return NearLimit(
        account_id=account_id,
        subject_kind=spent.kind,
        subject_id=spent.id,
        window_end=spent.window.end,
        used=spent.used,
        limit=spent.limit,
        percent=spent.percent,
    )
