"""What can be done with API keys, and what deleting users and plans means for them."""

from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import NotFoundError, RefusedError
from accounts.models import Account, User
from accounts.secrets import digest_of
from accounts.services import Issued
from accounts.signals import announce, user_name
from keys.invalidation import api_key_name
from keys.models import ApiKey, ApiKeySecret
from keys.secrets import new_api_key
from plans.models import Plan
from plans.services import refuse_deleted_plan
from plans.signals import plan_name

PREFIX_LENGTH = 12
NO_OVERLAP = timedelta(0)
OVERLAP_MAX = timedelta(days=30)


class PlanInUse(RefusedError):
    """A plan that live users or keys hold is not deleted."""

    def __init__(self, users: int, keys: int) -> None:
        super().__init__(f"The plan is in use by {users} users and {keys} API keys: move them to another plan first.")
        self.users, self.keys = users, keys


class ApiKeyFields(TypedDict, total=False):
    name: str
    user: User | None
    plan: Plan | None
    status: str
    expires_at: datetime | None


@transaction.atomic
def issue_api_key(account: Account, *, by: Actor, **fields: Unpack[ApiKeyFields]) -> Issued[ApiKey]:
    _refuse_deleted(fields)
    api_key = ApiKey.objects.create(account=account, **fields)
    secret = _add_secret(api_key)
    audit.record_created(by, api_key)
    return Issued(api_key, secret)


@transaction.atomic
def update_api_key(api_key: ApiKey, *, by: Actor, reason: str = "", **fields: Unpack[ApiKeyFields]) -> None:
    _refuse_deleted(fields)
    for field, value in fields.items():
        setattr(api_key, field, value)
    with audit.recording(by, api_key, reason=reason):
        api_key.save(update_fields=[*fields, "updated_at"])
    announce(api_key.account.bucket, *_secret_names(api_key))


@transaction.atomic
def regenerate_api_key(api_key: ApiKey, *, by: Actor, now: datetime, overlap: timedelta = NO_OVERLAP) -> Issued[ApiKey]:
    """A new secret under the same id. The old ones stop at once, or when the overlap is over if that is sooner than
    they would have."""
    ApiKey.objects.select_for_update().get(pk=api_key.pk)  # two regenerations at once leave one secret, not two
    names = _secret_names(api_key)
    if overlap:
        _let_expire(api_key, now + overlap)
        api_key.secrets.filter(expires_at__lte=now).delete()
    else:
        api_key.secrets.all().delete()
    secret = _add_secret(api_key)
    api_key.save(update_fields=["updated_at"])
    told = {"secret": f"{secret[:PREFIX_LENGTH]}…{secret[-4:]}", "overlap_seconds": int(overlap.total_seconds())}
    audit.record_done(by, api_key, "given a new secret", told=told)
    announce(api_key.account.bucket, *names)
    return Issued(api_key, secret)


@transaction.atomic
def delete_api_key(api_key: ApiKey, *, now: datetime, by: Actor) -> None:
    """The key stops at once; the row and its history stay."""
    api_key.deleted_at = now
    with audit.recording(by, api_key, "deleted"):
        api_key.save(update_fields=["deleted_at"])
    announce(api_key.account.bucket, *_secret_names(api_key))


@transaction.atomic
def delete_user(user: User, *, now: datetime, by: Actor) -> None:
    """The user and all its keys stop at once; the rows and their history stay."""
    User.objects.select_for_update().get(pk=user.pk)  # waits for keys that are being issued to the user
    user.deleted_at = now
    with audit.recording(by, user, "deleted"):
        user.save(update_fields=["deleted_at"])
    keys = ApiKey.objects.filter(user=user, deleted_at=None)
    digests = ApiKeySecret.objects.filter(api_key__in=keys).values_list("digest", flat=True)
    names = [api_key_name(user.account_id, bytes(digest)) for digest in digests]
    keys.update(deleted_at=now)
    announce(user.account.bucket, user_name(user.account_id, user.pk), *names)


@transaction.atomic
def delete_plan(plan: Plan, *, now: datetime, by: Actor) -> None:
    """Errors: PlanInUse."""
    Plan.objects.select_for_update().get(pk=plan.pk)
    users = plan.subscriptions.filter(user__deleted_at=None).count()
    keys = plan.api_keys.filter(deleted_at=None).count()
    if users or keys:
        raise PlanInUse(users, keys)
    plan.deleted_at = now
    with audit.recording(by, plan, "deleted"):
        plan.save(update_fields=["deleted_at"])
    announce(plan.account.bucket, plan_name(plan.account_id, plan.pk))


def _refuse_deleted(fields: ApiKeyFields) -> None:
    """What a key is given may be being deleted at the same moment. Errors: NotFoundError."""
    refuse_deleted_plan(fields.get("plan"))
    user = fields.get("user")
    if user is not None and not user.is_live_until_commit():
        raise NotFoundError("user_id", "user")


def _add_secret(api_key: ApiKey) -> str:
    secret = new_api_key()
    digest = digest_of(secret)
    ApiKeySecret.objects.create(
        account_id=api_key.account_id,
        api_key=api_key,
        digest=digest,
        prefix=secret[:PREFIX_LENGTH],
        last4=secret[-4:],
    )
    announce(api_key.account.bucket, api_key_name(api_key.account_id, digest))
    return secret


def _let_expire(api_key: ApiKey, at: datetime) -> None:
    for old in api_key.secrets.all():
        if old.expires_at is None or old.expires_at > at:
            old.expires_at = at
            old.save(update_fields=["expires_at"])


def _secret_names(api_key: ApiKey) -> list[str]:
    digests = api_key.secrets.values_list("digest", flat=True)
    return [api_key_name(api_key.account_id, bytes(digest)) for digest in digests]
