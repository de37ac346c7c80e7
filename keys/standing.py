"""How a window stands: what was spent of it, what staff granted beside the plan's limit, and who adjusted it why."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from django.db.models import QuerySet, Sum

from accounts.models import Account, User
from keys.ledger.reading import beside_the_ledger
from keys.ledger.writing import adjustment_row
from keys.models import Adjustment, AdjustmentKind, ApiKey
from keys.subjects import Subject
from keys.usage import Quota, percentage, quota_of
from plans.models import UNLIMITED
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

    def with_grant(self, units: int) -> "Standing":
        return Standing(replace(self.quota, net=self.quota.net - units), self.granted + units)

    def after_reset(self) -> "Standing":
        return Standing(replace(self.quota, net=-self.granted), self.granted)


def standing_of(of: ApiKey | User, *, now: datetime) -> Standing:
    """Cost: what quota_of costs, and a SELECT where nothing was adjusted since Redis's life began."""
    return standing_in(of.account, quota_of(of, now=now))


def standing_in(account: Account, quota: Quota) -> Standing:
    if quota.granted_by_counter is not None:
        return Standing(quota, quota.granted_by_counter)
    return Standing(quota, filed_grants(account.pk, quota.subject, quota.window))


def filed_grants(account_id: int, subject: Subject, window: Window) -> int:
    """What the ledger knows to have been granted. All of it, where no counter of this life says otherwise."""
    grants = in_window(account_id, subject, window).filter(kind=AdjustmentKind.GRANT)
    return -int(grants.aggregate(units=Sum("amount", default=0))["units"])


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
