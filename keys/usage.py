"""How much of its quota a key, a user or a plan has used: one value each, with all that any caller is shown."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F, Q, Sum

from accounts.models import User
from keys.events import Event
from keys.ledger.reading import beside_the_ledger, redis_now
from keys.models import ApiKey, SubjectKind, UsageHour, UsageWindow
from keys.quotas import Quota, percentage, quota_of
from keys.subjects import Subject
from plans.models import Plan, Subscription
from plans.windows import Window, window_at

CALLS = F("calls_allowed") + F("calls_denied")
# What a plan's subjects spent. Adjustments change what one of them may still spend, not what all of them did.
UNITS = F("units_allowed")
# Windows asked for in one statement.
SUBJECTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KeyUsage:
    api_key: ApiKey
    quota: Quota
    total_requests: int
    requests_in_period: int


@dataclass(frozen=True, slots=True)
class UserUsage:
    user: User
    quota: Quota


@dataclass(frozen=True, slots=True)
class PlanUsage:
    """`total_requests` counts the units used in the current windows of all that live on the plan."""

    plan: Plan
    total_requests: int
    total_users: int
    api_keys_count: int

    @property
    def average_usage(self) -> float:
        return round(self.total_requests / self.total_users, 2) if self.total_users else 0.0

    @property
    def percentage_used(self) -> float:
        """Of what all of them together may use."""
        return percentage(self.total_requests, self.plan.max_requests * max(1, self.total_users + self.api_keys_count))


def usage_of_key(api_key: ApiKey) -> KeyUsage:
    quota = quota_of(api_key, now=redis_now())
    with beside_the_ledger(api_key.account) as undrained:
        events = [event for event in undrained.events if event.api_key_id == api_key.pk]
        filed = UsageHour.objects.filter(account_id=api_key.account_id, key_id=api_key.pk)
        total = _total(filed.aggregate(calls=Sum(CALLS))) + len(events)
        in_window = UsageWindow.objects.filter(
            account_id=api_key.account_id,
            subject_kind=quota.subject.kind,
            subject_id=quota.subject.id,
            start=quota.window.start,
            end=quota.window.end,
            key_id=api_key.pk,
        )
        spent = [event for event in events if _is_in(event, quota.subject, quota.window)]
        in_period = _total(in_window.aggregate(calls=Sum(CALLS))) + len(spent)
    return KeyUsage(api_key, quota, total, in_period)


def usage_of_user(user: User) -> UserUsage:
    return UserUsage(user, quota_of(user, now=redis_now()))


def usage_of_plan(plan: Plan) -> PlanUsage:
    """Cost: one statement per 500 users whose windows do not follow the calendar, and a few more."""
    now = redis_now()
    users = Subscription.objects.filter(plan=plan, user__deleted_at=None)
    keys = ApiKey.objects.filter(plan=plan, deleted_at=None)
    anchored = list(users.exclude(custom_start=None).values_list("user_id", "custom_start"))
    calendar = window_at(now, period=plan.period)
    windows = {
        Subject(SubjectKind.USER, user_id): window_at(now, period=plan.period, anchor=anchor)
        for user_id, anchor in anchored
    }
    with beside_the_ledger(plan.account) as undrained:
        live_users = set(users.values_list("user_id", flat=True))
        live_keys = set(keys.values_list("id", flat=True))
        spent = _spent_units(undrained.events)
        subjects = {Subject(SubjectKind.USER, user_id) for user_id in live_users}
        subjects |= {Subject(SubjectKind.KEY, key_id) for key_id in live_keys}
        total = sum(spent[subject, windows.get(subject, calendar)] for subject in subjects)
        at_calendar = UsageWindow.objects.filter(
            Q(subject_kind=SubjectKind.USER, subject_id__in=users.filter(custom_start=None).values("user_id"))
            | Q(subject_kind=SubjectKind.KEY, subject_id__in=keys.values("id")),
            account_id=plan.account_id,
            start=calendar.start,
            end=calendar.end,
        )
        total += _total(at_calendar.aggregate(calls=Sum(UNITS)))
        total += _filed_units(plan.account_id, windows)
    return PlanUsage(plan, total, len(live_users), len(live_keys))


def _total(aggregated: dict[str, int | None]) -> int:
    return aggregated["calls"] or 0


def _is_in(event: Event, subject: Subject, window: Window) -> bool:
    spent = event.spent
    return spent is not None and (spent.subject, spent.start, spent.end) == (subject, window.start, window.end)


def _spent_units(events: Iterable[Event]) -> Counter[tuple[Subject, Window]]:
    units: Counter[tuple[Subject, Window]] = Counter()
    for event in events:
        if event.is_allowed and (spent := event.spent):
            units[spent.subject, Window(spent.start, spent.end)] += event.cost
    return units


def _filed_units(account_id: int, windows: dict[Subject, Window]) -> int:
    """The sum over windows that each begin at another moment."""
    total, subjects = 0, list(windows)
    for first in range(0, len(subjects), SUBJECTS_AT_ONCE):
        wanted = Q()
        for subject in subjects[first : first + SUBJECTS_AT_ONCE]:
            window = windows[subject]
            wanted |= Q(subject_kind=subject.kind, subject_id=subject.id, start=window.start, end=window.end)
        total += _total(UsageWindow.objects.filter(wanted, account_id=account_id).aggregate(calls=Sum(UNITS)))
    return total
