"""The page of an access key: form, how it stands, its calls, and what staff do with it, asked once: revoke it."""

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone

from accounts import services
from accounts.desk.acts import Act, ActionLink, Doing
from accounts.models import AccessKey, Scope
from analytics.models import KeyBinding
from keys.daily import calls_with_access_key_by_day
from keys.desk.decisions import calls_chart
from keys.desk.related import RelatedLink, changes_of, linked, listed, shown_to


class AccessKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: everything.",
    )

    class Meta:
        model = AccessKey
        fields = ("account", "name", "scopes", "requests_per_minute", "analytics_requests_per_minute", "expires_at")


def access_key_page(request: HttpRequest, access_key: AccessKey, acts: list[ActionLink]) -> dict[str, Any]:
    """Context of templates/desk/access_key_status.html and calls_chart.html."""
    chart = None
    if request.user.has_perm("keys.view_callcount"):
        chart = calls_chart(calls_with_access_key_by_day, access_key.account, access_key.pk)
    expires_at = access_key.expires_at
    return {
        "access_key_shown": access_key,
        "is_expired": expires_at is not None and expires_at <= timezone.now(),
        "actions": acts,
        "chart": chart,
        "related": _related(request, access_key),
    }


def _related(request: HttpRequest, access_key: AccessKey) -> list[RelatedLink]:
    account, of_account = access_key.account, {"account_id": access_key.account_id}
    binding = KeyBinding.objects.select_related("environment__app").filter(access_key=access_key).first()
    wanted = [
        linked("Account", str(account), "accounts.view_account", "accounts_account_change", account.pk),
        linked(
            "Its calls are filed under",
            f"{binding.environment.app}, {binding.environment}",
            "analytics.view_keybinding",
            "analytics_keybinding_change",
            binding.pk,
        )
        if binding
        else None,
        listed("API keys", "of its account", "keys.view_apikey", "keys_apikey_changelist", **of_account),
        listed("Decisions", "of its account", "keys.view_decision", "keys_decision_changelist", **of_account),
        changes_of(access_key),
    ]
    return shown_to(request, wanted)


def _revoke(this: Doing) -> None:
    services.revoke_access_key(this.row, by=this.by, now=this.now)


ACTS = (
    Act(
        verb="revoke",
        title="Revoke",
        sentence="The access key stops at once and for good: whatever backend uses it is answered 401 INVALID_API_KEY, "
        "on every endpoint. It cannot be undone; issue another one first if the backend is to go on.",
        done="revoked: it stopped at once.",
        icon="block",
        run=_revoke,
        is_danger=True,
        is_offered=lambda key: key.revoked_at is None,
    ),
)
