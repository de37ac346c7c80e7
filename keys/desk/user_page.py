"""What a user's page shows beside its form: its quota, its keys, its calls, what may be done for it."""

from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from accounts.desk.acts import ActionLink
from accounts.models import User
from keys.daily import calls_of_user_by_day
from keys.desk.decisions import calls_chart, last_calls
from keys.desk.related import RelatedLink, changes_of, linked, listed, shown_to
from keys.desk.subjects import ADJUST, page_url
from keys.desk.usage_bar import bar_of
from keys.history import calls_of_user
from keys.models import ApiKey

KEYS_SHOWN: Final = 20


def issue_url(user: User) -> str:
    """The form of a new key, all filled in."""
    query: dict[str, str | int] = {"account": user.account_id, "user": user.pk, "name": "API key"}
    return f"{reverse('admin:keys_apikey_add')}?{urlencode(query)}"


def user_actions(request: HttpRequest, user: User, acts: list[ActionLink]) -> list[ActionLink]:
    """The buttons of a user, `acts` among them: one place for all that is done for it."""
    actions = []
    if request.user.has_perm("keys.add_apikey"):
        actions.append(ActionLink("Issue a key for this user", issue_url(user), "add"))
    if request.user.has_perm(ADJUST):
        actions.append(ActionLink("Adjust quota", page_url("adjust", user), "tune"))
    if request.user.has_perm("plans.change_subscription"):
        actions.append(ActionLink("Change the plan", page_url("change_plan", user), "sell"))
    return [*actions, *acts]


def user_page(request: HttpRequest, user: User, acts: list[ActionLink]) -> dict[str, Any]:
    """Context of templates/desk/user_status.html and user_calls.html."""
    keys = []
    if request.user.has_perm("keys.view_apikey"):
        rows = ApiKey.objects.filter(account_id=user.account_id, user_id=user.pk, deleted_at=None)
        keys = list(rows.select_related("plan").prefetch_related("secrets").order_by("-id")[: KEYS_SHOWN + 1])
    return {
        "user_shown": user,
        "bar": bar_of(user),
        "actions": user_actions(request, user, acts),
        "related": _related(request, user),
        "api_keys": keys[:KEYS_SHOWN],
        "has_more_keys": len(keys) > KEYS_SHOWN,
        "recent": last_calls(request, calls_of_user, user.account, user.pk),
        "chart": calls_chart(calls_of_user_by_day, user.account, user.pk),
    }


def _related(request: HttpRequest, user: User) -> list[RelatedLink]:
    subscription = getattr(user, "subscription", None)
    of_user = {"account_id": user.account_id, "user_id": user.pk}
    wanted = [
        linked("Account", str(user.account), "accounts.view_account", "accounts_account_change", user.account_id),
        linked(
            "Plan",
            str(subscription.plan or "none"),
            "plans.view_subscription",
            "plans_subscription_change",
            subscription.pk,
        )
        if subscription
        else None,
        listed("API keys", "all of them", "keys.view_apikey", "keys_apikey_changelist", user__id__exact=user.pk),
        listed("Decisions", "all of them", "keys.view_decision", "keys_decision_changelist", **of_user),
        changes_of(user),
    ]
    return shown_to(request, wanted)
