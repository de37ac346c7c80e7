"""The keys that accounts issue, and the ledger: what was decided (Decision) and what it adds up to."""

import secrets
from enum import IntEnum

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper

from accounts.actors import ActorKind
from accounts.models import NAME_LENGTH, Account, Deletable, User
from accounts.secrets import BUCKETS
from plans.models import Plan


def new_key_id() -> str:
    return f"key_{secrets.token_hex(12)}"


class ApiKeyStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"


class SubjectKind(models.TextChoices):
    """Whom a window counts. What has no plan counts apart, so that a plan given later starts at nothing."""

    KEY = "k", "key with a plan of its own"
    USER = "u", "user on a plan"
    FREE_KEY = "fk", "key without plan and user"
    FREE_USER = "fu", "user without plan"


class Outcome(IntEnum):
    """What was decided of a call. The numbers are stored: never renumber."""

    ALLOWED = 1
    OVER_QUOTA = 2
    KEY_DISABLED = 3
    KEY_EXPIRED = 4
    USER_DISABLED = 5


class AdjustmentKind(models.TextChoices):
    """How staff change what is left of a window. The values are stored, and stand in the stream."""

    GRANT = "grant", "extra units granted"
    RESET = "reset", "use reset"
    TAKE = "take", "granted units taken back"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def of(self, account: Account) -> "ApiKeyQuerySet":
        """The account's keys that were not deleted."""
        return self.filter(account=account, deleted_at=None)


class ApiKey(Deletable):
    """`lk_user_…`: what an account issues to one of its users, and what gets validated."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="api_keys")
    public_id = models.CharField(max_length=40, default=new_key_id, editable=False)
    name = models.CharField(max_length=NAME_LENGTH)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="api_keys")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="api_keys")
    status = models.CharField(max_length=8, choices=ApiKeyStatus, default=ApiKeyStatus.ACTIVE)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.UniqueConstraint(fields=["account", "public_id"], name="api_key_public_id_unique"),
            models.UniqueConstraint(fields=["account", "id"], name="api_key_account_id"),
            models.CheckConstraint(condition=Q(status__in=ApiKeyStatus.values), name="api_key_status"),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], condition=Q(deleted_at=None), name="api_key_live"),
            models.Index(fields=["public_id"], name="api_key_public_id"),  # staff search beyond one account
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="api_key_by_name"),
            models.Index(
                fields=["expires_at", "account"],
                condition=Q(deleted_at=None, status="active", expires_at__isnull=False),
                name="api_key_expiring",
            ),
            models.Index(fields=["-id"], condition=Q(deleted_at=None), name="api_key_newest"),
            models.Index(
                fields=["account", "-id"], condition=Q(deleted_at=None, status="inactive"), name="api_key_inactive"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKeySecret(models.Model):
    """One digest under which an ApiKey is known: usually one a key; two while a rotation overlaps."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="secrets")
    digest = models.BinaryField(max_length=32, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API key secret"
        constraints = [models.UniqueConstraint(fields=["account", "digest"], name="api_key_secret_unique")]
        indexes = [  # for staff, who paste a secret or remember either end of it, and need not know whose it is
            models.Index(fields=["digest"], name="api_key_secret_by_digest"),
            models.Index(fields=["prefix"], name="api_key_secret_by_start"),
            models.Index(fields=["last4"], name="api_key_secret_by_end"),
        ]

    def __str__(self) -> str:
        return self.masked

    @property
    def masked(self) -> str:
        """What a person may see of the secret."""
        return f"{self.prefix}…{self.last4}"


class Decision(models.Model):
    """One event of the ledger, for 35 days. Partitioned by day; names no rows by foreign key, for it outlives them.

    The table's primary key is (account_id, at, id); `id` alone is declared to Django and is made from the bucket and
    the stream's id (keys.events.decision_id), so that no event can be in it twice.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    account_id = models.BigIntegerField()
    access_key_id = models.BigIntegerField()
    api_key_id = models.BigIntegerField()
    user_id = models.BigIntegerField(null=True)
    plan_id = models.BigIntegerField(null=True)
    subject_kind = models.CharField(max_length=2, choices=SubjectKind, blank=True, default="")
    subject_id = models.BigIntegerField(null=True)
    window_start = models.DateTimeField(null=True)
    window_end = models.DateTimeField(null=True)
    outcome = models.PositiveSmallIntegerField(choices=[(outcome.value, outcome.name.lower()) for outcome in Outcome])
    cost = models.PositiveIntegerField()
    method = models.CharField(max_length=16)
    endpoint = models.CharField(max_length=2048)
    ip = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint}: {Outcome(self.outcome).name.lower()}"


class Adjustment(models.Model):
    """An event with an amount and a reason: a window was reset, more was granted for it, or taken back. Kept for good.

    The id is made as a decision's is, so that no event can be in it twice. Names no rows by foreign key.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    account_id = models.BigIntegerField()
    subject_kind = models.CharField(max_length=2, choices=SubjectKind)
    subject_id = models.BigIntegerField()
    start = models.DateTimeField()
    end = models.DateTimeField()
    kind = models.CharField(max_length=5, choices=AdjustmentKind)
    amount = models.BigIntegerField(
        help_text="What the window's use was changed by: below zero unless units were taken back."
    )
    plan_id = models.BigIntegerField(null=True)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices())
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    request_id = models.UUIDField(help_text="Names the wish: carried out once, however often it was sent.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=(Q(amount__lt=0) & ~Q(kind="take")) | Q(amount__gt=0, kind="take"), name="adjustment_sign"
            ),
            models.CheckConstraint(condition=Q(kind__in=AdjustmentKind.values), name="adjustment_kind"),
            models.CheckConstraint(condition=Q(start__lt=models.F("end")), name="adjustment_forward"),
        ]
        indexes = [
            models.Index(fields=["account_id", "subject_kind", "subject_id", "end"], name="adjustment_of_subject")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.amount}"


class Tally(models.Model):
    """Sums over events, the columns that windows and hours share."""

    units_allowed = models.BigIntegerField(default=0)
    units_adjusted = models.BigIntegerField(default=0)
    calls_allowed = models.BigIntegerField(default=0)
    calls_denied = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class UsageWindow(Tally):
    """What one key spent in one window of one subject; a subject's use is the sum over its keys. Kept for good.

    Key 0 is no key: in its row stands what staff adjusted.
    """

    account_id = models.BigIntegerField()
    subject_kind = models.CharField(max_length=2, choices=SubjectKind)
    subject_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    start = models.DateTimeField()
    end = models.DateTimeField()

    class Meta:
        constraints = [
            # `end` comes before `key_id`: a fill reads the windows that have not ended, however many there were.
            models.UniqueConstraint(
                fields=["account_id", "subject_kind", "subject_id", "end", "start", "key_id"],
                name="usage_window_unique",
            ),
            models.CheckConstraint(condition=Q(start__lt=models.F("end")), name="usage_window_forward"),
        ]
        indexes = [models.Index(fields=["account_id", "end", "units_allowed"], name="usage_window_end")]

    def __str__(self) -> str:
        return f"{self.subject_kind}{self.subject_id} {self.start:%Y-%m-%d}..{self.end:%Y-%m-%d}"


class UsageHour(Tally):
    """All calls of one key in one clock hour, by the user and plan it had then (0 = none). Kept for good."""

    account_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    user_id = models.BigIntegerField(default=0)
    plan_id = models.BigIntegerField(default=0)
    hour = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "key_id", "hour", "user_id", "plan_id"], name="usage_hour_unique"
            )
        ]
        indexes = [
            models.Index(fields=["account_id", "user_id", "hour"], name="usage_hour_user"),
            models.Index(fields=["account_id", "hour"], name="usage_hour_account"),
        ]

    def __str__(self) -> str:
        return f"key {self.key_id} {self.hour:%Y-%m-%d %H}h"


class CallCount(models.Model):
    """Calls of one account (0 = of all in its bucket) in one minute or quarter hour (keys.ledger.calls).

    Of a quarter hour also those with one access key, and those by one plan; 0 in both is all of them. Minutes are kept
    for two days, quarter hours for good.
    """

    account_id = models.BigIntegerField()
    access_key_id = models.BigIntegerField(default=0, db_default=0)
    plan_id = models.BigIntegerField(default=0, db_default=0)
    grain = models.PositiveSmallIntegerField(choices=[(1, "minute"), (15, "quarter hour")])
    start = models.DateTimeField()
    bucket = models.PositiveSmallIntegerField()
    calls_allowed = models.BigIntegerField()
    calls_denied = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "access_key_id", "plan_id", "grain", "start", "bucket"], name="call_count_of_part"
            )
        ]
        indexes = [models.Index(fields=["start"], condition=Q(grain=1), name="call_count_oldest_minute")]

    def __str__(self) -> str:
        return f"{self.calls_allowed} allowed, {self.calls_denied} denied from {self.start:%Y-%m-%d %H:%M}"


class NearLimit(models.Model):
    """A user, or a key with a plan of its own, that had used nine tenths of its window when it was looked at."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    subject_kind = models.CharField(max_length=2, choices=SubjectKind)
    subject_id = models.BigIntegerField()
    window_end = models.DateTimeField()
    used = models.BigIntegerField()
    limit = models.BigIntegerField()
    percent = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "subject_kind", "subject_id"], name="near_limit_unique")
        ]
        indexes = [
            models.Index(fields=["account", "-percent"], name="near_limit_of_account"),
            models.Index(fields=["-percent"], name="near_limit_most"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_kind}{self.subject_id}: {self.used} of {self.limit}"


class LimitWatch(models.Model):
    """When an account's windows were last looked through, and how many subjects were near (or over) their limit."""

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="+", primary_key=True)
    looked_at = models.DateTimeField()
    near = models.PositiveIntegerField(help_text="Those over it included.")
    over = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.near} near their limit at {self.looked_at:%Y-%m-%d %H:%M}"


class StreamPosition(models.Model):
    """The last event of a bucket's stream that is in the ledger. Its row lock is the ledger's only lock."""

    bucket = models.PositiveSmallIntegerField(primary_key=True)
    last_id = models.CharField(max_length=41, default="0-0")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(bucket__lt=BUCKETS), name="stream_position_bucket")]

    def __str__(self) -> str:
        return f"bucket {self.bucket:x} at {self.last_id}"


class PendingInvalidation(models.Model):
    """Names that validate must forget, written by the changing transaction; gone once Redis has forgotten them."""

    bucket = models.PositiveSmallIntegerField()
    names = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"bucket {self.bucket:x}: {len(self.names)} names"


class DeadEvent(models.Model):
    """An event that PostgreSQL refused, as it stood in the stream, so that nothing is lost."""

    bucket = models.PositiveSmallIntegerField()
    stream_id = models.CharField(max_length=41)
    fields = models.JSONField()
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bucket", "stream_id"], name="dead_event_unique")]

    def __str__(self) -> str:
        return f"bucket {self.bucket:x} {self.stream_id}"
