"""Who there is: tenants, the credentials of their backends, their end users, and the staff of this installation."""

from enum import StrEnum

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Lower, Upper
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.actors import ActorKind
from accounts.secrets import BUCKETS

NAME_LENGTH = 100


class Scope(StrEnum):
    """What an access key may be used for; a key without scopes may be used for everything."""

    LIMITLY = "limitly"
    ANALYTICS = "analytics"


class Staff(AbstractUser):
    """A Django login of this installation's operators; never a customer's end user (that is User)."""

    class Meta:
        verbose_name = "staff member"
        verbose_name_plural = "staff"


class SecondFactor(TOTPDevice):  # type: ignore[misc]  # django-otp has no types
    """What a member of staff shows beside a password: an authenticator's code, which changes every 30 seconds.

    The table holds no secret: `key` is random, and the authenticator's secret is made of it and SECRET_KEY.
    """

    class Meta:
        proxy = True
        default_permissions = ()

    @property
    def bin_key(self) -> bytes:
        return salted_hmac("limitly.second_factor", self.key, algorithm="sha256").digest()[:20]


class Account(models.Model):
    """A tenant: a customer of this installation. Everything else belongs to exactly one."""

    name = models.CharField(max_length=NAME_LENGTH)
    slug = models.SlugField(max_length=NAME_LENGTH, unique=True)
    bucket = models.PositiveSmallIntegerField(
        editable=False, help_text="Where the account's counters live; never changed (a trigger refuses it)."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(bucket__lt=BUCKETS), name="account_bucket_in_range")]
        indexes = [
            models.Index(fields=["name", "-id"], name="account_by_name"),
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="account_named"),
        ]

    def __str__(self) -> str:
        return self.name


class AccessKey(models.Model):
    """`lk_…`: the credential with which an account's backend calls this API. Kept as a digest, shown once."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="access_keys")
    name = models.CharField(max_length=NAME_LENGTH)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    scopes = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    requests_per_minute = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="Calls of the Limitly endpoints in a clock minute; empty = unlimited.",
    )
    analytics_requests_per_minute = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="Calls of the analytics endpoints in a clock minute; empty = unlimited.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=[scope.value for scope in Scope]),
                name="access_key_scopes_known",
            ),
            # Target of the composite foreign keys that keep what names a key in the key's account.
            models.UniqueConstraint(fields=["account", "id"], name="access_key_account_id"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """What a person may see of the secret."""
        return f"{self.prefix}…{self.last4}"

    def allows(self, scope: Scope) -> bool:
        return not self.scopes or scope in self.scopes


class Deletable(models.Model):
    """What is deleted by a mark: the row, and the history that names it, stay."""

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def is_live_until_commit(self) -> bool:
        """Whether it is not deleted, and cannot be before this transaction ends. One SELECT.

        Foreign keys are checked at commit here, and a mark does not break them. A deletion takes the row FOR UPDATE:
        it waits for us, or we for it.
        """
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(self._meta.db_table)
            live = f"SELECT deleted_at IS NULL FROM {table} WHERE id = %s FOR KEY SHARE"  # noqa: S608  # a model's table
            cursor.execute(live, [self.pk])
            row = cursor.fetchone()
        return row is not None and bool(row[0])


class UserQuerySet(models.QuerySet["User"]):
    def live(self) -> "UserQuerySet":
        return self.filter(deleted_at=None)

    def of(self, account: Account) -> "UserQuerySet":
        """The account's users that were not deleted."""
        return self.live().filter(account=account)


class User(Deletable):
    """An end user of the account's API (not a login of this site)."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="users")
    name = models.CharField(max_length=NAME_LENGTH)
    email = models.CharField(max_length=254, blank=True, default="")
    is_disabled = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = UserQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "account",
                Lower("email"),
                condition=Q(deleted_at=None) & ~Q(email=""),
                name="user_email_unique",
            ),
            # Target of the composite foreign keys that keep a key and its user in one account.
            models.UniqueConstraint(fields=["account", "id"], name="user_account_id"),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], condition=Q(deleted_at=None), name="user_live"),
            # Staff look beyond one account: by how an address or name begins, at the newest, at the disabled.
            models.Index(OpClass(Upper("email"), "text_pattern_ops"), name="user_by_address"),
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="user_by_name"),
            models.Index(fields=["-id"], condition=Q(deleted_at=None), name="user_newest"),
            models.Index(
                fields=["account", "-id"], condition=Q(deleted_at=None, is_disabled=True), name="user_disabled"
            ),
        ]
        permissions = [("see_personal_data", "Can see names, e-mail addresses, IP addresses and bodies in clear")]

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """Who changed what, when, from where, before and after: written in the transaction of the change, never edited.

    Secrets are not in it: digests are left out, and nothing else of a secret is ever a field.
    """

    at = models.DateTimeField(default=timezone.now)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    actor_kind = models.CharField(max_length=16, choices=ActorKind.choices())
    actor_name = models.CharField(max_length=150)
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=64)
    row_type = models.CharField(max_length=64)
    row_id = models.BigIntegerField()
    row_name = models.CharField(max_length=200)
    before = models.JSONField()
    after = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "change"
        indexes = [  # one for each filter of the list, all in its order
            models.Index(fields=["-at", "-id"], name="change_newest"),
            models.Index(fields=["account", "-at", "-id"], name="change_of_account"),
            models.Index(fields=["row_type", "row_id", "-at", "-id"], name="change_of_row"),
            models.Index(fields=["row_type", "-at", "-id"], name="change_of_kind"),
            models.Index(fields=["actor_kind", "-at", "-id"], name="change_by_kind"),
            models.Index(fields=["actor_name", "-at", "-id"], name="change_by_actor"),
            models.Index(fields=["action", "-at", "-id"], name="change_action"),
            models.Index(OpClass(Upper("row_name"), "text_pattern_ops"), name="change_of_name"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.row_name}"
