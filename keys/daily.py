"""How many calls of a key, user, account, plan or access key there were on each of the last days, from ledger sums."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate

from accounts.models import Account
from accounts.secrets import Bucket
from keys.events import StreamId, from_ms, stream_name
from keys.ledger.calls import WHOLE, Grain
from keys.models import CallCount, StreamPosition, UsageHour
from keys.redis import client

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class DailyCalls:
    """One figure for each of `days`, the last of which is today. `true_until`: what came later is not filed yet."""

    days: list[date]
    allowed: list[int]
    denied: list[int]
    true_until: datetime | None


def calls_of_key_by_day(account: Account, key_id: int, *, now: datetime, zone: tzinfo) -> DailyCalls:
    return _by_day(account, UsageHour.objects.filter(account_id=account.pk, key_id=key_id), "hour", now, zone)


def calls_of_user_by_day(account: Account, user_id: int, *, now: datetime, zone: tzinfo) -> DailyCalls:
    """By all keys that were the user's when they called."""
    return _by_day(account, UsageHour.objects.filter(account_id=account.pk, user_id=user_id), "hour", now, zone)


def calls_of_account_by_day(account: Account, *, now: datetime, zone: tzinfo) -> DailyCalls:
    """2,880 rows however many keys it has (keys.ledger.calls); of an access key or plan no more."""
    return _of_part(account, now, zone)


def calls_with_access_key_by_day(account: Account, access_key_id: int, *, now: datetime, zone: tzinfo) -> DailyCalls:
    return _of_part(account, now, zone, access_key_id=access_key_id)


def calls_by_plan_by_day(account: Account, plan_id: int, *, now: datetime, zone: tzinfo) -> DailyCalls:
    """Of all users and keys that were on it when they called."""
    return _of_part(account, now, zone, plan_id=plan_id)


def _of_part(
    account: Account, now: datetime, zone: tzinfo, *, access_key_id: int = WHOLE, plan_id: int = WHOLE
) -> DailyCalls:
    counted = CallCount.objects.filter(
        account_id=account.pk, access_key_id=access_key_id, plan_id=plan_id, grain=Grain.QUARTER.value
    )
    return _by_day(account, counted, "start", now, zone)


def _by_day(
    account: Account, sums: QuerySet[UsageHour] | QuerySet[CallCount], at: str, now: datetime, zone: tzinfo
) -> DailyCalls:
    """Cost: two SELECTs, one round trip. Days are the zone's; an hour is counted to the day in which it begins."""
    true_until = _true_until(Bucket(account.bucket))
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    start = datetime(days[0].year, days[0].month, days[0].day, tzinfo=zone)
    by_day = sums.filter(**{f"{at}__gte": start}).values(day=TruncDate(at, tzinfo=zone))
    allowed: Counter[date] = Counter()
    denied: Counter[date] = Counter()
    for row in by_day.annotate(yes=Sum("calls_allowed"), no=Sum("calls_denied")).order_by():
        allowed[row["day"]], denied[row["day"]] = row["yes"], row["no"]
    return DailyCalls(days, [allowed[day] for day in days], [denied[day] for day in days], true_until)


def _true_until(bucket: Bucket) -> datetime | None:
    """The moment of the first event that the ledger lacks."""
    last_id = StreamPosition.objects.values_list("last_id", flat=True).get(bucket=bucket)
    beyond = client().xrange(stream_name(bucket), min=f"({last_id}", count=1)
    return from_ms(StreamId.parse(beyond[0][0]).ms) if beyond else None
