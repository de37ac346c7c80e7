"""Whose window is nearly spent, or spent: looked through once a minute, so that no page ever has to.

What a subject used is the sum over its keys, what it may use is its plan's: no index knows both. A look at an account
reads its open windows once, and keeps those of NEAR percent and more.
"""

from dataclasses import dataclass
from datetime import datetime
from heapq import nsmallest
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from accounts.models import Account
from keys.models import LimitWatch, NearLimit, SubjectKind
from plans.windows import Period, Window, window_at

NEAR: Final = 90
# Kept of an account, those who used most of theirs first; how many there are is counted all the same.
KEPT: Final = 1_000
# Those whose windows follow the calendar are counted and ranked here, by the few windows that hold now; of those with
# an anchor every one is answered, for only plans.windows knows which window is theirs. (Measured, 100,000 users near
# their limit, a million windows: 0.8 s, which is what reading the windows takes; 2.8 s when every one was answered.)
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
  SELECT 'k', id, plan_id, NULL FROM keys_apikey WHERE account_id = %(account)s AND deleted_at IS NULL),
near AS MATERIALIZED (
  SELECT subject_kind, subject_id, used.start, used."end", units, p.max_requests, p.request_period, custom_start
    FROM used JOIN limits USING (subject_kind, subject_id) JOIN plans_plan AS p ON p.id = limits.plan_id
   WHERE p.max_requests > 0 AND units * 100 >= p.max_requests * %(near)s),
of_calendar AS (
  SELECT near.*, count(*) OVER () AS near, count(*) FILTER (WHERE units >= max_requests) OVER () AS over
    FROM near
    JOIN unnest(%(periods)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (period, first, last)
      ON period = request_period AND first = start AND last = "end"
   WHERE custom_start IS NULL
   ORDER BY units * 100 / max_requests DESC, subject_kind, subject_id LIMIT %(kept)s)
SELECT * FROM of_calendar UNION ALL SELECT near.*, 0, 0 FROM near WHERE custom_start IS NOT NULL
"""


class Candidate(NamedTuple):
    """A nearly spent window that holds now. `near` and `over` count all those of the calendar, 0 with an anchor."""

    kind: str
    id: int
    start: datetime
    end: datetime
    used: int
    limit: int
    period: str
    anchor: datetime | None
    near: int
    over: int

    @property
    def percent(self) -> int:
        """Rounded down: 100 is said of a window only when it is spent."""
        return self.used * 100 // self.limit


@dataclass(frozen=True, slots=True)
class Found:
    """How many are near their limit, how many of these over it, and the KEPT who used most of theirs."""

    near: int
    over: int
    most: list[Candidate]


def watch_limits(now: datetime) -> int:
    """Looks through every account; how many subjects are near their limit, or over it."""
    return sum(look_through(account_id, now=now) for account_id in Account.objects.values_list("pk", flat=True))


def look_through(account_id: int, *, now: datetime) -> int:
    """Of one account; what was found before makes room. Three statements."""
    found = _found(_candidates(account_id, now), now)
    with transaction.atomic():
        NearLimit.objects.filter(account_id=account_id).delete()
        NearLimit.objects.bulk_create(_row(account_id, candidate) for candidate in found.most)
        told = {"looked_at": now, "near": found.near, "over": found.over}
        LimitWatch.objects.update_or_create(account_id=account_id, defaults=told)
    return found.near


def _candidates(account_id: int, now: datetime) -> list[Candidate]:
    windows = {period: window_at(now, period=period) for period in Period}
    given: dict[str, Any] = {
        "account": account_id,
        "now": now,
        "near": NEAR,
        "kinds": [SubjectKind.USER.value, SubjectKind.KEY.value],
        "kept": KEPT,
        "periods": [period.value for period in windows],
        "starts": [window.start for window in windows.values()],
        "ends": [window.end for window in windows.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, given)
        return [Candidate(*row) for row in cursor.fetchall()]


def _found(candidates: list[Candidate], now: datetime) -> Found:
    of_calendar = [each for each in candidates if each.anchor is None]
    anchored = [each for each in candidates if each.anchor is not None and _decides(each, each.anchor, now)]
    near, over = (of_calendar[0].near, of_calendar[0].over) if of_calendar else (0, 0)
    return Found(
        near + len(anchored),
        over + sum(each.used >= each.limit for each in anchored),
        nsmallest(KEPT, of_calendar + anchored, key=lambda each: (-each.percent, each.kind, each.id)),
    )


def _decides(candidate: Candidate, anchor: datetime, now: datetime) -> bool:
    """A plan or anchor that changed left windows behind that are open still, but decide nothing."""
    window = window_at(now, period=Period(candidate.period), anchor=anchor)
    return window == Window(candidate.start, candidate.end)


def _row(account_id: int, candidate: Candidate) -> NearLimit:
    return NearLimit(
        account_id=account_id,
        subject_kind=candidate.kind,
        subject_id=candidate.id,
        window_end=candidate.end,
        used=candidate.used,
        limit=candidate.limit,
        percent=candidate.percent,
    )
