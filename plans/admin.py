"""The staff's pages of plans and subscriptions."""

from __future__ import annotations  # ModelForm and ModelAdmin take no parameters at run time

from copy import copy
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import Desk, ServiceDesk, staff_of
from accounts.desk.account_filter import AccountFilter
from accounts.desk.acts import asks_once
from keys.desk.edit_plan import SEEN, edit_preview, needs_preview
from keys.desk.plan_page import plan_page
from keys.services import PlanInUse, delete_plan
from plans import services
from plans.models import Plan, Subscription


@admin.register(Plan)
class PlanAdmin(ServiceDesk):
    service_fields = ("name", "description", "max_requests", "request_period", "is_active")
    create = staticmethod(services.create_plan)
    update = staticmethod(services.update_plan)
    list_display = ("name", "account", "max_requests", "request_period", "is_active", "public_id")
    list_select_related = ("account",)
    list_filter = ("is_active", "request_period", AccountFilter)
    search_fields = ("name__icontains", "public_id")
    actions = ("delete_plans",)
    ordering = ("-id",)
    change_form_outer_before_template = "desk/plan_status.html"
    change_form_outer_after_template = "desk/calls_chart.html"

    def facts(self, request: HttpRequest, row: Plan) -> dict[str, Any]:
        return plan_page(request, row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may_move = obj and request.user.has_perm("plans.change_subscription")
        return (*super().get_fields(request, obj), *(("users",) if may_move else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("account", "users") if obj else ()

    @admin.display(description="users")
    def users(self, plan: Plan) -> str:
        return format_html('<a href="{}?source={}">Move its users to another plan</a>', reverse("desk:move"), plan.pk)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Asks once before a plan is saved that would refuse more than it did."""
        plan = self.get_object(request, object_id) if object_id and request.method == "POST" else None
        if plan and SEEN not in request.POST and self.has_change_permission(request, plan):
            form = self.get_form(request, plan, change=True)(request.POST, instance=copy(plan))
            if form.is_valid():
                given = form.cleaned_data["max_requests"], form.cleaned_data["request_period"]
                if needs_preview(plan, limit=given[0], period=given[1]):
                    return edit_preview(request, plan, limit=given[0], period=given[1])
        return super().changeform_view(request, object_id, form_url, extra_context)

    @admin.action(description="Delete selected plans (those that nobody holds)", permissions=["change"])
    @asks_once("Those of these plans that nobody holds are deleted for good.")
    def delete_plans(self, request: HttpRequest, queryset: QuerySet[Plan]) -> None:
        deleted = 0
        for plan in queryset.select_related("account"):
            try:
                delete_plan(plan, now=timezone.now(), by=staff_of(request))
                deleted += 1
            except PlanInUse as refusal:
                self.message_user(request, f"{plan}: {refusal}", messages.ERROR)
        self.message_user(request, f"{deleted} plans deleted.")


class SubscriptionForm(ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        user = given.get("user") or self.instance.user
        if given.get("plan") and given["plan"].account_id != user.account_id:
            raise ValidationError({"plan": "This plan is another account's."})
        return given


@admin.register(Subscription)
class SubscriptionAdmin(Desk):
    form = SubscriptionForm
    list_display = ("user", "plan", "account", "custom_start", "since")
    list_select_related = ("user", "plan", "account")
    list_filter = (AccountFilter,)
    search_fields = ("user__name__istartswith", "user__email__istartswith", "plan__name__icontains")
    personal_fields = ("user",)
    autocomplete_fields = ("user", "plan")
    fields = ("user", "plan", "custom_start")
    ordering = ("-id",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("user",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Subscription, form: ModelForm[Subscription], change: bool) -> None:
        plan, start = form.cleaned_data["plan"], form.cleaned_data["custom_start"]
        services.subscribe(obj.user, by=staff_of(request), plan=plan, custom_start=start)
        obj.__dict__.update(Subscription.objects.get(user=obj.user).__dict__)
