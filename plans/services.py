"""What can be done with plans and with the plan a user is on."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict, Unpack

from django.db import transaction

from accounts import audit
from accounts import services as accounts
from accounts.actors import Actor
from accounts.errors import NotFoundError
from accounts.models import Account, User
from accounts.services import UserFields
from accounts.signals import announce, user_name
from plans.models import Plan, Subscription
from plans.signals import plan_name


class PlanFields(TypedDict, total=False):
    name: str
    description: str
    max_requests: int
    request_period: str
    is_active: bool


class SubscriptionFields(TypedDict, total=False):
    """`None` takes a user off its plan, or its windows back to the calendar."""

    plan: Plan | None
    custom_start: datetime | None


class UserAndSubscriptionFields(UserFields, SubscriptionFields, total=False):
    pass


@transaction.atomic
def create_plan(account: Account, *, by: Actor, **fields: Unpack[PlanFields]) -> Plan:
    plan = Plan.objects.create(account=account, **fields)
    audit.record_created(by, plan)
    return plan


@transaction.atomic
def update_plan(plan: Plan, *, by: Actor, **fields: Unpack[PlanFields]) -> None:
    for field, value in fields.items():
        setattr(plan, field, value)
    with audit.recording(by, plan):
        plan.save(update_fields=[*fields, "updated_at"])
    announce(plan.account.bucket, plan_name(plan.account_id, plan.pk))


@transaction.atomic
def create_user(account: Account, *, by: Actor, **fields: Unpack[UserAndSubscriptionFields]) -> User:
    """A user, on a plan if one is given. Errors: accounts.services.DuplicateEmail."""
    user_fields, subscription_fields = _split(fields)
    user = accounts.create_user(account, by=by, **user_fields)
    subscribe(user, by=by, **subscription_fields)
    return user


@transaction.atomic
def update_user(user: User, *, by: Actor, **fields: Unpack[UserAndSubscriptionFields]) -> None:
    """Errors: accounts.services.DuplicateEmail."""
    user_fields, subscription_fields = _split(fields)
    if user_fields:
        accounts.update_user(user, by=by, **user_fields)
    subscribe(user, by=by, **subscription_fields)


@transaction.atomic
def subscribe(user: User, *, by: Actor, reason: str = "", **fields: Unpack[SubscriptionFields]) -> None:
    """Puts a user on a plan, or moves the start of its windows; nothing when nothing is given."""
    if not fields:
        return
    refuse_deleted_plan(fields.get("plan"))
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two first subscriptions at once would clash
    subscription = Subscription.objects.filter(user=user).first() or Subscription(account=user.account, user=user)
    if start := fields.get("custom_start"):
        # Windows are counted in whole milliseconds, as Redis's clock is.
        fields["custom_start"] = start.replace(microsecond=start.microsecond // 1000 * 1000)
    for field, value in fields.items():
        setattr(subscription, field, value)
    if subscription.pk is None:
        subscription.save()
        audit.record_created(by, subscription, reason=reason)
    else:
        with audit.recording(by, subscription, reason=reason):
            subscription.save()
    user.subscription = subscription
    announce(user.account.bucket, user_name(user.account_id, user.pk))


def move_users(users: Iterable[User], *, by: Actor, source: Plan | None, target: Plan, reason: str = "") -> int:
    """Each in a transaction of its own, so that it can be stopped anywhere and begun again; how many were moved.

    With a source, one who has left it meanwhile stays where it is. Errors: NotFoundError when the target is deleted.
    """
    return sum(_move(user, by=by, source=source, target=target, reason=reason) for user in users)


def refuse_deleted_plan(plan: Plan | None) -> None:
    """To be called in the transaction that gives the plan to somebody. Errors: NotFoundError."""
    if plan is not None and not plan.is_live_until_commit():
        raise NotFoundError("plan_id", "plan")


@transaction.atomic
def _move(user: User, *, by: Actor, source: Plan | None, target: Plan, reason: str) -> bool:
    if User.objects.live().select_for_update(no_key=True).filter(pk=user.pk).first() is None:
        return False
    present = Subscription.objects.filter(user=user).values_list("plan_id", flat=True).first()
    if present == target.pk or (source is not None and present != source.pk):
        return False
    subscribe(user, by=by, reason=reason, plan=target)
    return True


def _split(fields: UserAndSubscriptionFields) -> tuple[UserFields, SubscriptionFields]:
    user_fields: UserFields = {}
    subscription_fields: SubscriptionFields = {}
    for name, value in fields.items():
        if name in SubscriptionFields.__annotations__:
            subscription_fields[name] = value  # type: ignore[literal-required]  # checked the line above
        else:
            user_fields[name] = value  # type: ignore[literal-required]
    return user_fields, subscription_fields
