"""The staff's pages of apps, their credentials, consumers and endpoints."""

from __future__ import annotations  # ModelForm and ModelAdmin take no parameters at run time

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import action as detail_action

from accounts.admin import Desk, ReadOnlyDesk, ServiceDesk, staff_of
from accounts.desk.account_filter import AccountFilter
from analytics import services
from analytics.models import (
    App,
    Consumer,
    ConsumerGroup,
    DroppedItems,
    Endpoint,
    Environment,
    InboxReport,
    Instance,
    KeyBinding,
    PathOverride,
    RejectedReport,
    Source,
    WriteToken,
)
from analytics.rollup.unused import dropped_items, rejected_reports
from analytics.sources import with_source


@admin.register(App)
class AppAdmin(ServiceDesk):
    service_fields = ("name", "framework", "is_hub_enabled")
    create = staticmethod(services.create_app)
    update = staticmethod(services.update_app)
    list_display = ("name", "account", "analytics", "framework", "client_id", "is_hub_enabled", "is_default")
    list_select_related = ("account",)
    list_filter = (AccountFilter,)
    search_fields = ("name__icontains", "client_id")
    actions = ("renew_client_ids",)
    actions_detail = ("open_analytics",)
    ordering = ("-id",)

    @admin.display(description="analytics")
    def analytics(self, app: App) -> str:
        return format_html('<a href="{}">Analytics</a>', reverse("desk:app_traffic", args=[app.pk]))

    @detail_action(description="Analytics", icon="monitoring", permissions=["view"])  # type: ignore[untyped-decorator]
    def open_analytics(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("desk:app_traffic", args=[object_id]))

    @admin.action(description="Renew client ids (SDKs 0.x stop for good)", permissions=["change"])
    def renew_client_ids(self, request: HttpRequest, queryset: QuerySet[App]) -> None:
        for app in queryset:
            services.renew_client_id(app, by=staff_of(request))
        self.message_user(request, f"{len(queryset)} client ids renewed.")


@admin.register(WriteToken)
class WriteTokenAdmin(Desk):
    list_display = ("name", "app", "masked", "created_at", "revoked_at")
    list_select_related = ("app",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name__icontains", "last4", "app__name__icontains")
    autocomplete_fields = ("app",)
    fields = ("app", "name")
    actions = ("revoke",)
    ordering = ("-id",)

    def has_change_permission(self, request: HttpRequest, obj: WriteToken | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: WriteToken, form: ModelForm[WriteToken], change: bool) -> None:
        issued = services.create_write_token(obj.app, name=obj.name, by=staff_of(request))
        obj.__dict__.update(issued.row.__dict__)
        request.issued_secret = issued.secret  # type: ignore[attr-defined]  # read by response_add, in this request

    @admin.action(description="Revoke selected write tokens (for good)", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[WriteToken]) -> None:
        for token in queryset:
            services.revoke_write_token(token, now=timezone.now(), by=staff_of(request))
        self.message_user(request, f"{len(queryset)} write tokens revoked.")


@admin.register(Environment)
class EnvironmentAdmin(Desk):
    list_display = ("name", "app", "shown_source", "last_sync_at", "created_at")
    list_select_related = ("app",)
    search_fields = ("name", "app__name__icontains")
    fields = ("app", "name", "shown_source", "pinned_source", "last_sync_at", "created_at")
    readonly_fields = ("app", "name", "shown_source", "last_sync_at", "created_at")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Environment]:
        return with_source(super().get_queryset(request), now=timezone.now())

    @admin.display(description="traffic is shown from")
    def shown_source(self, environment: Any) -> str:
        """`environment` is annotated (analytics.sources.with_source)."""
        judged = Source(environment.source or Source.DECISION).label
        since = f"{environment.since:%Y-%m-%d %H:%M} UTC" if environment.since else "its beginning"
        if environment.pinned_source is None:
            return f"{judged} since {since}"
        return f"{environment.get_pinned_source_display()}, pinned (judged: {judged} since {since})"

    def save_model(self, request: HttpRequest, obj: Environment, form: ModelForm[Environment], change: bool) -> None:
        source = form.cleaned_data["pinned_source"]
        services.pin_source(obj, source=None if source is None else Source(source), by=staff_of(request))


@admin.register(KeyBinding)
class KeyBindingAdmin(ReadOnlyDesk):
    list_display = ("access_key", "environment", "created_at")
    list_select_related = ("access_key", "environment__app")
    search_fields = ("access_key__name__icontains", "environment__app__name__icontains")
    ordering = ("-id",)


@admin.register(ConsumerGroup)
class ConsumerGroupAdmin(ReadOnlyDesk):
    list_display = ("name", "app")
    list_select_related = ("app",)
    search_fields = ("name__icontains",)
    ordering = ("-id",)


@admin.register(Consumer)
class ConsumerAdmin(ReadOnlyDesk):
    list_display = ("identifier", "name", "group", "app", "last_request_at")
    list_select_related = ("app", "group")
    search_fields = ("identifier__istartswith", "name__istartswith")
    personal_fields = ("identifier", "name")
    ordering = ("-id",)


@admin.register(Endpoint)
class EndpointAdmin(Desk):
    list_display = ("method", "path", "app", "is_excluded", "expected_statuses", "is_announced")
    list_select_related = ("app",)
    list_filter = ("is_excluded",)
    search_fields = ("path__istartswith",)
    fields = ("app", "method", "path", "summary", "description", "is_announced", "is_excluded", "expected_statuses")
    readonly_fields = ("app", "method", "path", "summary", "description", "is_announced")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Endpoint, form: ModelForm[Endpoint], change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("is_excluded", "expected_statuses")}
        services.update_endpoint(obj, by=staff_of(request), **given)


@admin.register(PathOverride)
class PathOverrideAdmin(Desk):
    list_display = ("template", "app", "is_active", "created_at")
    list_select_related = ("app",)
    list_filter = ("is_active",)
    search_fields = ("template__icontains", "app__name__icontains")
    autocomplete_fields = ("app",)
    ordering = ("-id",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("app", "template", "is_active") if obj else ("app", "template")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("app", "template") if obj else ()

    def save_model(self, request: HttpRequest, obj: PathOverride, form: ModelForm[PathOverride], change: bool) -> None:
        if change:
            services.update_path_override(obj, is_active=obj.is_active, by=staff_of(request))
        else:
            made = services.create_path_override(obj.app, template=obj.template, by=staff_of(request))
            obj.__dict__.update(made.__dict__)


# What SDKs told. These tables may be large: lists are in the order of a key, and searched in none of their texts.


class UnusedDesk(ReadOnlyDesk):
    """What could not be used; above it, how much that was in the last day, by reason."""

    count: Callable[[datetime], Counter[str]]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        counts = self.count(timezone.now()).most_common()
        told = ", ".join(f"{count} × {reason}" for reason, count in counts) or "nothing"
        return super().changelist_view(request, (extra_context or {}) | {"subtitle": f"In the last day: {told}"})


@admin.register(InboxReport)
class InboxReportAdmin(ReadOnlyDesk):
    list_display = ("id", "app", "kind", "environment", "attempts", "received_at")
    list_select_related = ("app",)
    fields = ("app", "kind", "environment", "message_id", "is_json", "attempts", "received_at")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxReport]:
        return super().get_queryset(request).defer("body")


@admin.register(RejectedReport)
class RejectedReportAdmin(UnusedDesk):
    count = staticmethod(rejected_reports)
    list_display = ("id", "app", "kind", "environment", "reason", "size_bytes", "received_at")
    list_select_related = ("app",)
    fields = (
        "app",
        "kind",
        "environment",
        "reason",
        "explanation",
        "size_bytes",
        "received_at",
        "created_at",
        "beginning",
    )
    readonly_fields = ("beginning",)
    personal_fields = ("explanation", "beginning")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RejectedReport]:
        return super().get_queryset(request).defer("body")

    @admin.display(description="its first 64 KiB")
    def beginning(self, rejected: RejectedReport) -> str:
        return bytes(rejected.body).decode(errors="backslashreplace")


@admin.register(DroppedItems)
class DroppedItemsAdmin(UnusedDesk):
    count = staticmethod(dropped_items)
    list_display = ("hour", "app", "kind", "reason", "items")
    list_select_related = ("app",)
    ordering = ("-id",)


@admin.register(Instance)
class InstanceAdmin(ReadOnlyDesk):
    list_display = ("identifier", "environment", "client", "started_at", "last_seen_at")
    list_select_related = ("environment__app",)
    fields = ("identifier", "environment", "client", "versions", "metric_scope", "started_at", "last_seen_at")
    ordering = ("-id",)
