"""Lists are shown for one account: it is searched by its name, however many accounts there are."""

from __future__ import annotations  # SimpleListFilter takes no parameters at run time

from collections.abc import Iterator
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.forms import AutocompleteDropdownForm

from accounts.models import AccessKey

PARAMETER: Final = "account_id"


class AccountFilter(admin.SimpleListFilter):
    """Where a table has no foreign key to the account, too."""

    title = "account"
    parameter_name = PARAMETER
    template = "unfold/filters/filters_field.html"
    form_class = AutocompleteDropdownForm  # the theme adds its scripts to the page

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self._request, self._desk = request, model_admin

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        account_id = self._account_id()
        return queryset.none() if account_id is None else queryset.filter(account_id=account_id)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {
            "form": self.form_class(
                request=self._request,
                name=PARAMETER,
                label="Account",
                choices=(),
                field=AccessKey._meta.get_field("account"),
                model_admin=self._desk,
                data={PARAMETER: self._account_id()},
            )
        }

    def _account_id(self) -> int | None:
        told = self.value() or ""
        return int(told) if told.isascii() and told.isdecimal() and len(told) < 19 else None
