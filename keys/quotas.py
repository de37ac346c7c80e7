"""The quota of a key or a user: which window decides, by which plan, and what is used of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from accounts.models import Account, User
from keys.counters import Counted, net_units
from keys.models import ApiKey
from keys.subjects import Subject, subject_of_key, subject_of_user
from plans.models import UNLIMITED, Plan, Subscription
from plans.windows import Period, Window, window_at


@dataclass(frozen=True, slots=True)
class Quota:
    """The window that decides of a key or a user. Without a plan it is the calendar month, without limit.

    `net` is what was spent less what staff granted or reset: below zero where more was granted than spent.
    """

    subject: Subject
    plan: Plan | None
    window: Window
    net: int

    @property
    def used(self) -> int:
        return max(0, self.net)

    @property
    def limit(self) -> int:
        return self.plan.max_requests if self.plan else UNLIMITED

    @property
    def is_unlimited(self) -> bool:
        return self.limit == UNLIMITED

    @property
    def remaining(self) -> int:
        return UNLIMITED if self.is_unlimited else max(0, self.limit - self.net)

    @property
    def percentage_used(self) -> float:
        return percentage(self.used, self.limit)

    @property
    def period(self) -> str:
        return self.plan.request_period if self.plan else Period.MONTH.value

    @property
    def reset_time(self) -> datetime | None:
        return self.window.end if self.plan else None


class Deciding(NamedTuple):
    """The window that decides of a key or a user, and the plan by which it does; nothing is read of what is used."""

    plan: Plan | None
    counted: Counted

    def quota(self, net: int) -> Quota:
        return Quota(self.counted.subject, self.plan, self.counted.window, net)


def percentage(used: int, limit: int) -> float:
    if limit <= 0:
        return 0.0 if limit < 0 or not used else 100.0
    return round(100 * used / limit, 2)


def quota_of(of: ApiKey | User, *, now: datetime) -> Quota:
    """Cost: one round trip, and at most two SELECTs."""
    (deciding,) = deciding_of([of], now=now)
    return deciding.quota(net_units([deciding.counted])[deciding.counted])


def deciding_of(rows: Sequence[ApiKey | User], *, now: datetime) -> list[Deciding]:
    """In the rows' order; their accounts, and the keys' own plans, are at hand. One SELECT however many."""
    user_ids = {user_id for row in rows if (user_id := row.pk if isinstance(row, User) else row.user_id)}
    found = Subscription.objects.select_related("plan").filter(user_id__in=user_ids) if user_ids else []
    subscriptions = {subscription.user_id: subscription for subscription in found}
    return [_deciding(row, subscriptions, now) for row in rows]


def deciding_of_user(user: User, plan: Plan | None, *, anchor: datetime | None, now: datetime) -> Deciding:
    """If it were on this plan, its windows counted from `anchor`."""
    subject = subject_of_user(user.pk, plan_id=plan.pk if plan else None)
    return _window_of(user.account, subject, plan, anchor if plan else None, now)


def _deciding(row: ApiKey | User, subscriptions: dict[int, Subscription], now: datetime) -> Deciding:
    subscription = subscriptions.get((row.pk if isinstance(row, User) else row.user_id) or 0)
    plan, anchor = (subscription.plan, subscription.custom_start) if subscription else (None, None)
    if isinstance(row, User):
        return deciding_of_user(row, plan, anchor=anchor, now=now)
    subject = subject_of_key(row.pk, plan_id=row.plan_id, user_id=row.user_id, user_plan_id=plan.pk if plan else None)
    return _window_of(row.account, subject, row.plan or plan, anchor if plan and not row.plan_id else None, now)


def _window_of(
    account: Account, subject: Subject, plan: Plan | None, anchor: datetime | None, now: datetime
) -> Deciding:
    window = window_at(now, period=plan.period if plan else Period.MONTH, anchor=anchor)
    return Deciding(plan, Counted(account, subject, window))
