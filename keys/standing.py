"""How a window stands: what was spent of it, what staff granted beside the plan's limit, and who adjusted it why."""

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from django.db.models import F, QuerySet, Sum

from accounts.models import Account, User
from accounts.secrets import Bucket
from keys.events import counter_name, head_name
from keys.ledger.reading import beside_the_ledger
from keys.ledger.writing import adjustment_row
from keys.models import Adjustment, AdjustmentKind, ApiKey, UsageWindow
from keys.redis import client
from keys.subjects import Subject, subject_of_user
from keys.usage import Quota, percentage, quota_of
from plans.models import UNLIMITED, Plan, Subscription
from plans.windows import Period, Window, window_at

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
    """Cost: what quota_of costs, one more round trip, and a SELECT or two where Redis does not know."""
    return standing_in(of.account, quota_of(of, now=now))


def standing_if(of: ApiKey | User, plan: Plan | None, *, now: datetime) -> Standing:
    """How it would stand if it had this plan, its windows counted from where they are counted now."""
    if isinstance(of, ApiKey):
        api_key = copy(of)
        api_key.plan = plan
        return standing_of(api_key, now=now)
    subscription = Subscription.objects.filter(user=of).first()
    anchor = subscription.custom_start if subscription and plan else None
    window = window_at(now, period=plan.period if plan else Period.MONTH, anchor=anchor)
    subject = subject_of_user(of.pk, plan_id=plan.pk if plan else None)
    return standing_in(of.account, Quota(subject, plan, window, net=0))


def standing_in(account: Account, quota: Quota) -> Standing:
    """Of one reading of the counter both what was used and what was granted; else both of the ledger."""
    bucket, window = Bucket(account.bucket), quota.window
    with client().pipeline(transaction=True) as pipeline:
        pipeline.hget(head_name(bucket), "life")
        pipeline.hgetall(counter_name(bucket, account.pk, quota.subject, window.start, window.end))
        life, counter = pipeline.execute()
    if life is None or counter.get("life") != life:
        filed = filed_units(account.pk, quota.subject, window)
        return Standing(replace(quota, net=filed), filed_grants(account.pk, quota.subject, window))
    net, granted = int(counter["used"]), counter.get(f"granted:{life}")
    if granted is None:  # nothing was adjusted in this life: the ledger knows all that was granted
        granted = filed_grants(account.pk, quota.subject, window)
    return Standing(replace(quota, net=net), int(granted))


def filed_units(account_id: int, subject: Subject, window: Window) -> int:
    """The ledger's sum of one window, adjustments included."""
    windows = UsageWindow.objects.filter(
        account_id=account_id,
        subject_kind=subject.kind,
        subject_id=subject.id,
        end=window.end,
        start=window.start,
    )
    return int(windows.aggregate(units=Sum(F("units_allowed") + F("units_adjusted"), default=0))["units"])


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
