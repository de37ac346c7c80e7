"""The staff's pages of API keys, and of the ledger, which nobody edits."""

from __future__ import annotations  # ModelForm and ModelAdmin take no parameters at run time

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from accounts.admin import AccountFirstDesk, Desk, ReadOnlyDesk, object_id_of, show_secret, staff_of
from accounts.desk.account_filter import AccountFilter
from accounts.desk.acts import asks_once
from keys import models, services
from keys.desk.key_acts import ACTS
from keys.desk.key_page import key_page
from keys.desk.related import key_link, subject_link, user_link
from keys.desk.usage_bar import UsageColumn
from keys.finding import only_decision
from keys.models import ApiKey, ApiKeyStatus

KEY_FIELDS = ("name", "user", "plan", "status", "expires_at")


class ApiKeyForm(ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        account = given.get("account") or self.instance.account
        for name in ("user", "plan"):
            if given.get(name) and given[name].account_id != account.pk:
                raise ValidationError({name: f"This {name} is another account's."})
        return given


class OverlapForm(forms.Form):
    overlap_hours = forms.TypedChoiceField(
        label="The present secret",
        coerce=int,
        initial=0,
        choices=[
            (0, "stops at once"),
            (1, "works for one more hour"),
            (24, "works for one more day"),
            (7 * 24, "works for one more week"),
        ],
        widget=forms.RadioSelect,
    )


@admin.register(ApiKey)
class ApiKeyAdmin(UsageColumn, Desk):
    form = ApiKeyForm
    acts = ACTS
    change_form_outer_before_template = "desk/key_status.html"
    change_form_outer_after_template = "desk/key_calls.html"
    list_display = ("name", "secret", "status", "usage", "account", "user", "plan", "expires_at", "last_used_at")
    list_select_related = ("account", "user", "plan")
    list_filter = ("status", AccountFilter)
    search_fields = (
        "public_id", "name__istartswith", "user__name__istartswith", "user__email__istartswith", "secrets__last4",
        "secrets__prefix",
    )  # fmt: skip
    personal_fields = ("user",)
    autocomplete_fields = ("account", "user", "plan")
    fields = ("account", *KEY_FIELDS)
    actions = ("activate", "deactivate", "delete_keys")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).filter(deleted_at=None).prefetch_related("secrets")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ("public_id", "created_at") if obj else ()
        return ("account", *KEY_FIELDS, *shown)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("account", "public_id", "created_at") if obj else ()

    def facts(self, request: HttpRequest, row: ApiKey) -> dict[str, Any]:
        return key_page(request, row, self.act_links(request, row))

    @admin.display(description="secret")
    def secret(self, api_key: ApiKey) -> str:
        return ", ".join(secret.masked for secret in api_key.secrets.all())

    def get_urls(self) -> list[URLPattern]:
        regenerate = self.admin_site.admin_view(self.regenerate)
        return [path("<int:key_id>/regenerate/", regenerate, name="keys_apikey_regenerate"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:
        given: Any = {name: form.cleaned_data[name] for name in KEY_FIELDS}
        if change:
            services.update_api_key(obj, by=staff_of(request), **given)
            return
        issued = services.issue_api_key(obj.account, by=staff_of(request), **given)
        obj.__dict__.update(issued.row.__dict__)
        request.issued_secret = issued.secret  # type: ignore[attr-defined]  # read by response_add, in this request

    def regenerate(self, request: HttpRequest, key_id: int) -> HttpResponse:
        """Asks once, then shows the new secret once."""
        api_key = get_object_or_404(self.get_queryset(request).select_related("account"), pk=key_id)
        if not self.has_change_permission(request, api_key):
            raise PermissionDenied
        form = OverlapForm(request.POST or None)
        if form.is_valid():
            overlap = timedelta(hours=form.cleaned_data["overlap_hours"])
            issued = services.regenerate_api_key(api_key, by=staff_of(request), now=timezone.now(), overlap=overlap)
            return show_secret(self, request, api_key, issued.secret)
        context = {**self.admin_site.each_context(request), "title": f"Replace the secret of {api_key}?", "form": form}
        return TemplateResponse(
            request, "admin/confirm_regenerate.html", {**context, "opts": self.opts, "object": api_key}
        )

    @admin.action(description="Activate selected API keys", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self._set_status(request, queryset, ApiKeyStatus.ACTIVE)

    @admin.action(description="Deactivate selected API keys", permissions=["change"])
    @asks_once("Every call by these keys is refused from the next one on, until they are activated again.")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self._set_status(request, queryset, ApiKeyStatus.INACTIVE)

    @admin.action(description="Revoke selected API keys (for good)", permissions=["change"])
    @asks_once("These keys stop at once and for good; their history stays.")
    def delete_keys(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        api_keys = list(queryset.select_related("account"))  # afterwards they are no longer among those shown
        for api_key in api_keys:
            services.delete_api_key(api_key, now=timezone.now(), by=staff_of(request))
        self.message_user(request, f"{len(api_keys)} API keys revoked: they stopped at once.")

    def _set_status(self, request: HttpRequest, queryset: QuerySet[ApiKey], status: ApiKeyStatus) -> None:
        for api_key in queryset.select_related("account"):
            services.update_api_key(api_key, by=staff_of(request), status=status)
        self.message_user(request, f"{len(queryset)} API keys are now {status.label.lower()}.")


@admin.register(models.ApiKeySecret)
class ApiKeySecretAdmin(ReadOnlyDesk):
    list_display = ("masked", "api_key", "account", "expires_at", "created_at")
    list_select_related = ("api_key", "account")
    fields = ("api_key", "account", "masked", "expires_at", "created_at")
    search_fields = ("last4", "prefix", "api_key__public_id")
    ordering = ("-id",)


class NumberedDesk(ReadOnlyDesk):
    """Rows that name keys and users by their numbers: columns that lead to these."""

    @admin.display(description="key")
    def key(self, row: Any) -> str:
        return key_link(row.api_key_id if isinstance(row, models.Decision) else row.key_id)

    @admin.display(description="user")
    def user(self, row: Any) -> str:
        return user_link(row.user_id)

    @admin.display(description="whose")
    def whose(self, row: Any) -> str:
        return subject_link(row.subject_kind, row.subject_id)


@admin.register(models.Decision)
class DecisionAdmin(NumberedDesk, AccountFirstDesk):
    list_display = ("at", "outcome", "method", "endpoint", "key", "user", "cost", "ip")
    personal_fields = ("endpoint", "ip")
    list_filter = (AccountFilter, "outcome")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Decision]:
        decisions, object_id = super().get_queryset(request), object_id_of(request)
        return decisions if object_id is None else only_decision(decisions, object_id)


@admin.register(models.UsageWindow)
class UsageWindowAdmin(NumberedDesk, AccountFirstDesk):
    list_display = (
        "end", "start", "whose", "subject_kind", "key", "units_allowed", "units_adjusted", "calls_allowed",
        "calls_denied",
    )  # fmt: skip
    list_filter = (AccountFilter, "subject_kind")
    ordering = ("-end", "-units_allowed")  # an index's order: those who spent most of a window come first


@admin.register(models.UsageHour)
class UsageHourAdmin(NumberedDesk, AccountFirstDesk):
    list_display = ("hour", "key", "user", "plan_id", "units_allowed", "calls_allowed", "calls_denied")
    list_filter = (AccountFilter,)
    ordering = ("-hour", "-id")


@admin.register(models.Adjustment)
class AdjustmentAdmin(NumberedDesk, AccountFirstDesk):
    list_display = ("at", "kind", "amount", "whose", "reason", "actor_name", "start", "end")
    personal_fields = ("reason",)
    list_filter = (AccountFilter, "kind")


@admin.register(models.NearLimit)
class NearLimitAdmin(NumberedDesk):
    """As of the last look, those who used most of theirs first."""

    list_display = ("percent", "whose", "account", "used", "limit", "window_end")
    list_select_related = ("account",)
    list_filter = (AccountFilter, "subject_kind")
    ordering = ("-percent", "pk")


@admin.register(models.CallCount)
class CallCountAdmin(AccountFirstDesk):
    list_display = ("start", "grain", "access_key_id", "plan_id", "calls_allowed", "calls_denied")
    list_filter = (AccountFilter, "grain")
    ordering = ("-start",)


@admin.register(models.StreamPosition)
class StreamPositionAdmin(ReadOnlyDesk):
    list_display = ("bucket", "last_id")


@admin.register(models.PendingInvalidation)
class PendingInvalidationAdmin(ReadOnlyDesk):
    list_display = ("created_at", "bucket", "names")


@admin.register(models.DeadEvent)
class DeadEventAdmin(ReadOnlyDesk):
    list_display = ("created_at", "bucket", "stream_id", "reason")
