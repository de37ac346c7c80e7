"""The quotas of many keys or users at once, as lists show them: two SELECTs and one round trip however many."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from accounts.models import Account, User
from accounts.secrets import Bucket
from keys.events import counter_name, head_name
from keys.models import ApiKey, SubjectKind, UsageWindow
from keys.redis import client
from keys.subjects import Subject, subject_of_key, subject_of_user
from keys.usage import Quota
from plans.models import Plan, Subscription
from plans.windows import Period, Window, window_at


def quotas_of_keys(api_keys: Sequence[ApiKey], *, now: datetime) -> dict[int, Quota]:
    """By the key's id; the keys' accounts and plans are at hand. As keys.usage.quota_of_key says of each."""
    subscriptions = _subscriptions([key.user_id for key in api_keys if key.user_id])
    return _quotas([_counted_by_key(key, subscriptions.get(key.user_id or 0), now) for key in api_keys])


def quotas_of_users(users: Sequence[User], *, now: datetime) -> dict[int, Quota]:
    """By the user's id; the users' accounts are at hand. As keys.usage.quota_of_user says of each."""
    subscriptions = _subscriptions([user.pk for user in users])
    return _quotas([_counted_by_user(user, subscriptions.get(user.pk), now) for user in users])


class _Spent(NamedTuple):
    """One window of one account's subject."""

    account: Account
    subject: Subject
    window: Window


class _Counted(NamedTuple):
    """Which window a row is counted in, and by which plan."""

    pk: int
    plan: Plan | None
    spent: _Spent


def _counted_by_key(api_key: ApiKey, subscription: Subscription | None, now: datetime) -> _Counted:
    user_plan = subscription.plan if subscription else None
    subject = subject_of_key(
        api_key.pk,
        plan_id=api_key.plan_id,
        user_id=api_key.user_id,
        user_plan_id=user_plan.pk if user_plan else None,
    )
    anchor = subscription.custom_start if subscription and user_plan and not api_key.plan_id else None
    return _counted(api_key, subject, api_key.plan or user_plan, anchor, now)


def _counted_by_user(user: User, subscription: Subscription | None, now: datetime) -> _Counted:
    plan = subscription.plan if subscription else None
    anchor = subscription.custom_start if subscription and plan else None
    return _counted(user, subject_of_user(user.pk, plan_id=plan.pk if plan else None), plan, anchor, now)


def _counted(
    row: ApiKey | User, subject: Subject, plan: Plan | None, anchor: datetime | None, now: datetime
) -> _Counted:
    window = window_at(now, period=plan.period if plan else Period.MONTH, anchor=anchor)
    return _Counted(row.pk, plan, _Spent(row.account, subject, window))


def _subscriptions(user_ids: list[int]) -> dict[int, Subscription]:
    if not user_ids:
        return {}
    found = Subscription.objects.select_related("plan").filter(user_id__in=user_ids)
    return {subscription.user_id: subscription for subscription in found}


def _quotas(counted: list[_Counted]) -> dict[int, Quota]:
    used = _used_units({each.spent for each in counted})
    return {each.pk: Quota(each.spent.subject, each.plan, each.spent.window, used[each.spent]) for each in counted}


def _used_units(spent: set[_Spent]) -> Counter[_Spent]:
    """Each window's counter where it is of this life, else the ledger's sum."""
    asked = list(spent)
    with client().pipeline(transaction=True) as pipeline:
        for account, subject, window in asked:
            bucket = Bucket(account.bucket)
            pipeline.hget(head_name(bucket), "life")
            pipeline.hmget(counter_name(bucket, account.pk, subject, window.start, window.end), ["life", "used"])
        told = pipeline.execute()
    units: Counter[_Spent] = Counter()
    for each, life, (counter_life, used) in zip(asked, told[::2], told[1::2], strict=True):
        if used is not None and counter_life == life:
            units[each] = int(used)
    units.update(_filed_units([each for each in asked if each not in units]))
    return units


def _filed_units(spent: Sequence[_Spent]) -> Counter[_Spent]:
    units: Counter[_Spent] = Counter()
    if not spent:
        return units
    accounts, wanted = {each.account.pk: each.account for each in spent}, Q()
    for account, subject, window in spent:
        of_subject = {"account_id": account.pk, "subject_kind": subject.kind, "subject_id": subject.id}
        wanted |= Q(**of_subject, start=window.start, end=window.end)
    for row in UsageWindow.objects.filter(wanted):
        subject = Subject(SubjectKind(row.subject_kind), row.subject_id)
        each = _Spent(accounts[row.account_id], subject, Window(row.start, row.end))
        units[each] += row.units_allowed + row.units_adjusted
    return units
