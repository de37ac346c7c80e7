"""Plans, and users with the plan they are on, as the API reads and shows them."""

from datetime import datetime
from typing import Any

from django.core.validators import validate_email
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import Choice, ClearableMoment, Flag, Text, WholeNumber
from accounts.models import NAME_LENGTH, Account, User
from plans.models import MAX_REQUESTS, UNLIMITED, Plan
from plans.windows import Period

PERIODS = [period.value for period in Period]


class PlanSerializer(serializers.Serializer[Plan]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    description = serializers.CharField()
    max_requests = serializers.IntegerField()
    request_period = serializers.ChoiceField(choices=PERIODS)
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PlanInput(serializers.Serializer[Plan]):
    name = Text(max_length=NAME_LENGTH)
    description = Text(max_length=1000, required=False, allow_blank=True)
    max_requests = WholeNumber(min_value=UNLIMITED, max_value=MAX_REQUESTS)
    request_period = Choice(choices=PERIODS)
    is_active = Flag(required=False)


class UserSerializer(serializers.Serializer[User]):
    user_id = serializers.IntegerField(source="id")
    name = serializers.CharField()
    email = serializers.SerializerMethodField()
    is_disabled = serializers.BooleanField()
    plan = serializers.SerializerMethodField()
    custom_start = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_email(self, user: User) -> str | None:
        return user.email or None

    @extend_schema_field(PlanSerializer(allow_null=True))
    def get_plan(self, user: User) -> dict[str, Any] | None:
        subscription = getattr(user, "subscription", None)
        return dict(PlanSerializer(subscription.plan).data) if subscription and subscription.plan else None

    def get_custom_start(self, user: User) -> datetime | None:
        subscription = getattr(user, "subscription", None)
        return subscription.custom_start if subscription else None


class UserInput(serializers.Serializer[User]):
    """`""` clears email, plan_id and custom_start."""

    name = Text(max_length=NAME_LENGTH)
    email = Text(max_length=254, required=False, allow_blank=True)
    is_disabled = Flag(required=False)
    plan_id = Text(required=False, allow_blank=True, max_length=40)
    custom_start = ClearableMoment(required=False)

    def validate_email(self, email: str) -> str:
        if email:
            validate_email(email)
        return email

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "plan_id" in attrs:
            subscription = getattr(self.instance, "subscription", None)
            current = subscription.plan if subscription else None
            attrs["plan"] = assignable_plan(self.context["account"], attrs.pop("plan_id"), current=current)
        return attrs


def assignable_plan(account: Account, public_id: str, *, current: Plan | None) -> Plan | None:
    """The plan that a body names; None for "". Errors: ValidationError: unknown, or inactive and not held already."""
    if not public_id:
        return None
    plan = Plan.objects.of(account).filter(public_id=public_id).first()
    if plan is None:
        raise serializers.ValidationError({"plan_id": "There is no such plan."})
    if not plan.is_active and plan != current:
        raise serializers.ValidationError({"plan_id": "The plan is not active: it can no longer be assigned."})
    return plan
