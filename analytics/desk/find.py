"""Find: one field into which staff paste a secret, or type what they remember of a key or a customer."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_post_parameters

from accounts.desk.acts import Acting, ActionLink
from accounts.roles import SEE_PERSONAL_DATA
from keys.desk.key_page import key_actions
from keys.desk.user_page import user_actions
from keys.finding import Found, find

TEXT_LENGTH = 254


class FindForm(forms.Form):
    """Sent by POST alone: a pasted secret must stand in no address, no log and no history."""

    text = forms.CharField(max_length=TEXT_LENGTH, strip=True)


@sensitive_post_parameters("text")
def find_page(request: HttpRequest) -> HttpResponse:
    form = FindForm(request.POST or None)
    found = None
    if form.is_valid():
        found = _seen_by(request, find(form.cleaned_data["text"], sees_people=request.user.has_perm(SEE_PERSONAL_DATA)))
    context = {**admin.site.each_context(request), "title": "Find", "form": form, "found": found}
    if found is not None:
        context |= _with_actions(request, found)
    return TemplateResponse(request, "desk/find.html", context)  # admin_view has it never cached


def _seen_by(request: HttpRequest, found: Found) -> Found:
    """What the permissions let this member of staff see."""
    if not request.user.has_perm("keys.view_apikey"):
        found.api_keys = []
    if not request.user.has_perm("accounts.view_accesskey"):
        found.access_keys = []
    if not request.user.has_perm("accounts.view_user"):
        found.users = []
    return found


def _with_actions(request: HttpRequest, found: Found) -> dict[str, Any]:
    """Each row with what is most often done with it."""
    return {
        "api_keys": [(row, key_actions(request, row, _dangers(request, row))) for row in found.api_keys],
        "access_keys": [(row, _dangers(request, row)) for row in found.access_keys],
        "users": [(row, user_actions(request, row, [])) for row in found.users],
    }


def _dangers(request: HttpRequest, row: Model) -> list[ActionLink]:
    """Such as revoking what has leaked."""
    desk = admin.site.get_model_admin(type(row))
    return [act for act in desk.act_links(request, row) if act.is_danger] if isinstance(desk, Acting) else []
