"""What can be done with accounts, access keys and users: each in one transaction, each by somebody."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypedDict, TypeVar, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts import audit
from accounts.actors import Actor
from accounts.errors import RefusedError
from accounts.models import AccessKey, Account, User
from accounts.secrets import BUCKETS, Bucket, digest_of, new_access_key
from accounts.signals import access_key_name, announce, user_name

Row = TypeVar("Row")
PREFIX_LENGTH = 7


@dataclass(frozen=True, slots=True)
class Issued(Generic[Row]):
    """A row and the secret that is shown this once and kept nowhere."""

    row: Row
    secret: str


class DuplicateEmail(RefusedError):
    """Another live user of the account has this e-mail address."""

    code = "DUPLICATE_EMAIL"


class AccessKeySettings(TypedDict, total=False):
    """`None` as a number of requests = unlimited; left out = the installation's default."""

    scopes: list[str]
    requests_per_minute: int | None
    analytics_requests_per_minute: int | None
    expires_at: datetime | None


class UserFields(TypedDict, total=False):
    name: str
    email: str
    is_disabled: bool


@transaction.atomic
def create_account(name: str, *, by: Actor) -> Account:
    slug = slugify(name)[:80] or "account"
    if Account.objects.filter(slug=slug).exists():
        slug = f"{slug}-{secrets.token_hex(4)}"
    account = Account.objects.create(name=name, slug=slug, bucket=secrets.randbelow(BUCKETS))
    audit.record_created(by, account)
    return account


@transaction.atomic
def rename_account(account: Account, *, name: str, by: Actor) -> None:
    with audit.recording(by, account):
        account.name = name
        account.save(update_fields=["name", "updated_at"])


@transaction.atomic
def create_access_key(
    account: Account, *, name: str, by: Actor, **given: Unpack[AccessKeySettings]
) -> Issued[AccessKey]:
    secret = new_access_key(Bucket(account.bucket))
    defaults: AccessKeySettings = {
        "requests_per_minute": settings.LIMITLY_REQUESTS_PER_MINUTE,
        "analytics_requests_per_minute": settings.LIMITLY_ANALYTICS_REQUESTS_PER_MINUTE,
    }
    access_key = AccessKey.objects.create(
        account=account,
        name=name,
        digest=digest_of(secret),
        prefix=secret[:PREFIX_LENGTH],
        last4=secret[-4:],
        **(defaults | given),
    )
    announce(account.bucket, access_key_name(bytes(access_key.digest)))
    audit.record_created(by, access_key)
    return Issued(access_key, secret)


@transaction.atomic
def update_access_key(
    access_key: AccessKey, *, by: Actor, name: str | None = None, **given: Unpack[AccessKeySettings]
) -> None:
    for field, value in given.items():
        setattr(access_key, field, value)
    if name is not None:
        access_key.name = name
    with audit.recording(by, access_key):
        access_key.save()
    announce(access_key.account.bucket, access_key_name(bytes(access_key.digest)))


@transaction.atomic
def revoke_access_key(access_key: AccessKey, *, now: datetime, by: Actor) -> None:
    """One way: a revoked key stays revoked, since its first revocation."""
    if access_key.revoked_at is None:
        access_key.revoked_at = now
        with audit.recording(by, access_key, "revoked"):
            access_key.save(update_fields=["revoked_at"])
    announce(access_key.account.bucket, access_key_name(bytes(access_key.digest)))


@transaction.atomic
def create_user(account: Account, *, by: Actor, **fields: Unpack[UserFields]) -> User:
    """Errors: DuplicateEmail."""
    user = User(account=account, **fields)
    _save_user(user, None)
    audit.record_created(by, user)
    return user


@transaction.atomic
def update_user(user: User, *, by: Actor, **fields: Unpack[UserFields]) -> None:
    """Errors: DuplicateEmail."""
    for field, value in fields.items():
        setattr(user, field, value)
    with audit.recording(by, user):
        _save_user(user, fields)
    announce(user.account.bucket, user_name(user.account_id, user.pk))


def _save_user(user: User, fields: Iterable[str] | None) -> None:
    try:
        with transaction.atomic():
            user.save(update_fields=None if fields is None else [*fields, "updated_at"])
    except IntegrityError as error:
        if "user_email_unique" in str(error):
            raise DuplicateEmail("Another user has this e-mail address.") from error
        raise
