"""Move users: those of a plan, or those chosen in the list, to another plan; previewed, then step by step."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin import MOVED_AT_ONCE, staff_of
from accounts.errors import RefusedError
from accounts.models import Account, User
from keys.desk import wording
from keys.desk.change_plan import PlanField, WhyForm, offered_plans
from keys.desk.edit_plan import counted, overrun_rows, overrun_text
from keys.desk.subjects import require
from keys.invalidation import NotYetInForce
from keys.ledger.reading import redis_now
from keys.overrun import Overrun, bounded_count, overrun_of_plan, overrun_of_users
from plans.models import Plan, Subscription
from plans.services import move_users

STEP = 100  # users moved by one request
NOBODY = "Choose here whom to move; or go to a plan's page to move all of its users."


class Whom(forms.Form):
    """The address of the page: a plan whose users are moved, or the users chosen."""

    source = forms.ModelChoiceField(queryset=Plan.objects.filter(deleted_at=None), required=False)
    users = forms.RegexField(r"^\d{1,18}(,\d{1,18})*$", required=False)


@dataclass(slots=True)
class Moving:
    """Who is moved: all of `source`, or `chosen`; all of one account."""

    account: Account
    source: Plan | None
    chosen: list[User]

    @property
    def query(self) -> dict[str, str]:
        if self.source:
            return {"source": str(self.source.pk)}
        return {"users": ",".join(str(user.pk) for user in self.chosen)}

    def left(self, target: Plan) -> int:
        """Bounded (keys.overrun.COUNT_MAX)."""
        if self.source:
            return bounded_count(Subscription.objects.filter(plan=self.source, user__deleted_at=None))
        there = Subscription.objects.filter(plan=target, user_id__in=[user.pk for user in self.chosen]).count()
        return len(self.chosen) - there

    def next_users(self, target: Plan) -> list[User]:
        users = User.objects.live().select_related("account")
        if self.source:
            return list(users.filter(subscription__plan=self.source).order_by("subscription__pk")[:STEP])
        return list(
            users.filter(pk__in=[user.pk for user in self.chosen])
            .exclude(subscription__plan=target)
            .order_by("pk")[:STEP]
        )

    def overrun(self, target: Plan) -> Overrun:
        now, limit, period = redis_now(), target.max_requests, target.period
        if self.source:
            return overrun_of_plan(self.source, limit=limit, period=period, now=now, with_keys=False)
        return overrun_of_users(self.chosen, limit=limit, period=period, now=now)


class TargetForm(forms.Form):
    def __init__(self, moving: Moving, data: Any = None) -> None:
        super().__init__(data)
        plans = offered_plans(moving.account)
        if moving.source:
            plans = plans.exclude(pk=moving.source.pk)
        self.fields["target"] = PlanField(queryset=plans, label="Move to", widget=UnfoldAdminSelectWidget)


def move_page(request: HttpRequest) -> HttpResponse:
    """GET chooses; GET with `target` previews; each POST moves the next of them."""
    require(request, "plans.change_subscription", "accounts.view_user")
    try:
        moving = _moving(request)
    except RefusedError as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
    given = request.POST if request.method == "POST" else request.GET if "target" in request.GET else None
    form = TargetForm(moving, given)
    if not form.is_valid():
        return _answer(request, moving, "desk/move_users.html", {"form": form})
    target, why = form.cleaned_data["target"], WhyForm(request.POST or None)
    if request.method == "POST" and why.is_valid():
        return _step(request, moving, target, reason=why.cleaned_data["reason"])
    return _preview(request, moving, target, why)


def _moving(request: HttpRequest) -> Moving:
    """Errors: RefusedError when nobody, too many, or users of several accounts were chosen."""
    whom = Whom(request.POST if request.method == "POST" else request.GET)
    if not whom.is_valid():
        raise RefusedError(NOBODY)
    if source := whom.cleaned_data["source"]:
        return Moving(source.account, source, [])
    ids = [int(pk) for pk in whom.cleaned_data["users"].split(",") if pk]
    if len(ids) > MOVED_AT_ONCE:
        raise RefusedError(f"Choose at most {MOVED_AT_ONCE} users, or move all users of a plan from the plan's page.")
    chosen = list(User.objects.live().select_related("account").filter(pk__in=ids).order_by("pk"))
    if not chosen:
        raise RefusedError(NOBODY)
    if len({user.account_id for user in chosen}) > 1:
        raise RefusedError("Choose users of one account: a plan is one account's.")
    return Moving(chosen[0].account, None, chosen)


def _preview(request: HttpRequest, moving: Moving, target: Plan, why: WhyForm) -> HttpResponse:
    overrun = moving.overrun(target)
    source = moving.source
    context = {
        "target": target,
        "why": why,
        "whom": f"{counted(moving.left(target), 'user')} → {wording.plan_text(target)}",
        "another_window": source is not None and source.request_period != target.request_period,
        "is_mixed": source is None,
        "overrun": overrun_text(overrun, target.max_requests),
        "rows": overrun_rows(request, overrun, target.max_requests),
        "again": f"{request.path}?{urlencode(moving.query)}",
    }
    return _answer(request, moving, "desk/move_users_preview.html", context)


def _step(request: HttpRequest, moving: Moving, target: Plan, *, reason: str) -> HttpResponse:
    """The next users; what was moved before is told by the form, what is left by the tables."""
    before = request.POST.get("moved", "0")
    moved = int(before) if before.isdecimal() and len(before) < 10 else 0
    try:
        users = moving.next_users(target)
        moved += move_users(users, by=staff_of(request), source=moving.source, target=target, reason=reason)
    except NotYetInForce:
        messages.warning(request, "Redis does not answer: the last change is saved, but not yet in force. Go on later.")
    except RefusedError as refusal:
        messages.error(request, str(refusal))
    else:
        if not users:
            messages.success(request, f"{counted(moved, 'user')} moved to {target}. All of them are there.")
            return HttpResponseRedirect(reverse("admin:plans_plan_change", args=[target.pk]))
        step = _progress(moving, target, moved) | {"reason": reason}
        return _answer(request, moving, "desk/move_users_step.html", step)
    return HttpResponseRedirect(f"{request.path}?{urlencode({**moving.query, 'target': target.pk})}")


def _progress(moving: Moving, target: Plan, moved: int) -> dict[str, Any]:
    left = moving.left(target)
    return {
        "target": target,
        "moved": moved,
        "moved_text": counted(moved, "user"),
        "left_text": counted(left, "user"),
        "all": moved + left,
    }


def _answer(request: HttpRequest, moving: Moving, template: str, context: dict[str, Any]) -> HttpResponse:
    whose = str(moving.source) if moving.source else counted(len(moving.chosen), "chosen user")
    shared = {**admin.site.each_context(request), "title": f"Move users: {whose}", "moving": moving, "whose": whose}
    back = (
        reverse("admin:plans_plan_change", args=[moving.source.pk])
        if moving.source
        else reverse("admin:accounts_user_changelist")
    )
    return TemplateResponse(request, template, {**shared, **context, "back": back})
