"""What may be asked of the request explorer: its fields, how they are read, and how an address says them again."""

from functools import cached_property
from ipaddress import ip_network
from typing import Any, Final, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from accounts.secrets import digest_of
from analytics.exploring import OUTCOMES, Sought
from analytics.models import App
from analytics.selection import environments_of, status_names
from keys.models import ApiKey

Row = TypeVar("Row")
# What tells of a person, and is therefore asked by those alone who may see it.
PERSONAL: Final = ("consumer", "user", "ip")
TEXT_LENGTH: Final = 254
OF_SECRETS: Final = "lk_"
MS_MAX: Final = 2**31 - 1
OUTCOME_NAMES: Final = {name: name.replace("_", " ") for name in OUTCOMES}
OUTCOME_NAMES["denied"] = "denied, for any reason"


class _Text(forms.CharField):
    widget = UnfoldAdminTextInputWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=TEXT_LENGTH, **options)


class _Milliseconds(forms.IntegerField):
    widget = UnfoldAdminIntegerFieldWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, min_value=0, max_value=MS_MAX, **options)


class RequestFilterForm(forms.Form):
    """Sent by POST and answered with an address that holds the ids of what was meant: a secret stands in none."""

    env = forms.ChoiceField(label="Environment", required=False, widget=UnfoldAdminSelectWidget)
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", "any"), *OUTCOME_NAMES.items()],
        widget=UnfoldAdminSelectWidget,
        help_text="Of Limitly's own decisions.",
    )
    status = _Text(help_text="Such as 404 or 4xx,5xx.")
    method = _Text(help_text="Such as GET,POST.")
    path = _Text(label="Path of the route", strip=False, help_text="* is anything: /orders/*")
    at_least_ms = _Milliseconds(label="Took at least (ms)")
    at_most_ms = _Milliseconds(label="Took at most (ms)")
    key = _Text(label="API key", help_text="Its id or its secret. Decisions alone know it: those that named this key.")
    user = _Text(help_text="Id or e-mail address. Decisions alone know it: those of the user's keys, of then.")
    consumer = _Text(help_text="Identifier or name. Decisions name the user's id or, without user, the key's id.")
    ip = _Text(label="Client's IP address", help_text="Or a network: 10.1.0.0/16")

    def __init__(self, data: QueryDict, *, app: App, sees_people: bool, may_hold_secrets: bool = False) -> None:
        super().__init__(data)
        self._given = data
        self._app = app
        self._may_hold_secrets = may_hold_secrets
        choices = [(str(each.pk), each.name) for each in environments_of(app)]
        self.fields["env"].choices = [("", "all"), *choices]  # type: ignore[attr-defined]
        if not sees_people:
            for name in PERSONAL:
                del self.fields[name]

    @cached_property
    def sought(self) -> Sought:
        """Of a valid form."""
        given = self.cleaned_data
        return Sought(
            environment_id=int(given["env"]) if given["env"] else None,
            consumer=given.get("consumer", ""),
            api_key=given["key"],
            user_id=given["user"].pk if given.get("user") else None,
            methods=tuple(given["method"]),
            path=given["path"] or None,
            statuses=tuple(given["status"]),
            outcome=given["outcome"],
            at_least_ms=given["at_least_ms"],
            at_most_ms=given["at_most_ms"],
            client=given.get("ip", ""),
        )

    @cached_property
    def query(self) -> dict[str, str]:
        """A valid form's as an address says it; what was not asked is left out."""
        given = dict(self.cleaned_data)
        given["key"] = given["key"].public_id if given["key"] else ""
        given["user"] = given["user"].pk if given.get("user") else ""
        for name in ("method", "status"):
            given[name] = ",".join(given[name])
        return {name: str(value) for name, value in given.items() if value not in ("", None)}

    def clean_status(self) -> list[str]:
        text = self.cleaned_data["status"]
        try:
            return status_names(text) if text else []
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def clean_method(self) -> list[str]:
        return sorted({name.strip().upper() for name in self.cleaned_data["method"].split(",") if name.strip()})

    def clean_ip(self) -> str:
        text = self.cleaned_data["ip"]
        try:
            return str(ip_network(text, strict=False)).removesuffix("/32").removesuffix("/128") if text else ""
        except ValueError as error:
            raise ValidationError("Give an IP address or a network, such as 10.1.0.0/16.") from error

    def clean_key(self) -> ApiKey | None:
        text = self.cleaned_data["key"]
        if not text:
            return None
        keys = ApiKey.objects.filter(account=self._app.account_id)
        if not text.startswith(OF_SECRETS):
            return _one(keys.filter(public_id=text).first(), "No API key of this account has this id.")
        self._forget("key")
        if not self._may_hold_secrets:
            raise ValidationError("A secret must stand in no address: paste it into this field instead.")
        meant = keys.filter(secrets__digest=digest_of(text)).first()
        return _one(meant, "No API key of this account has this secret.")

    def clean_user(self) -> User | None:
        text = self.cleaned_data["user"]
        if not text:
            return None
        users = User.objects.filter(account=self._app.account_id)
        by_id = text.isascii() and text.isdecimal() and len(text) < 19
        meant = users.filter(pk=int(text)) if by_id else users.filter(email__iexact=text, deleted_at=None)
        return _one(meant.first(), "No user of this account has this id or e-mail address.")

    def clean(self) -> dict[str, Any]:
        least, most = self.cleaned_data.get("at_least_ms"), self.cleaned_data.get("at_most_ms")
        if least is not None and most is not None and least > most:
            self.add_error("at_most_ms", "Let it be no less than the other.")
        return self.cleaned_data

    def _forget(self, name: str) -> None:
        """So that no page shows it again."""
        self.data = self._given.copy()
        self.data[name] = ""


def _one(found: Row | None, otherwise: str) -> Row:
    if found is None:
        raise ValidationError(otherwise)
    return found
