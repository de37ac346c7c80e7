"""Each member of staff's own page of the second factor: set it up, renew the recovery codes, turn it off."""

from base64 import b32encode
from typing import Any, Final, cast

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.debug import sensitive_post_parameters

from accounts import second_factor as services
from accounts.admin import staff_of
from accounts.desk.logging_in import CodeForm
from accounts.desk.sessions import mark_passed
from accounts.models import SecondFactor, Staff

WRONG: Final = "This code does not fit, or was used already: take the next one."


@sensitive_post_parameters("code")
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """The authenticator's secret is in the answer to a POST alone, and only until a code confirms it."""
    match request.POST.get("do") if request.method == "POST" else None:
        case "begin":
            return _begin(request)
        case "confirm":
            return _confirm(request)
        case "renew":
            return _renew(request)
        case "remove":
            return _remove(request)
        case _:
            return _page(request)


def _begin(request: HttpRequest) -> HttpResponse:
    staff = _staff(request)
    if services.second_factor_of(staff) is not None:
        return redirect("desk:second-factor")
    return _page(request, begun=services.begin_second_factor(staff))


def _confirm(request: HttpRequest) -> HttpResponse:
    staff, form = _staff(request), CodeForm(request.POST)
    if form.is_valid():
        codes = services.confirm_second_factor(staff, form.cleaned_data["code"], by=staff_of(request))
        device = services.second_factor_of(staff)
        if codes is not None and device is not None:
            mark_passed(request, device)
            return _page(request, codes=codes)
        form.add_error("code", WRONG)
    return _page(request, form=form, begun=services.second_factor_begun(staff))


def _renew(request: HttpRequest) -> HttpResponse:
    form = _asked_again(request)
    if form.errors:
        return _page(request, form=form)
    return _page(request, codes=services.renew_recovery_codes(_staff(request), by=staff_of(request)))


def _remove(request: HttpRequest) -> HttpResponse:
    form = _asked_again(request)
    if form.errors:
        return _page(request, form=form)
    services.remove_second_factor(_staff(request), by=staff_of(request))
    messages.success(request, "The second factor is off: your password alone lets you in.")
    return redirect("desk:second-factor")


def _asked_again(request: HttpRequest) -> CodeForm:
    """A session left open is not enough to take a second factor away."""
    form = CodeForm(request.POST)
    if form.is_valid() and not services.passes_second_factor(
        _staff(request), form.cleaned_data["code"], by=staff_of(request)
    ):
        form.add_error("code", WRONG)
    return form


def _page(
    request: HttpRequest,
    *,
    form: CodeForm | None = None,
    begun: SecondFactor | None = None,
    codes: list[str] | None = None,
) -> TemplateResponse:
    staff = _staff(request)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Second factor",
        "form": form or CodeForm(),
        "device": services.second_factor_of(staff),
        "codes_left": services.recovery_codes_left(staff),
        "codes": codes,
        "is_required": settings.LIMITLY_REQUIRE_SECOND_FACTOR,
    }
    if begun is not None:
        context |= {"qr": _qr(begun), "secret": b32encode(begun.bin_key).decode()}
    return TemplateResponse(request, "desk/second_factor.html", context)  # admin_view has it never cached


def _qr(device: SecondFactor) -> SafeString:
    drawn = segno.make(device.config_url, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff")
    return mark_safe(drawn)  # noqa: S308  # drawn by segno: modules of a grid, none of the text itself


def _staff(request: HttpRequest) -> Staff:
    return cast(Staff, request.user)
