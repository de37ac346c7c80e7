"""The form of an access key, and what staff do with one, asked once: revoke it."""

from django import forms

from accounts import services
from accounts.desk.acts import Act, Doing
from accounts.models import AccessKey, Scope


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
