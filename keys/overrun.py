"""Whom a limit would refuse: a plan's users and keys that have used as much already, by the ledger's windows.

The index of windows by account, end and units gives those that used most; a plan's members among them are summed over
all their keys. So it costs the same for a hundred users as for a hundred thousand, and says when it did not see all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from accounts.models import User
from keys.counters import Counted, filed_grants
from keys.models import ApiKey, SubjectKind, UsageWindow
from keys.subjects import Subject
from plans.models import Plan, Subscription
from plans.windows import Period, Window, window_at

# So many windows are looked at, of those that follow the calendar and of those that do not.
LOOKED_AT = 5_000
SHOWN = 20
COUNT_MAX = 10_000
SUMS = """
SELECT subject_id, sum(units_allowed + units_adjusted)::bigint
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS wanted (pk, first, last)
  JOIN keys_usagewindow ON account_id = %s AND subject_kind = %s AND subject_id = pk AND "end" = last AND start = first
 GROUP BY subject_id
"""


@dataclass(frozen=True, slots=True)
class Over:
    """A user or key that has used as much as the limit, or more; `window` is the one in which it would be refused.

    `used` is net of `granted`, which may be used besides the limit.
    """

    of: User | ApiKey
    used: int
    window: Window
    granted: int = 0


@dataclass(frozen=True, slots=True)
class Overrun:
    """How many there are, and those that used most. `is_whole` False: at least so many."""

    count: int
    first: list[Over]
    is_whole: bool = True


def overrun_of_plan(plan: Plan, *, limit: int, period: Period, now: datetime, with_keys: bool = True) -> Overrun:
    """If its users (and the keys that have it as their own) had this limit in windows of this period."""
    subscribed = Subscription.objects.filter(plan=plan, user__deleted_at=None)
    calendar = window_at(now, period=period)
    most, is_whole = _most_used(plan.account_id, calendar)
    of_users = subscribed.filter(custom_start=None, user_id__in=most[SubjectKind.USER])
    windows = dict.fromkeys(of_users.values_list("user_id", flat=True), calendar)
    anchored = subscribed.exclude(custom_start=None).values_list("user_id", "custom_start")[: LOOKED_AT + 1]
    windows |= {user_id: window_at(now, period=period, anchor=start) for user_id, start in list(anchored)[:LOOKED_AT]}
    found = _over(plan.account_id, SubjectKind.USER, windows, limit)
    if with_keys:
        of_keys = ApiKey.objects.filter(plan=plan, deleted_at=None, pk__in=most[SubjectKind.KEY])
        keys = dict.fromkeys(of_keys.values_list("pk", flat=True), calendar)
        found |= _over(plan.account_id, SubjectKind.KEY, keys, limit)
    return _named(found, is_whole=is_whole and len(anchored) <= LOOKED_AT)


def overrun_of_users(users: Iterable[User], *, limit: int, period: Period, now: datetime) -> Overrun:
    """If these users, all of one account, had this limit; their subscriptions tell from when they are counted."""
    given = {user.pk: user for user in users}
    if not given:
        return Overrun(0, [])
    anchors = dict(Subscription.objects.filter(user_id__in=given).values_list("user_id", "custom_start"))
    windows = {pk: window_at(now, period=period, anchor=anchors.get(pk)) for pk in given}
    account_id = next(iter(given.values())).account_id
    return _named(_over(account_id, SubjectKind.USER, windows, limit), is_whole=True)


def bounded_count(rows: QuerySet[Subscription] | QuerySet[ApiKey]) -> int:
    """COUNT_MAX + 1 means: more than COUNT_MAX."""
    return rows.order_by()[: COUNT_MAX + 1].count()


def _most_used(account_id: int, window: Window) -> tuple[dict[SubjectKind, set[int]], bool]:
    """Subjects of the windows with most units, and whether these are all that have any."""
    rows = UsageWindow.objects.filter(account_id=account_id, end=window.end, units_allowed__gt=0)
    most = list(rows.order_by("-units_allowed").values_list("start", "subject_kind", "subject_id")[: LOOKED_AT + 1])
    subjects: dict[SubjectKind, set[int]] = {kind: set() for kind in SubjectKind}
    for start, kind, subject_id in most[:LOOKED_AT]:
        if start == window.start:
            subjects[SubjectKind(kind)].add(subject_id)
    return subjects, len(most) <= LOOKED_AT


def _over(
    account_id: int, kind: SubjectKind, windows: dict[int, Window], limit: int
) -> dict[Subject, tuple[int, Window]]:
    if limit < 0 or not windows:
        return {}
    wanted = (list(windows), [each.start for each in windows.values()], [each.end for each in windows.values()])
    with connection.cursor() as cursor:
        cursor.execute(SUMS, [*wanted, account_id, kind.value])
        return {Subject(kind, pk): (used, windows[pk]) for pk, used in cursor.fetchall() if used >= limit}


def _named(found: dict[Subject, tuple[int, Window]], *, is_whole: bool) -> Overrun:
    most = sorted(found.items(), key=lambda each: (-each[1][0], each[0]))[:SHOWN]
    ids = {kind: [subject.id for subject, _ in most if subject.kind is kind] for kind in SubjectKind}
    rows: dict[Subject, User | ApiKey] = {}
    for user in User.objects.select_related("account").filter(pk__in=ids[SubjectKind.USER]):
        rows[Subject(SubjectKind.USER, user.pk)] = user
    for api_key in ApiKey.objects.select_related("account").filter(pk__in=ids[SubjectKind.KEY]):
        rows[Subject(SubjectKind.KEY, api_key.pk)] = api_key
    counted = {subject: Counted(rows[subject].account, subject, window) for subject, (_, window) in most}
    granted = filed_grants(counted.values())
    first = [Over(rows[subject], used, window, granted[counted[subject]]) for subject, (used, window) in most]
    return Overrun(len(found), first, is_whole)
