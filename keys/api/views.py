"""API keys, and whatever of users and plans needs keys, usage or history."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import AccountView, deleted
from accounts.models import User
from accounts.services import Issued
from keys import services
from keys.api import serializers as shapes
from keys.api.filters import ApiKeyFilters
from keys.history import CallPage, Filters, calls_of_key, calls_of_user
from keys.models import ApiKey
from keys.usage import usage_of_key, usage_of_plan, usage_of_user
from limitly_site.dialects import Kind, Shown
from limitly_site.pagination import Page
from plans.api import views as plan_views
from plans.api.serializers import PlanSerializer
from plans.models import Plan


class ApiKeyView(AccountView):
    def live_keys(self) -> Any:
        keys = ApiKey.objects.of(self.account).select_related("plan", "account")
        return keys.prefetch_related("secrets").order_by("-id")

    def find_key(self, key_id: str) -> ApiKey:
        key: ApiKey = self.find(self.live_keys(), public_id=key_id)
        return key

    def find_user(self, user_id: int) -> User:
        return self.find(User.objects.of(self.account).select_related("account"), pk=user_id)

    def show_issued(self, issued: Issued[ApiKey], *, status: int) -> Response:
        shown = shapes.ApiKeySerializer(self.find_key(issued.row.public_id)).data
        return Response(Shown({**shown, "api_key": issued.secret}), status=status)


class ApiKeyList(ApiKeyView):
    def get(self, request: Request) -> Response:
        return self.answer_list(self.live_keys(), shapes.ApiKeySerializer, filters=ApiKeyFilters)

    def post(self, request: Request) -> Response:
        issued = services.issue_api_key(self.account, by=self.by, **self.read(shapes.ApiKeyInput))
        return self.show_issued(issued, status=201)


class ApiKeyDetail(ApiKeyView):
    def get(self, request: Request, key_id: str) -> Response:
        return Response(Shown(shapes.ApiKeySerializer(self.find_key(key_id)).data))

    def put(self, request: Request, key_id: str) -> Response:
        api_key = self.find_key(key_id)
        services.update_api_key(api_key, by=self.by, **self.read(shapes.ApiKeyInput, of=api_key))
        return Response(Shown(shapes.ApiKeySerializer(api_key).data))

    def delete(self, request: Request, key_id: str) -> Response:
        services.delete_api_key(self.find_key(key_id), now=timezone.now(), by=self.by)
        return deleted("API key")


class ApiKeyRegenerate(ApiKeyView):
    def post(self, request: Request, key_id: str) -> Response:
        overlap = timedelta(seconds=self.read(shapes.RegenerateInput)["overlap_seconds"])
        issued = services.regenerate_api_key(self.find_key(key_id), by=self.by, now=timezone.now(), overlap=overlap)
        return self.show_issued(issued, status=200)


class ApiKeyUsage(ApiKeyView):
    def get(self, request: Request, key_id: str) -> Response:
        usage = usage_of_key(self.find_key(key_id))
        return Response(Shown(shapes.show_key_usage(usage), kind=Kind.KEY_USAGE))


class ApiKeyRequests(ApiKeyView):
    def get(self, request: Request, key_id: str) -> Response:
        api_key = self.find_key(key_id)
        filters, page = _history_query(request)
        calls = calls_of_key(self.account, api_key.pk, filters, first=page.first, count=page.limit)
        period = shapes.show_period(usage_of_key(api_key))
        return _answer_calls(calls, {api_key.pk: api_key.public_id}, {"apiKeyId": api_key.public_id, **_sdk(period)})


class UserKeys(ApiKeyView):
    def get(self, request: Request, user_id: int) -> Response:
        user = self.find_user(user_id)
        return self.answer_list(self.live_keys().filter(user=user), shapes.ApiKeySerializer)

    def post(self, request: Request, user_id: int) -> Response:
        user = self.find_user(user_id)
        issued = services.issue_api_key(self.account, by=self.by, user=user, **self.read(shapes.UserKeyInput))
        return self.show_issued(issued, status=201)


class UserUsage(ApiKeyView):
    def get(self, request: Request, user_id: int) -> Response:
        return Response(Shown(shapes.show_user_usage(usage_of_user(self.find_user(user_id)))))


class UserRequests(ApiKeyView):
    def get(self, request: Request, user_id: int) -> Response:
        user = self.find_user(user_id)
        filters, page = _history_query(request)
        calls = calls_of_user(self.account, user.pk, filters, first=page.first, count=page.limit)
        ids = {call.api_key_id for call in calls.calls}
        names = dict(ApiKey.objects.filter(account=self.account, pk__in=ids).values_list("pk", "public_id"))
        return _answer_calls(calls, names, {"user_id": user.pk, "totalRequests": calls.total})


class UserDetail(plan_views.UserDetail):
    def delete(self, request: Request, user_id: int) -> Response:
        services.delete_user(self.find_user(user_id), now=timezone.now(), by=self.by)
        return deleted("User")


class PlanDetail(plan_views.PlanDetail):
    def delete(self, request: Request, plan_id: str) -> Response:
        services.delete_plan(self.find_plan(plan_id), now=timezone.now(), by=self.by)
        return deleted("Plan")


class PlanUsage(ApiKeyView):
    def get(self, request: Request, plan_id: str) -> Response:
        plan = self.find(Plan.objects.of(self.account).select_related("account"), public_id=plan_id)
        return Response(Shown(shapes.show_plan_usage(usage_of_plan(plan)), kind=Kind.PLAN_USAGE))


class PlanKeys(ApiKeyView):
    def get(self, request: Request, plan_id: str) -> Response:
        plan = self.find(Plan.objects.of(self.account), public_id=plan_id)
        beside = {"plan": PlanSerializer(plan).data}
        keys = self.live_keys().filter(plan=plan)
        return self.answer_list(keys, shapes.ApiKeySerializer, kind=Kind.PLAN_KEYS, beside=beside)


def _history_query(request: Request) -> tuple[Filters, Page]:
    """Errors: ValidationError."""
    query = shapes.HistoryQuery(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    return query.filters(), Page.of(request)


def _answer_calls(calls: CallPage, key_names: dict[int, str], beside: dict[str, Any]) -> Response:
    shown = [shapes.show_call(call, api_key_id=key_names.get(call.api_key_id, "")) for call in calls.calls]
    headers = {} if calls.lag_s is None else {"X-Ledger-Lag": f"{calls.lag_s:.0f}"}
    return Response(Shown(shown, calls.total, Kind.CALLS, beside), headers=headers)


def _sdk(period: dict[str, Any]) -> dict[str, Any]:
    names = {"api_key_name": "apiKeyName", "period_start": "periodStart", "period_end": "periodEnd"}
    names |= {"total_requests": "totalRequests", "requests_in_period": "requestsInPeriod"}
    return {names.get(name, name): value for name, value in period.items()}
