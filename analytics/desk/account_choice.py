"""Whose figures a page of the desk shows: one account's, searched by its name, or those of all."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect

from accounts.models import AccessKey, Account


class AccountSelect(AutocompleteSelect):
    """However many accounts there are: they are searched by name as it is typed."""

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        return super().build_attrs(base_attrs, extra_attrs) | {"data-placeholder": "All accounts"}


class AccountForm(forms.Form):
    account = forms.ModelChoiceField(
        Account.objects.all(),
        required=False,
        label="Account",
        widget=AccountSelect(AccessKey._meta.get_field("account"), admin.site),
    )
