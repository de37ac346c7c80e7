"""Change of plan: what another plan would mean for a user or a key, before it is given."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin import staff_of
from accounts.errors import RefusedError
from accounts.models import Account, User
from keys import services as keys
from keys.adjusting import REASON_LENGTH
from keys.desk import wording
from keys.desk.subjects import KEY, USER, found, kind_of, name_for, page_url, require, row_url, view_permission
from keys.invalidation import NotYetInForce
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from keys.standing import Standing, standing_if, standing_of
from plans import services as plans
from plans.models import Plan, Subscription

OFFERED = 1_000  # plans in the list


class PlanField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes no parameters at run time
    def label_from_instance(self, obj: Plan) -> str:
        return wording.plan_text(obj)


def offered_plans(account: Account) -> QuerySet[Plan]:
    """Those that may still be given."""
    offered = Plan.objects.of(account).filter(is_active=True).values("pk")[:OFFERED]
    return Plan.objects.filter(pk__in=offered).order_by("name", "pk")


class PlanForm(forms.Form):
    def __init__(self, of: ApiKey | User, data: Any = None) -> None:
        super().__init__(data)
        if isinstance(of, ApiKey):
            present = of.plan_id
        else:
            present = Subscription.objects.filter(user=of).values_list("plan_id", flat=True).first()
        empty = "No plan of its own" if isinstance(of, ApiKey) else "No plan"
        self.fields["plan"] = PlanField(
            queryset=offered_plans(of.account),
            required=False,
            label="New plan",
            empty_label=empty,
            initial=present,
            widget=UnfoldAdminSelectWidget,
        )


class WhyForm(forms.Form):
    """What is asked last of a change of plan."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Reason (optional)",
        help_text="Kept in the history of changes.",
        widget=UnfoldAdminTextInputWidget,
    )


def change_plan_page(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """GET chooses; GET with `plan` previews; POST gives it."""
    changes = "keys.change_apikey" if kind == KEY else "plans.change_subscription"
    require(request, changes, view_permission(kind))
    of = found(kind, pk)
    given = request.POST if request.method == "POST" else request.GET if "plan" in request.GET else None
    form, why = PlanForm(of, given), WhyForm(request.POST or None)
    if not form.is_valid():
        standing, now = standing_of(of, now=redis_now()), redis_now()
        context = {
            "form": form,
            "old": wording.plan_text(standing.quota.plan),
            "state": wording.state(standing, now=now),
        }
        return _answer(request, of, "desk/change_plan.html", context)
    if request.method == "POST" and why.is_valid():
        return _give(request, of, form.cleaned_data["plan"], reason=why.cleaned_data["reason"])
    return _preview(request, of, form, why)


def _preview(request: HttpRequest, of: ApiKey | User, form: PlanForm, why: WhyForm) -> HttpResponse:
    now, plan = redis_now(), form.cleaned_data["plan"]
    before, after = standing_of(of, now=now), standing_if(of, plan, now=now)
    context = {
        "plan": plan,
        "why": why,
        "old": wording.plan_text(before.quota.plan),
        "new": wording.plan_text(after.quota.plan),
        "before": wording.state(before, now=now),
        "after": wording.state(after, now=now),
        "meaning": _meaning(before, after, now=now),
        "is_blocked": after.is_used_up,
        "notes": _notes(of, plan),
    }
    return _answer(request, of, "desk/change_plan_preview.html", context)


def _meaning(before: Standing, after: Standing, *, now: datetime) -> str:
    """Whether what was counted is carried over (DESIGN 5a: a counter is named by subject, start and end)."""
    old, new = before.quota, after.quota
    if (old.subject, old.window) == (new.subject, new.window):
        return "The window stays the same, and so does what was counted and granted in it."
    until = wording.moment(new.window.end, now=now)
    counted = f"{wording.amount(after.spent)} used" if after.spent else "nothing used"
    return (
        f"Another window counts from then on, until {until}: it stands at {counted}. "
        "What was counted and granted in the present one is not carried over."
    )


def _notes(of: ApiKey | User, plan: Plan | None) -> str:
    if isinstance(of, User):
        return "Keys with a plan of their own keep it."
    if plan is None and of.user_id:
        return "Without a plan of its own the key is counted together with its user's."
    return ""


def _give(request: HttpRequest, of: ApiKey | User, plan: Plan | None, *, reason: str) -> HttpResponse:
    try:
        if isinstance(of, ApiKey):
            keys.update_api_key(of, by=staff_of(request), reason=reason, plan=plan)
        else:
            plans.subscribe(of, by=staff_of(request), reason=reason, plan=plan)
    except RefusedError as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(page_url("change_plan", of))
    except NotYetInForce:
        messages.warning(request, "Saved, but not yet in force: Redis does not answer.")
    else:
        messages.success(request, f"Now on {wording.plan_text(plan)}.")
    return HttpResponseRedirect(row_url(of))


def _answer(request: HttpRequest, of: ApiKey | User, template: str, context: dict[str, Any]) -> HttpResponse:
    name = name_for(request, of)
    title = f"Change the plan: {name}" if kind_of(of) == USER else f"Change the key's own plan: {name}"
    shared = {**admin.site.each_context(request), "title": title, "name": name}
    return TemplateResponse(request, template, {**shared, **context, "row_url": row_url(of)})
