"""What goes on among keys: calls of all accounts or one, who called, whose quota is nearly spent, which keys expire.

Everything is asked of sums (keys.ledger.calls, keys.ledger.limits, hours) and indexes, in a bounded number of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import Min, Sum

from accounts.models import AccessKey, User
from keys.ledger.calls import ALL_ACCOUNTS, NONE, WHOLE, Calls, Grain
from keys.models import ApiKey, CallCount, LimitWatch, NearLimit, SubjectKind

EXPIRES_WITHIN: Final = timedelta(days=7)
SHOWN: Final = 8
COUNT_MAX: Final = 10_000
# Hours that are looked through for who called: beyond that the answer is "at least".
HOURS_MAX: Final = 50_000
ACTIVE_USERS = """
SELECT count(DISTINCT user_id), count(*) FROM (
  SELECT h.user_id FROM accounts_account AS a CROSS JOIN LATERAL (
           SELECT user_id FROM keys_usagehour AS u
            WHERE u.account_id = a.id AND u.hour >= date_trunc('hour', %(start)s::timestamptz, 'UTC')
              AND u.hour < %(end)s AND u.user_id <> 0) AS h
   WHERE %(account)s::bigint IS NULL OR a.id = %(account)s LIMIT %(most)s) AS called
"""


class Count(NamedTuple):
    """`is_cut`: there may be more, which were not looked at."""

    number: int
    is_cut: bool = False

    def __str__(self) -> str:
        return f"at least {self.number:,}" if self.is_cut else f"{self.number:,}"


@dataclass(slots=True)
class Expiring:
    """The next of those that expire within EXPIRES_WITHIN."""

    api_keys: list[ApiKey] = field(default_factory=list)
    api_key_count: Count = field(default_factory=lambda: Count(0))
    access_keys: list[AccessKey] = field(default_factory=list)


class NearOne(NamedTuple):
    """`user` or `api_key`, whichever the limit is of; neither where it was deleted since."""

    row: NearLimit
    user: User | None
    api_key: ApiKey | None


@dataclass(slots=True)
class Near:
    """The first of them; how many in all; until when that is true (None: nobody looked yet)."""

    first: list[NearOne] = field(default_factory=list)
    near: int = 0
    over: int = 0
    true_until: datetime | None = None


def calls_in(starts: Sequence[datetime], end: datetime, *, account_id: int | None, grain: Grain) -> list[Calls]:
    """One for each of these starts of tiles, the last of which ends at `end`. One SELECT."""
    whole = CallCount.objects.filter(account_id=account_id or ALL_ACCOUNTS, access_key_id=WHOLE, plan_id=WHOLE)
    counted = whole.filter(grain=grain.value, start__gte=starts[0], start__lt=end)
    rows = counted.values_list("start").annotate(Sum("calls_allowed"), Sum("calls_denied")).order_by("start")
    return list(_folded(iter(rows.iterator()), [*starts[1:], end]))


def _folded(rows: Iterator[tuple[datetime, int, int]], ends: Sequence[datetime]) -> Iterator[Calls]:
    row = next(rows, None)
    for end in ends:
        calls = NONE
        while row is not None and row[0] < end:
            calls += Calls(row[1], row[2])
            row = next(rows, None)
        yield calls


def was_ever_called() -> bool:
    return CallCount.objects.filter(account_id=ALL_ACCOUNTS).exists()


def active_users(start: datetime, end: datetime, *, account_id: int | None) -> Count:
    """Who called within the clock hours that [start, end) touches. One SELECT of at most HOURS_MAX rows."""
    given = {"start": start, "end": end, "account": account_id, "most": HOURS_MAX}
    with connection.cursor() as cursor:
        cursor.execute(ACTIVE_USERS, given)
        users, rows = cursor.fetchone()
    return Count(users, is_cut=rows == HOURS_MAX)


def expiring(now: datetime, *, account_id: int | None) -> Expiring:
    """Three SELECTs."""
    soon = {"expires_at__gte": now, "expires_at__lt": now + EXPIRES_WITHIN}
    api_keys = ApiKey.objects.filter(**soon, deleted_at=None, status="active", expires_at__isnull=False)
    access_keys = AccessKey.objects.filter(**soon, revoked_at=None)
    if account_id is not None:
        api_keys, access_keys = api_keys.filter(account=account_id), access_keys.filter(account=account_id)
    counted = api_keys[:COUNT_MAX].count()
    return Expiring(
        list(api_keys.select_related("account", "user").order_by("expires_at", "account")[:SHOWN]),
        Count(counted, is_cut=counted == COUNT_MAX),
        list(access_keys.select_related("account").order_by("expires_at")[:SHOWN]),
    )


def near_limits(*, account_id: int | None) -> Near:
    """As of the last look (keys.ledger.limits). Four SELECTs at most."""
    rows, watches = NearLimit.objects.select_related("account"), LimitWatch.objects.all()
    if account_id is not None:
        rows, watches = rows.filter(account=account_id), watches.filter(account=account_id)
    told = watches.aggregate(near=Sum("near", default=0), over=Sum("over", default=0), oldest=Min("looked_at"))
    first = list(rows.order_by("-percent", "pk")[:SHOWN])
    users = User.objects.live().in_bulk([row.subject_id for row in first if row.subject_kind == SubjectKind.USER])
    wanted = [row.subject_id for row in first if row.subject_kind == SubjectKind.KEY]
    api_keys = ApiKey.objects.filter(deleted_at=None).in_bulk(wanted)
    shown = [
        NearOne(row, users.get(row.subject_id), None)
        if row.subject_kind == SubjectKind.USER
        else NearOne(row, None, api_keys.get(row.subject_id))
        for row in first
    ]
    return Near(shown, told["near"], told["over"], told["oldest"])
