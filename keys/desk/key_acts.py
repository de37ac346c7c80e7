"""What staff do with one API key, each asked once: let it pass or not, let it end, revoke it."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts.desk.acts import Act, Doing
from keys import services
from keys.models import ApiKey, ApiKeyStatus

INPUT = "border border-base-200 rounded-default px-3 py-2 bg-white dark:bg-base-900 dark:border-base-700"


class ExpiryForm(forms.Form):
    expires_at = forms.DateTimeField(
        label="The key expires",
        required=False,
        help_text="In the time zone in which this desk shows times; empty = never.",
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local", "class": INPUT}),
    )


def _activate(this: Doing) -> None:
    services.update_api_key(this.row, by=this.by, status=ApiKeyStatus.ACTIVE)


def _deactivate(this: Doing) -> None:
    services.update_api_key(this.row, by=this.by, status=ApiKeyStatus.INACTIVE)


def _let_expire(this: Doing) -> None:
    services.update_api_key(this.row, by=this.by, expires_at=this.given["expires_at"])


def _revoke(this: Doing) -> None:
    services.delete_api_key(this.row, by=this.by, now=this.now)


def why_url(api_key: ApiKey) -> str:
    return f"{reverse('desk:why')}?{urlencode({'key': api_key.pk})}"


def _expiry_now(api_key: ApiKey) -> dict[str, Any]:
    return {"expires_at": timezone.localtime(api_key.expires_at) if api_key.expires_at else None}


ACTS = (
    Act(
        verb="activate",
        title="Activate",
        sentence="Calls by this key are decided by its plan again, from the next one on.",
        done="active, in force at once.",
        icon="play_arrow",
        run=_activate,
        is_offered=lambda key: key.status == ApiKeyStatus.INACTIVE,
    ),
    Act(
        verb="deactivate",
        title="Deactivate",
        sentence="Every call by this key is refused, from the next one on: validate answers 403 API_KEY_DISABLED. "
        "It can be activated again.",
        done="inactive, in force at once.",
        icon="pause",
        run=_deactivate,
        is_offered=lambda key: key.status == ApiKeyStatus.ACTIVE,
    ),
    Act(
        verb="expire",
        title="Set expiry",
        sentence="From that moment on every call by this key is refused: validate answers 403 API_KEY_EXPIRED.",
        done="its expiry is set, in force at once.",
        icon="event_busy",
        run=_let_expire,
        form=ExpiryForm,
        first=_expiry_now,
    ),
    Act(
        verb="revoke",
        title="Revoke",
        sentence="The key stops at once and for good: validate answers 404 API_KEY_NOT_FOUND to whoever uses it. "
        "It cannot be undone; its history stays.",
        done="revoked: it stopped at once.",
        icon="block",
        run=_revoke,
        is_danger=True,
        leads_to=why_url,
    ),
)
