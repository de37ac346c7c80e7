"""Find: one field into which staff paste a secret, or type what they remember of a key or a customer."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_post_parameters

from accounts.roles import SEE_PERSONAL_DATA
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
