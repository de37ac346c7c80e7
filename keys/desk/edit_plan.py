"""Editing a plan: whom a lower limit or another period would refuse, said before it is saved."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from keys.desk import wording
from keys.desk.subjects import name_for, row_url
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from keys.overrun import COUNT_MAX, Overrun, bounded_count, overrun_of_plan
from plans.models import UNLIMITED, Plan, Subscription
from plans.windows import Period

SEEN = "_seen"  # sent by who has seen the preview


def needs_preview(plan: Plan, *, limit: int, period: str) -> bool:
    """A limit that is lowered, or windows of another length, of a plan that somebody holds."""
    is_lowered = limit != UNLIMITED and (plan.is_unlimited or limit < plan.max_requests)
    if not is_lowered and period == plan.request_period:
        return False
    users = Subscription.objects.filter(plan=plan, user__deleted_at=None)
    return users.exists() or ApiKey.objects.filter(plan=plan, deleted_at=None).exists()


def edit_preview(request: HttpRequest, plan: Plan, *, limit: int, period: str) -> HttpResponse:
    """Sends on all that was typed, once confirmed."""
    now = redis_now()
    overrun = overrun_of_plan(plan, limit=limit, period=Period(period), now=now)
    users = bounded_count(Subscription.objects.filter(plan=plan, user__deleted_at=None))
    keys = bounded_count(ApiKey.objects.filter(plan=plan, deleted_at=None))
    typed = [
        (name, value) for name, values in request.POST.lists() if name != "csrfmiddlewaretoken" for value in values
    ]
    context = {
        **admin.site.each_context(request),
        "title": f"Save {plan}?",
        "old": wording.limit_text(plan.max_requests, plan.request_period),
        "new": wording.limit_text(limit, period),
        "whom": f"It is the plan of {counted(users, 'user')}, and {counted(keys, 'key')} have it as their own.",
        "another_window": period != plan.request_period,
        "overrun": overrun_text(overrun, limit),
        "rows": overrun_rows(request, overrun, limit),
        "typed": [*typed, (SEEN, "1")],
        "back": reverse("admin:plans_plan_change", args=[plan.pk]),
    }
    return TemplateResponse(request, "desk/edit_plan.html", context)


def counted(number: int, noun: str) -> str:
    if number > COUNT_MAX:
        return f"more than {wording.amount(COUNT_MAX)} {noun}s"
    return f"{wording.amount(number)} {noun}" + ("" if number == 1 else "s")


def overrun_text(overrun: Overrun, limit: int) -> str:
    if limit == 0:
        return "A limit of 0 refuses every call of all of them."
    if not overrun.count:
        return "None of them has used that much: nobody is refused at once."
    least = "" if overrun.is_whole else "At least "
    verb = "has" if overrun.count == 1 else "have"
    return f"{least}{wording.amount(overrun.count)} of them {verb} used that much already and would be refused at once."


def overrun_rows(request: HttpRequest, overrun: Overrun, limit: int) -> list[dict[str, Any]]:
    """Those who used most, each with a link to its page."""
    now = redis_now()
    return [
        {
            "name": name_for(request, over.of),
            "url": row_url(over.of),
            "kind": over.of._meta.verbose_name,
            "state": f"{wording.amount(over.used + over.granted)} of {wording.amount(limit + over.granted)} used: "
            f"blocked until {wording.moment(over.window.end, now=now)}",
        }
        for over in overrun.first
    ]
