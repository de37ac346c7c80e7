"""What is sold: plans, and which plan a user is on since when."""

import secrets

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import NAME_LENGTH, Account, Deletable, User
from plans.windows import Period

UNLIMITED = -1
MAX_REQUESTS = 9_000_000_000_000


def new_plan_id() -> str:
    return f"plan_{secrets.token_hex(12)}"


class PlanQuerySet(models.QuerySet["Plan"]):
    def of(self, account: Account) -> "PlanQuerySet":
        """The account's plans that were not deleted."""
        return self.filter(account=account, deleted_at=None)


class Plan(Deletable):
    """A limit of requests per calendar (or anchored) day, week, month or year."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="plans")
    public_id = models.CharField(max_length=40, default=new_plan_id, editable=False)
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.CharField(max_length=1000, blank=True, default="")
    max_requests = models.BigIntegerField(help_text="Units per period; -1 = unlimited.")
    request_period = models.CharField(max_length=5, choices=[(period.value, period.value) for period in Period])
    is_active = models.BooleanField(default=True, help_text="Off: no longer assignable; those on it keep it.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PlanQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "public_id"], name="plan_public_id_unique"),
            models.UniqueConstraint(fields=["account", "id"], name="plan_account_id"),
            models.CheckConstraint(
                condition=Q(max_requests__gte=UNLIMITED, max_requests__lte=MAX_REQUESTS),
                name="plan_max_requests",
            ),
            models.CheckConstraint(
                condition=Q(request_period__in=[period.value for period in Period]),
                name="plan_request_period",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def period(self) -> Period:
        return Period(self.request_period)

    @property
    def is_unlimited(self) -> bool:
        return self.max_requests == UNLIMITED


class Subscription(models.Model):
    """Which plan a user is on since when, and the instant from which the windows count (none: the calendar)."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="subscription")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="subscriptions")
    since = models.DateTimeField(default=timezone.now)
    custom_start = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(custom_start=None)
                | Q(custom_start__gte="1970-01-01T00:00:00Z", custom_start__lt="3000-01-01T00:00:00Z"),
                name="subscription_custom_start_sane",
            )
        ]
        indexes = [models.Index(fields=["account", "-id"], name="subscription_of_account")]

    def __str__(self) -> str:
        return f"{self.user} on {self.plan}"
