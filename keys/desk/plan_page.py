"""What a plan's page shows beside its form: who holds it, and the calls that were made on it."""

from typing import Any

from django.http import HttpRequest

from accounts.desk.counts import counted
from keys.daily import calls_by_plan_by_day
from keys.desk.decisions import calls_chart
from keys.desk.related import changes_of, linked, listed, shown_to
from keys.models import ApiKey
from plans.models import Plan, Subscription


def plan_page(request: HttpRequest, plan: Plan) -> dict[str, Any]:
    """Context of templates/desk/plan_status.html and calls_chart.html."""
    users = counted(Subscription.objects.filter(plan_id=plan.pk, user__deleted_at=None))
    keys = counted(ApiKey.objects.filter(plan_id=plan.pk, deleted_at=None))
    on_it = {"plan__id__exact": plan.pk}
    related = [
        linked("Account", str(plan.account), "accounts.view_account", "accounts_account_change", plan.account_id),
        listed("Users on it", users, "plans.view_subscription", "plans_subscription_changelist", **on_it),
        listed("API keys of their own", keys, "keys.view_apikey", "keys_apikey_changelist", **on_it),
        changes_of(plan),
    ]
    chart = None
    if request.user.has_perm("keys.view_callcount"):
        chart = calls_chart(calls_by_plan_by_day, plan.account, plan.pk)
    return {"plan_shown": plan, "related": shown_to(request, related), "chart": chart}
