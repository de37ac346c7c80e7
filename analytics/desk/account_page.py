"""What an account's page shows beside its form: what it has, who is near a limit, its calls, plans and apps."""

from typing import Any, Final

from django.http import HttpRequest

from accounts.desk.charts import Chart
from accounts.desk.counts import counted
from accounts.models import AccessKey, Account, User
from analytics.models import App
from keys.daily import calls_of_account_by_day
from keys.desk.decisions import calls_chart
from keys.desk.near_limits import near_rows
from keys.desk.related import changes_of, linked, listed, shown_to
from keys.models import ApiKey
from keys.overview import near_limits
from plans.models import Plan

SHOWN: Final = 20


def account_page(request: HttpRequest, account: Account) -> dict[str, Any]:
    """Context of templates/desk/account_status.html and calls_chart.html."""
    plans = list(Plan.objects.of(account).order_by("-is_active", "name")[:SHOWN])
    apps = list(App.objects.filter(account=account).order_by("name")[:SHOWN])
    of_account, by_field = {"account_id": account.pk}, {"account__id__exact": account.pk}
    users, keys = counted(User.objects.of(account)), counted(ApiKey.objects.of(account))
    access_keys = counted(AccessKey.objects.filter(account=account, revoked_at=None))
    related = [
        listed("Users", users, "accounts.view_user", "accounts_user_changelist", **of_account),
        listed("API keys", keys, "keys.view_apikey", "keys_apikey_changelist", **of_account),
        listed(
            "Access keys in use", access_keys, "accounts.view_accesskey", "accounts_accesskey_changelist", **by_field
        ),
        listed("Decisions", "all of them", "keys.view_decision", "keys_decision_changelist", **of_account),
        listed("Usage windows", "what is used", "keys.view_usagewindow", "keys_usagewindow_changelist", **of_account),
        listed("What goes on now", "on the home page", "keys.view_usagehour", "index", account=account.pk),
        changes_of(account),
    ]
    return {
        "account_shown": account,
        **_near(request, account),
        "chart": _chart(request, account),
        "related": shown_to(request, related),
        "plans": shown_to(
            request,
            [linked("Plan", _told(plan), "plans.view_plan", "plans_plan_change", plan.pk) for plan in plans],
        ),
        "all_plans": listed("Plans", "all its plans", "plans.view_plan", "plans_plan_changelist", **of_account),
        "apps": shown_to(
            request, [linked("App", str(app), "analytics.view_app", "analytics_app_change", app.pk) for app in apps]
        ),
    }


def _chart(request: HttpRequest, account: Account) -> Chart | None:
    return calls_chart(calls_of_account_by_day, account) if request.user.has_perm("keys.view_callcount") else None


def _near(request: HttpRequest, account: Account) -> dict[str, Any]:
    if not request.user.has_perm("keys.view_nearlimit"):
        return {}
    near = near_limits(account_id=account.pk)
    return {"near": near, "near_rows": near_rows(request, near.first)}


def _told(plan: Plan) -> str:
    limit = "no limit" if plan.is_unlimited else f"{plan.max_requests:,}"
    return f"{plan.name}: {limit} a {plan.request_period}{'' if plan.is_active else ', no longer assignable'}"
