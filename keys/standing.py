"""How a window stands: what was spent of it, what staff granted beside the plan's limit, and who adjusted it why."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from django.db.models import QuerySet

from accounts.models import Account, User
from keys.counters import sums_of
from keys.ledger.reading import beside_the_ledger
from keys.ledger.writing import adjustment_row
from keys.models import Adjustment, ApiKey
from keys.quotas import Deciding, Quota, deciding_of, deciding_of_user, percentage
from keys.subjects import Subject
from plans.models import UNLIMITED, Plan, Subscription
from plans.windows import Window

ROWS = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """What was granted in the window, and what was spent of it since it began or was reset: at most limit + granted."""

    quota: Quota
    granted: int = 0

    @property
    def spent(self) -> int:
        return max(0, self.quota.net + self.granted)

    @property
    def allowance(self) -> int:
        return UNLIMITED if self.quota.is_unlimited else self.quota.limit + self.granted

    @property
    def is_used_up(self) -> bool:
        """Whether a call of one unit is denied."""
        return self.quota.remaining == 0

    @property
    def percentage(self) -> float:
        return percentage(self.spent, self.allowance)

    @property
    def left_of_grants(self) -> int:
        """What may be taken back: units that were granted and are not spent."""
        return min(self.granted, self.quota.remaining) if not self.quota.is_unlimited else 0

    def with_grant(self, units: int) -> "Standing":
        return Standing(replace(self.quota, net=self.quota.net - units), self.granted + units)

    def with_taken(self, units: int) -> "Standing":
        return self.with_grant(-units)

    def after_reset(self) -> "Standing":
        return Standing(replace(self.quota, net=-self.granted), self.granted)


def standing_of(of: ApiKey | User, *, now: datetime) -> Standing:
    """Cost: one round trip, and at most four SELECTs."""
    (standing,) = standings_of([of], now=now)
    return standing


def standings_of(rows: Sequence[ApiKey | User], *, now: datetime) -> list[Standing]:
    """In the rows' order, at the cost of one; their accounts, and the keys' own plans, are at hand."""
    return _standings(deciding_of(rows, now=now))


def standing_if(of: ApiKey | User, plan: Plan | None, *, now: datetime) -> Standing:
    """How it would stand if it had this plan, its windows counted from where they are counted now."""
    if isinstance(of, ApiKey):
        api_key = copy(of)
        api_key.plan = plan
        return standing_of(api_key, now=now)
    subscription = Subscription.objects.filter(user=of).first()
    anchor = subscription.custom_start if subscription else None
    (standing,) = _standings([deciding_of_user(of, plan, anchor=anchor, now=now)])
    return standing


def _standings(deciding: Sequence[Deciding]) -> list[Standing]:
    sums = sums_of({each.counted for each in deciding})
    return [Standing(each.quota(sums[each.counted].net), sums[each.counted].granted) for each in deciding]


def in_window(account_id: int, subject: Subject, window: Window) -> QuerySet[Adjustment]:
    return _of_subject(account_id, subject).filter(end=window.end, start=window.start)


def adjustments_of(account: Account, subject: Subject) -> list[Adjustment]:
    """The newest, one made a moment ago included."""
    with beside_the_ledger(account) as undrained:
        fresh = [adjustment_row(event) for event in reversed(undrained.adjustments) if event.spent.subject == subject]
        filed = _of_subject(account.pk, subject).order_by("-end", "-id")[:ROWS]
        return list(islice([*fresh, *filed], ROWS))


def _of_subject(account_id: int, subject: Subject) -> QuerySet[Adjustment]:
    return Adjustment.objects.filter(account_id=account_id, subject_kind=subject.kind, subject_id=subject.id)
