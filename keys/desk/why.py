"""Why was this refused? What validate would answer now to a call by one key, step by step; nothing is spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.debug import sensitive_post_parameters
from redis.exceptions import RedisError

from accounts.models import AccessKey, Account
from accounts.roles import SEE_PERSONAL_DATA
from keys.desk.decisions import last_calls
from keys.desk.trace_steps import Step, Subject, steps_of
from keys.finding import api_key_meant, secret_of
from keys.history import calls_of_key
from keys.models import ApiKey, ApiKeySecret
from keys.tracing import Caller, Trace, Untraceable, trace
from keys.validation import replies
from keys.validation.replies import Answer
from keys.validation.verdicts import Decision, Verdict

SECRET_LENGTH: Final = 254
ACCESS_KEYS_SHOWN: Final = 50


class PasteForm(forms.Form):
    """Sent by POST alone: a pasted secret must stand in no address, no log and no history."""

    secret = forms.CharField(max_length=SECRET_LENGTH, strip=True)


class QuestionForm(forms.Form):
    """What the page's address says."""

    key = forms.IntegerField()
    secret = forms.IntegerField(required=False)
    access_key = forms.IntegerField(required=False)
    cost = forms.IntegerField(required=False, min_value=0, max_value=1_000_000)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer of validate as it goes over the wire."""

    answer: Answer

    @property
    def status(self) -> str:
        return f"{self.answer.status} {HTTPStatus(self.answer.status).phrase}"

    @property
    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = msgspec.json.decode(self.answer.body)
        return body

    @property
    def is_allowed(self) -> bool:
        return bool(self._body["success"])

    @property
    def code(self) -> str:
        return str(self._body.get("code", ""))

    @property
    def message(self) -> str:
        return str(self._body.get("error", ""))

    @property
    def body(self) -> str:
        return msgspec.json.format(self.answer.body, indent=2).decode()


@dataclass(frozen=True, slots=True)
class Question:
    api_key: ApiKey
    secrets: Sequence[ApiKeySecret]
    secret: ApiKeySecret | None
    access_key: AccessKey | None
    cost: int


@sensitive_post_parameters("secret")
def why_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("keys.view_apikey"):
        raise PermissionDenied
    if request.method == "POST":
        return _lead_to_pasted(request)
    if "key" not in request.GET:
        return _show(request, {})
    question = _question_of(request)
    context = {"question": question, "access_keys": _access_keys(request, question.api_key.account)}
    context["recent"] = last_calls(request, calls_of_key, question.api_key.account, question.api_key.pk)
    return _show(request, context | _traced(request, question))


def _show(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    shared = {**admin.site.each_context(request), "title": "Why was this refused?"}
    return TemplateResponse(request, "desk/why.html", shared | context)


def _lead_to_pasted(request: HttpRequest) -> HttpResponse:
    """To the address of the key that was pasted, which does not hold its secret."""
    form = PasteForm(request.POST)
    if not form.is_valid():
        return _show(request, {"form": form})
    text = form.cleaned_data["secret"]
    secret = secret_of(text)
    if secret is not None:
        query = {"key": secret.api_key_id, "secret": secret.pk}
        return HttpResponseRedirect(f"{reverse('desk:why')}?{urlencode(query)}")
    api_key = api_key_meant(text)
    if api_key is not None:
        return HttpResponseRedirect(f"{reverse('desk:why')}?{urlencode({'key': api_key.pk})}")
    nobodys = replies.answer_decision(Decision(Verdict.NOT_FOUND))
    return _show(request, {"told": Told(nobodys), "is_unknown": True})


def _question_of(request: HttpRequest) -> Question:
    form = QuestionForm(request.GET)
    if not form.is_valid():
        raise Http404("no such question")
    asked = form.cleaned_data
    api_key = get_object_or_404(ApiKey.objects.select_related("account", "user", "plan"), pk=asked["key"])
    secrets = list(api_key.secrets.order_by("-id"))
    secret = next((each for each in secrets if each.pk == asked["secret"]), secrets[0] if secrets else None)
    access_key = None
    if asked["access_key"] is not None:
        if not request.user.has_perm("accounts.view_accesskey"):
            raise PermissionDenied
        access_key = get_object_or_404(AccessKey.objects.select_related("account"), pk=asked["access_key"])
    return Question(api_key, secrets, secret, access_key, 1 if asked["cost"] is None else asked["cost"])


def _access_keys(request: HttpRequest, account: Account) -> list[AccessKey]:
    """The newest; the revoked ones too, by which a call may have been made."""
    if not request.user.has_perm("accounts.view_accesskey"):
        return []
    return list(AccessKey.objects.filter(account=account).order_by("-id")[:ACCESS_KEYS_SHOWN])


def _traced(request: HttpRequest, question: Question) -> dict[str, Any]:
    if question.secret is None:
        return {}
    account = question.access_key.account if question.access_key else question.api_key.account
    caller = Caller(account, question.access_key)
    try:
        traced = trace(
            caller, bytes(question.secret.digest), cost=question.cost, stream_max=settings.LIMITLY_STREAM_MAX
        )
    except RedisError:
        return {"told": Told(replies.UNAVAILABLE), "is_away": True}
    except Untraceable as error:
        messages.warning(request, str(error))
        return {}
    in_force = traced.answer_in_force
    return {
        "told": Told(traced.answer),
        "in_force": Told(in_force) if in_force else None,
        "trace": traced,
        "steps": _steps(request, traced, question),
    }


def _steps(request: HttpRequest, traced: Trace, question: Question) -> list[Step]:
    user_id = traced.facts.key.user_id if traced.facts.key else None
    user = question.api_key.user
    sees = request.user.has_perm(SEE_PERSONAL_DATA) and user is not None and user.pk == user_id
    subject = Subject(
        secret=question.secret,
        api_key=question.api_key,
        user_text=f"{user} (#{user_id})" if sees else f"#{user_id}",
        access_key=question.access_key,
        account_text=str(question.api_key.account),
    )
    return steps_of(traced, subject, cost=question.cost)
