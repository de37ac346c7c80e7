"""API keys, their usage and their history, as the API reads and shows them."""

from typing import Any

from rest_framework import serializers

from accounts.api.fields import Choice, Moment, Text
from accounts.models import NAME_LENGTH, Account, User
from keys.history import Call, Filters
from keys.models import ApiKey, ApiKeyStatus, Outcome
from keys.quotas import Quota
from keys.services import OVERLAP_MAX
from keys.usage import KeyUsage, PlanUsage, UserUsage
from plans.api.serializers import assignable_plan

# What the SDKs see of a decision. It is made before the request is served, hence no response time.
STATUS_CODES = {Outcome.ALLOWED: 200, Outcome.OVER_QUOTA: 429}


class ApiKeySerializer(serializers.Serializer[ApiKey]):
    """`key_prefix` is what a person may see of the secret."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    user_id = serializers.IntegerField(allow_null=True)
    plan_id = serializers.CharField(source="plan.public_id", default=None, allow_null=True)
    status = serializers.ChoiceField(choices=ApiKeyStatus.values)
    key_prefix = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_key_prefix(self, api_key: ApiKey) -> str:
        secrets = sorted(api_key.secrets.all(), key=lambda secret: secret.pk)
        return secrets[-1].masked if secrets else ""


class IssuedApiKeySerializer(ApiKeySerializer):
    """With the secret, this once."""

    api_key = serializers.CharField()


class ApiKeyInput(serializers.Serializer[ApiKey]):
    """`""` clears user_id and plan_id."""

    name = Text(max_length=NAME_LENGTH)
    user_id = serializers.JSONField(required=False, help_text='A user\'s id; "" clears it.')
    plan_id = Text(required=False, allow_blank=True, max_length=40)
    status = Choice(choices=ApiKeyStatus.values, required=False)
    expires_at = Moment(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        account = self.context["account"]
        if "user_id" in attrs:
            attrs["user"] = _user(account, attrs.pop("user_id"))
        if "plan_id" in attrs:
            current = self.instance.plan if isinstance(self.instance, ApiKey) else None
            attrs["plan"] = assignable_plan(account, attrs.pop("plan_id"), current=current)
        return attrs


class UserKeyInput(ApiKeyInput):
    """A key for the user that the path names."""

    user_id = None  # type: ignore[assignment]  # DRF's way to leave a field out


class RegenerateInput(serializers.Serializer[ApiKey]):
    """For how long the old secret works beside the new one; left out, it stops at once."""

    overlap_seconds = serializers.IntegerField(
        required=False, min_value=0, max_value=int(OVERLAP_MAX.total_seconds()), default=0
    )


class HistoryQuery(serializers.Serializer[Filters]):
    """The filters of a history; `start` inclusive, `end` exclusive."""

    start = Moment(required=False)
    end = Moment(required=False)
    status = Choice(choices=["allowed", "denied"], required=False)
    method = Text(required=False, max_length=16)
    endpoint = Text(required=False, max_length=2048, trim_whitespace=False)

    def filters(self) -> Filters:
        given = self.validated_data
        allowed = {"allowed": True, "denied": False}.get(given.get("status", ""))
        return Filters(
            start=given.get("start"),
            end=given.get("end"),
            allowed=allowed,
            method=given.get("method", "").upper(),
            endpoint=given.get("endpoint", ""),
        )


def _user(account: Account, given: object) -> User | None:
    """The user that a body names; None for ""."""
    if given == "":
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise serializers.ValidationError({"user_id": 'Give a whole number, or "".'})
    user = User.objects.of(account).filter(pk=given).first()
    if user is None:
        raise serializers.ValidationError({"user_id": "There is no such user."})
    return user


def show_key_usage(usage: KeyUsage) -> dict[str, Any]:
    api_key, quota = usage.api_key, usage.quota
    return {
        **_quota(quota),
        "remaining": quota.remaining,
        "reset_time": quota.reset_time,
        "period": quota.period,
        **show_period(usage),
        "percentage_used": quota.percentage_used,
        "plan_name": quota.plan.name if quota.plan else None,
        "is_unlimited": quota.is_unlimited,
        "api_key_id": api_key.public_id,
    }


def show_period(usage: KeyUsage) -> dict[str, Any]:
    """What the SDKs want around a key's usage and around its history alike."""
    return {
        "api_key_name": usage.api_key.name,
        "created_at": usage.api_key.created_at,
        "period_start": usage.quota.window.start,
        "period_end": usage.quota.window.end,
        "total_requests": usage.total_requests,
        "requests_in_period": usage.requests_in_period,
    }


def show_user_usage(usage: UserUsage) -> dict[str, Any]:
    quota = usage.quota
    return {
        "type": "user",
        "user_name": usage.user.name,
        **_quota(quota),
        "percentage_used": quota.percentage_used,
        "plan_name": quota.plan.name if quota.plan else None,
        "period_start": quota.window.start,
        "period_end": quota.window.end,
        "is_unlimited": quota.is_unlimited,
    }


def show_plan_usage(usage: PlanUsage) -> dict[str, Any]:
    plan = usage.plan
    return {
        "total_users": usage.total_users,
        "total_requests": usage.total_requests,
        "average_usage": usage.average_usage,
        "period": plan.request_period,
        "plan_id": plan.public_id,
        "plan_name": plan.name,
        "max_requests": plan.max_requests,
        "request_period": plan.request_period,
        "percentage_used": usage.percentage_used,
        "api_keys_count": usage.api_keys_count,
        "is_unlimited": plan.is_unlimited,
    }


def show_call(call: Call, *, api_key_id: str) -> dict[str, Any]:
    is_allowed = call.outcome is Outcome.ALLOWED
    return {
        "timestamp": call.at,
        "endpoint": call.endpoint,
        "method": call.method,
        "status": "allowed" if is_allowed else "denied",
        "reason": None if is_allowed else call.outcome.name.lower(),
        "ip_address": call.ip,
        "cost": call.cost,
        "api_key_id": api_key_id,
        "status_code": STATUS_CODES.get(call.outcome, 403),
        "response_time_ms": 0,
    }


def _quota(quota: Quota) -> dict[str, Any]:
    return {"current_usage": quota.used, "limit": quota.limit}
