"""Adjust quota: how a window stands, extra units granted for it or taken back, its use reset; each previewed first."""

from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from accounts.admin import staff_of
from accounts.models import User
from keys.adjusting import REASON_LENGTH, Adjusted, NotAdjusted, PerhapsAdjusted, Wish, adjust
from keys.desk import wording
from keys.desk.subjects import ADJUST, found, name_for, page_url, require, row_url, view_permission
from keys.events import from_ms, to_ms
from keys.ledger.reading import redis_now
from keys.models import AdjustmentKind, ApiKey
from keys.standing import Standing, adjustments_of, standing_of
from keys.subjects import Subject
from plans.models import MAX_REQUESTS
from plans.windows import Window

LAST_MS = 253_402_300_799_999  # of the year 9999


class ReasonForm(forms.Form):
    """A reset; and what every adjustment asks."""

    prefix = AdjustmentKind.RESET.value
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        help_text="Kept with the adjustment and in the history of changes.",
        widget=UnfoldAdminTextInputWidget,
    )


class GrantForm(ReasonForm):
    prefix = AdjustmentKind.GRANT.value
    units = forms.IntegerField(
        label="Extra units", min_value=1, max_value=MAX_REQUESTS, widget=UnfoldAdminIntegerFieldWidget
    )
    field_order = ("units", "reason")


class TakeForm(ReasonForm):
    prefix = AdjustmentKind.TAKE.value


class ConfirmedForm(forms.Form):
    """What the preview showed, sent back: the window that was looked at, and the wish's own name."""

    kind = forms.ChoiceField(choices=AdjustmentKind.choices)
    units = forms.IntegerField(min_value=0, max_value=MAX_REQUESTS)
    reason = forms.CharField(max_length=REASON_LENGTH)
    request_id = forms.UUIDField()
    subject = forms.RegexField(r"^(f?[ku])\d{1,18}$")
    start = forms.IntegerField(min_value=0, max_value=LAST_MS)
    end = forms.IntegerField(min_value=0, max_value=LAST_MS)

    def wish(self) -> Wish:
        given = self.cleaned_data
        window = Window(from_ms(given["start"]), from_ms(given["end"]))
        kind, subject = AdjustmentKind(given["kind"]), Subject.parse(given["subject"])
        return Wish(kind, subject, window, given["units"], given["reason"], given["request_id"])


FORMS: dict[str, type[ReasonForm]] = {
    AdjustmentKind.GRANT: GrantForm,
    AdjustmentKind.RESET: ReasonForm,
    AdjustmentKind.TAKE: TakeForm,
}


def adjust_page(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """GET shows; POST `preview` (with a kind) says what would be; POST `confirm` does it."""
    require(request, ADJUST, view_permission(kind))
    of = found(kind, pk)
    if "confirm" in request.POST:
        return _confirm(request, of)
    asked = request.POST.get("preview", "")
    given = {each: form(request.POST if each == asked else None) for each, form in FORMS.items()}
    standing = standing_of(of, now=redis_now())
    if asked in FORMS and given[asked].is_valid() and _may_be(asked, standing):
        return _preview(request, of, standing, AdjustmentKind(asked), given[asked].cleaned_data)
    return _show(request, of, standing, given)


def _may_be(kind: str, standing: Standing) -> bool:
    return standing.left_of_grants > 0 if kind == AdjustmentKind.TAKE else not standing.quota.is_unlimited


def _show(request: HttpRequest, of: ApiKey | User, standing: Standing, given: dict[str, ReasonForm]) -> HttpResponse:
    now, quota = redis_now(), standing.quota
    context = {
        "of": of,
        "state": wording.state(standing, now=now),
        "facts": _facts(standing),
        "ends": wording.moment(quota.window.end, now=now),
        "standing": standing,
        "left_of_grants": wording.amount(standing.left_of_grants),
        "share": min(100, int(standing.percentage)),
        "counted_as": _counted_as(request, of),
        "forms": given,
        "adjustments": [(each, wording.amount(-each.amount)) for each in adjustments_of(of.account, quota.subject)],
    }
    return _answer(request, of, "desk/adjust_quota.html", "Adjust quota", context)


def _facts(standing: Standing) -> list[tuple[str, str]]:
    quota = standing.quota
    if quota.is_unlimited:
        return [("Plan", wording.plan_text(quota.plan)), ("Used", wording.amount(standing.spent))]
    return [
        ("Plan", wording.plan_text(quota.plan)),
        ("Used", wording.amount(standing.spent)),
        ("Granted besides", wording.amount(standing.granted)),
        ("Remaining", wording.amount(quota.remaining)),
    ]


def _counted_as(request: HttpRequest, of: ApiKey | User) -> str:
    if isinstance(of, ApiKey) and of.user and not of.plan_id:
        return f"This key has no plan of its own: it is counted together with all keys of {name_for(request, of.user)}."
    return ""


def _preview(
    request: HttpRequest, of: ApiKey | User, standing: Standing, kind: AdjustmentKind, given: dict[str, Any]
) -> HttpResponse:
    now, window = redis_now(), standing.quota.window
    units, after, says = _wished(standing, kind, given)
    context = {
        "of": of,
        "says": f"{says} for this window, until {wording.moment(window.end, now=now)}",
        "before": wording.state(standing, now=now),
        "after": wording.state(after, now=now),
        "reason": given["reason"],
        "counted_as": _counted_as(request, of),
        "wish": {
            "kind": kind.value,
            "units": units,
            "reason": given["reason"],
            "request_id": uuid4(),
            "subject": standing.quota.subject,
            "start": to_ms(window.start),
            "end": to_ms(window.end),
        },
    }
    return _answer(request, of, "desk/adjust_quota_preview.html", "Adjust quota", context)


def _wished(standing: Standing, kind: AdjustmentKind, given: dict[str, Any]) -> tuple[int, Standing, str]:
    """Of how many units it speaks, how the window would stand then, and what it is called."""
    match kind:
        case AdjustmentKind.GRANT:
            units = given["units"]
            return units, standing.with_grant(units), f"Grant {wording.amount(units)} extra units"
        case AdjustmentKind.TAKE:
            units = standing.left_of_grants
            return units, standing.with_taken(units), f"Take back {wording.amount(units)} granted units"
        case AdjustmentKind.RESET:
            return 0, standing.after_reset(), "Reset what was used"


def _confirm(request: HttpRequest, of: ApiKey | User) -> HttpResponse:
    form = ConfirmedForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was adjusted: the page was not sent whole. Look again.")
        return HttpResponseRedirect(page_url("adjust", of))
    wish = form.wish()
    try:
        adjusted = adjust(of, wish, by=staff_of(request), stream_max=settings.LIMITLY_STREAM_MAX)
    except NotAdjusted as refusal:
        messages.error(request, str(refusal))
    except PerhapsAdjusted:
        context = {"of": of, "wish": request.POST.dict()}
        return _answer(request, of, "desk/adjust_quota_lost.html", "Perhaps adjusted", context)
    else:
        messages.success(request, _said(wish, adjusted))
    return HttpResponseRedirect(page_url("adjust", of))


def _said(wish: Wish, adjusted: Adjusted) -> str:
    units = wording.amount(abs(adjusted.amount))
    done = {
        AdjustmentKind.GRANT: f"{units} extra units granted.",
        AdjustmentKind.RESET: f"{units} used units taken back.",
        AdjustmentKind.TAKE: f"{units} granted units taken back.",
    }[wish.kind]
    return f"This was done before, once: {done}" if adjusted.is_repeat else done


def _answer(
    request: HttpRequest, of: ApiKey | User, template: str, title: str, context: dict[str, Any]
) -> HttpResponse:
    name = name_for(request, of)
    shared = {**admin.site.each_context(request), "title": f"{title}: {name}", "name": name}
    return TemplateResponse(request, template, {**shared, **context, "row_url": row_url(of)})
