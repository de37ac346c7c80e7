"""The staff's pages of staff and roles: who may log in here and as what, with both sides of each change on record."""

from __future__ import annotations  # ModelForm and ModelAdmin take no parameters at run time

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import unfold.admin
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.admin import UserAdmin as StaffUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import audit
from accounts.admin import Desk, staff_of
from accounts.models import Staff
from accounts.second_factor import remove_second_factor, second_factor_of

if TYPE_CHECKING:
    _Mixin = admin.ModelAdmin[Any]
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _Mixin = object
    _ModelAdmin = unfold.admin.ModelAdmin


class RecordedDesk(_Mixin):
    """Rows of Django's own that the admin itself saves and deletes: what became of them is on record."""

    history_view = Desk.history_view

    def log_addition(self, *_: Any) -> Any:
        """Nothing: what is done here is on record already, and Django's own log would know half of it."""

    def log_change(self, *_: Any) -> Any:
        """Nothing, likewise."""

    def log_deletions(self, *_: Any) -> Any:
        """Nothing, likewise."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step of a save: by now the form's row is written, and its relations are not yet."""
        super().save_related(request, form, formsets, change)
        if not change:
            audit.record_created(staff_of(request), form.instance)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        with self._recorded(request, object_id, "changed"):
            return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        audit.record_deleted(staff_of(request), obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            audit.record_deleted(staff_of(request), row)
        super().delete_queryset(request, queryset)

    @contextmanager
    def _recorded(self, request: HttpRequest, object_id: str | None, verb: str) -> Iterator[None]:
        row = self.get_object(request, unquote(object_id)) if object_id and request.method == "POST" else None
        if row is None:
            yield
            return
        with transaction.atomic(), audit.recording(staff_of(request), row, verb):
            yield


@admin.register(Staff)
class StaffAdmin(RecordedDesk, StaffUserAdmin, _ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        with self._recorded(request, id, "password set"):
            return super().user_change_password(request, id, form_url)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is None else [*fieldsets, ("Second factor", {"fields": ("second_factor",)})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "second_factor")

    @admin.display(description="second factor")
    def second_factor(self, staff: Staff) -> str:
        if second_factor_of(staff) is None:
            return "None: the password alone lets them in."
        url = reverse("admin:accounts_staff_second_factor", args=[staff.pk])
        return format_html('An authenticator. <a href="{}" class="underline">Remove it (lost phone)</a>', url)

    def get_urls(self) -> list[URLPattern]:
        remove = self.admin_site.admin_view(self.remove_second_factor)
        return [path("<int:staff_id>/second-factor/", remove, name="accounts_staff_second_factor"), *super().get_urls()]

    def remove_second_factor(self, request: HttpRequest, staff_id: int) -> HttpResponse:
        """Asks once."""
        staff = get_object_or_404(Staff, pk=staff_id)
        if not self.has_change_permission(request, staff):
            raise PermissionDenied
        if request.method == "POST":
            remove_second_factor(staff, by=staff_of(request))
            self.message_user(request, f"{staff} logs in by password alone until they set up another second factor.")
            return redirect("admin:accounts_staff_change", staff.pk)
        title = f"Remove the second factor of {staff}?"
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "object": staff}
        return TemplateResponse(request, "admin/confirm_second_factor.html", context)


admin.site.unregister([Group, TOTPDevice, StaticDevice])  # the latter are each member's own, on a page of theirs


@admin.register(Group)
class RoleAdmin(RecordedDesk, GroupAdmin, _ModelAdmin):
    """The four roles are kept in step by `migrate` (accounts.roles); others are the staff's own."""
