"""What was decided of a key's or a user's calls, newest first, a moment ago included."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet, Sum

from accounts.models import Account
from keys.events import Event
from keys.ledger.reading import beside_the_ledger
from keys.models import Decision, Outcome, UsageHour

# With filters, calls are counted up to so many: counting must not grow with the table.
COUNT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Filters:
    """`start` inclusive, `end` exclusive; `allowed` None = both."""

    start: datetime | None = None
    end: datetime | None = None
    allowed: bool | None = None
    method: str = ""
    endpoint: str = ""

    @property
    def is_empty(self) -> bool:
        return self == Filters()

    def admit(self, event: Event) -> bool:
        return (
            (self.start is None or event.at >= self.start)
            and (self.end is None or event.at < self.end)
            and (self.allowed is None or event.is_allowed == self.allowed)
            and (not self.method or event.method == self.method)
            and (not self.endpoint or event.endpoint == self.endpoint)
        )

    def narrow(self, decisions: QuerySet[Decision]) -> QuerySet[Decision]:
        if self.start:
            decisions = decisions.filter(at__gte=self.start)
        if self.end:
            decisions = decisions.filter(at__lt=self.end)
        if self.allowed is not None:
            is_allowed = {"outcome": Outcome.ALLOWED.value}
            decisions = decisions.filter(**is_allowed) if self.allowed else decisions.exclude(**is_allowed)
        if self.method:
            decisions = decisions.filter(method=self.method)
        return decisions.filter(endpoint=self.endpoint) if self.endpoint else decisions


@dataclass(frozen=True, slots=True)
class Call:
    """One decided call."""

    api_key_id: int
    at: datetime
    endpoint: str
    method: str
    outcome: Outcome
    cost: int
    ip: str | None


@dataclass(frozen=True, slots=True)
class CallPage:
    """`total` of all that match; `lag_s` is None when what was decided a moment ago is in it."""

    calls: list[Call]
    total: int
    lag_s: float | None


def calls_of_key(account: Account, key_id: int, filters: Filters, *, first: int, count: int) -> CallPage:
    """From the `first` newest on (0 = the newest), at most `count`."""
    filed = Decision.objects.filter(account_id=account.pk, api_key_id=key_id)
    hours = UsageHour.objects.filter(account_id=account.pk, key_id=key_id)
    page = slice(first, first + count)
    return _page(account, filters, page, filed=filed, hours=hours, is_wanted=lambda event: event.api_key_id == key_id)


def calls_of_user(account: Account, user_id: int, filters: Filters, *, first: int, count: int) -> CallPage:
    """By all keys that were the user's when they called, deleted ones included."""
    filed = Decision.objects.filter(account_id=account.pk, user_id=user_id)
    hours = UsageHour.objects.filter(account_id=account.pk, user_id=user_id)
    page = slice(first, first + count)
    return _page(account, filters, page, filed=filed, hours=hours, is_wanted=lambda event: event.user_id == user_id)


def _page(
    account: Account,
    filters: Filters,
    page: slice,
    *,
    filed: QuerySet[Decision],
    hours: QuerySet[UsageHour],
    is_wanted: Callable[[Event], bool],
) -> CallPage:
    first, count = page.start, page.stop - page.start
    with beside_the_ledger(account) as undrained:
        fresh = [_call_of_event(event) for event in undrained.events if is_wanted(event) and filters.admit(event)]
        fresh.reverse()
        decisions = filters.narrow(filed).order_by("-at", "-id")
        calls = fresh[first : first + count]
        skipped = max(0, first - len(fresh))
        calls += [_call_of_row(row) for row in decisions[skipped : skipped + count - len(calls)]]
        total = len(fresh) + (_sum(hours) if filters.is_empty else _count(decisions))
    return CallPage(calls, total if filters.is_empty else min(total, COUNT_MAX), undrained.lag_s)


def _sum(hours: QuerySet[UsageHour]) -> int:
    return hours.aggregate(calls=Sum(F("calls_allowed") + F("calls_denied")))["calls"] or 0


def _count(decisions: QuerySet[Decision]) -> int:
    return decisions.order_by()[:COUNT_MAX].count()


def _call_of_event(event: Event) -> Call:
    return Call(event.api_key_id, event.at, event.endpoint, event.method, event.outcome, event.cost, event.ip)


def _call_of_row(row: Decision) -> Call:
    return Call(row.api_key_id, row.at, row.endpoint, row.method, Outcome(row.outcome), row.cost, row.ip)
