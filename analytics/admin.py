"""The staff's pages of apps, their credentials, consumers and endpoints."""

from __future__ import annotations  # ModelForm and ModelAdmin take no parameters at run time

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import AccountFilter, Desk, ReadOnlyDesk, ServiceDesk, staff_of
from analytics import services
from analytics.models import App, Consumer, ConsumerGroup, Endpoint, Environment, KeyBinding, WriteToken


@admin.register(App)
class AppAdmin(ServiceDesk):
    service_fields = ("name", "framework", "is_hub_enabled")
    create = staticmethod(services.create_app)
    update = staticmethod(services.update_app)
    list_display = ("name", "account", "framework", "client_id", "is_hub_enabled")
    list_select_related = ("account",)
    list_filter = (AccountFilter,)
    search_fields = ("name", "client_id")
    actions = ("renew_client_ids",)
    ordering = ("-id",)

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
    search_fields = ("name", "last4", "app__name")
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
class EnvironmentAdmin(ReadOnlyDesk):
    list_display = ("name", "app", "last_sync_at", "created_at")
    list_select_related = ("app",)
    search_fields = ("name", "app__name")
    ordering = ("-id",)


@admin.register(KeyBinding)
class KeyBindingAdmin(ReadOnlyDesk):
    list_display = ("access_key", "environment", "created_at")
    list_select_related = ("access_key", "environment__app")
    search_fields = ("access_key__name", "environment__app__name")
    ordering = ("-id",)


@admin.register(ConsumerGroup)
class ConsumerGroupAdmin(ReadOnlyDesk):
    list_display = ("name", "app")
    list_select_related = ("app",)
    search_fields = ("name",)
    ordering = ("-id",)


@admin.register(Consumer)
class ConsumerAdmin(ReadOnlyDesk):
    list_display = ("identifier", "name", "group", "app", "last_request_at")
    list_select_related = ("app", "group")
    search_fields = ("identifier", "name")
    personal_fields = ("identifier", "name")
    ordering = ("-id",)


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyDesk):
    list_display = ("method", "path", "app", "is_excluded", "expected_statuses")
    list_select_related = ("app",)
    list_filter = ("is_excluded",)
    search_fields = ("path",)
    ordering = ("-id",)
