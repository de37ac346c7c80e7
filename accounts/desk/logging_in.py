"""Logging in: the password, then the second factor where one was set up. No session is anybody's before both."""

from datetime import datetime, timedelta
from typing import Any, Final, cast

from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.contrib import admin, auth
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts import audit
from accounts.actors import Actor
from accounts.admin import staff_of
from accounts.api.addresses import address_of
from accounts.desk.sessions import mark_passed
from accounts.models import Staff
from accounts.second_factor import passes_second_factor, second_factor_of

PENDING: Final = "limitly_log_in"
# Between password and code.
PENDING_FOR: Final = timedelta(minutes=5)


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code of your authenticator, or a recovery code",
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )


class PasswordStep(LoginView):
    """Django's log-in page, which leads on to the code where there is a second factor."""

    template_name = "admin/login.html"

    def form_valid(self, form: Any) -> HttpResponse:
        staff = form.get_user()
        if second_factor_of(staff) is None:
            return super().form_valid(form)
        self.request.session.cycle_key()
        self.request.session[PENDING] = {
            "staff": staff.pk,
            "backend": staff.backend,
            "password": staff.get_session_auth_hash(),
            "until": (timezone.now() + PENDING_FOR).timestamp(),
            "next": self.get_success_url(),
        }
        return redirect("desk:code")

    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    if request.method == "GET" and admin.site.has_permission(request):
        return redirect("admin:index")
    context = {
        **admin.site.each_context(request),
        "title": "Log in",
        "subtitle": None,
        "app_path": request.get_full_path(),
        "username": request.user.get_username(),
    }
    view = PasswordStep.as_view(extra_context=context, authentication_form=admin.site.login_form)
    request.current_app = admin.site.name  # as Django's own page has it
    return cast(HttpResponse, view(request))


@sensitive_post_parameters("code")
@never_cache
def log_in_code(request: HttpRequest) -> HttpResponse:
    """The second step. Wrong codes count like wrong passwords: for a pause of this name from this address."""
    staff = _pending_staff(request, now=timezone.now())
    if staff is None:
        return redirect("admin:login")
    form = CodeForm(request.POST or None)
    credentials = {"username": staff.get_username()}
    if request.method == "POST" and not AxesProxyHandler.is_allowed(request, credentials):
        request.axes_locked_out = True  # type: ignore[attr-defined]  # its middleware answers
        return HttpResponse(status=429)
    if form.is_valid():
        if passes_second_factor(staff, form.cleaned_data["code"], by=_as(staff, request)):
            return _complete(request, staff)
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        form.add_error("code", "This code does not fit, or was used already: take the next one.")
    return _page(request, form)


def change_password(request: HttpRequest) -> HttpResponse:
    """Django's own page of it, with what it does on record."""
    staff = cast(Staff, request.user)
    with transaction.atomic(), audit.recording(staff_of(request), staff, "password set"):
        return admin.site.password_change(request)


def _pending_staff(request: HttpRequest, *, now: datetime) -> Staff | None:
    """Whose password was right a moment ago, and still is."""
    pending = request.session.get(PENDING)
    if pending is None or now.timestamp() > pending["until"]:
        return None
    staff = Staff.objects.filter(pk=pending["staff"], is_active=True).first()
    if staff is None or not constant_time_compare(staff.get_session_auth_hash(), pending["password"]):
        return None
    return staff


def _complete(request: HttpRequest, staff: Staff) -> HttpResponse:
    pending = request.session.pop(PENDING)
    auth.login(request, staff, backend=pending["backend"])
    device = second_factor_of(staff)
    if device is not None:
        mark_passed(request, device)
    return HttpResponseRedirect(pending["next"])  # which LoginView held to this host


def _as(staff: Staff, request: HttpRequest) -> Actor:
    return Actor.staff(staff.get_username(), address=address_of(request))


def _page(request: HttpRequest, form: Form) -> TemplateResponse:
    context = {**admin.site.each_context(request), "title": "Your code", "form": form}
    return TemplateResponse(request, "desk/code.html", context)
