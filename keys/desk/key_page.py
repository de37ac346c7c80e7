"""What a key's page shows beside its form: how it stands, what may be done with it, where else it is told of."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.desk.acts import ActionLink
from accounts.roles import SEE_PERSONAL_DATA
from keys.daily import calls_of_key_by_day
from keys.desk.decisions import calls_chart, last_calls
from keys.desk.key_acts import why_url
from keys.desk.related import RelatedLink, changes_of, linked, listed, shown_to
from keys.desk.subjects import ADJUST, page_url
from keys.desk.usage_bar import bar_of
from keys.history import calls_of_key
from keys.models import ApiKey


def key_actions(request: HttpRequest, api_key: ApiKey, acts: list[ActionLink]) -> list[ActionLink]:
    """The buttons of a key, `acts` among them: one place for all that is done with it."""
    actions = [ActionLink("Why refused?", why_url(api_key), "help")]
    if request.user.has_perm("keys.change_apikey"):
        regenerate = reverse("admin:keys_apikey_regenerate", args=[api_key.pk])
        actions.append(ActionLink("Replace its secret", regenerate, "autorenew"))
        actions.append(ActionLink("Change its plan", page_url("change_plan", api_key), "sell"))
    if request.user.has_perm(ADJUST):
        actions.append(ActionLink("Adjust quota", page_url("adjust", api_key), "tune"))
    return [*actions, *acts]


def key_page(request: HttpRequest, api_key: ApiKey, acts: list[ActionLink]) -> dict[str, Any]:
    """Context of templates/desk/key_status.html and key_calls.html."""
    account = api_key.account
    return {
        "api_key": api_key,
        "bar": bar_of(api_key),
        "actions": key_actions(request, api_key, acts),
        "related": _related(request, api_key),
        "recent": last_calls(request, calls_of_key, account, api_key.pk),
        "chart": calls_chart(calls_of_key_by_day, account, api_key.pk),
        "secrets": api_key.secrets.all(),
    }


def _related(request: HttpRequest, api_key: ApiKey) -> list[RelatedLink]:
    user, plan = api_key.user, api_key.plan
    of_key = {"account_id": api_key.account_id, "api_key_id": api_key.pk}
    of_account = {"account__id__exact": api_key.account_id}
    user_text = str(user) if user and request.user.has_perm(SEE_PERSONAL_DATA) else f"user {api_key.user_id}"
    wanted = [
        linked("Account", str(api_key.account), "accounts.view_account", "accounts_account_change", api_key.account_id),
        linked("User", user_text, "accounts.view_user", "accounts_user_change", user.pk) if user else None,
        linked("Its own plan", str(plan), "plans.view_plan", "plans_plan_change", plan.pk) if plan else None,
        listed("Decisions", "all of them", "keys.view_decision", "keys_decision_changelist", **of_key),
        listed(
            "Access keys", "of its account", "accounts.view_accesskey", "accounts_accesskey_changelist", **of_account
        ),
        changes_of(api_key),
    ]
    return shown_to(request, wanted)
