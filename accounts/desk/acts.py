"""What staff may do with one row on a page of its own: it says what will happen, asks once, and is done by POST."""

from __future__ import annotations  # ModelAdmin takes no parameters at run time

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.desk.counts import COUNT_MAX
from accounts.errors import RefusedError
from accounts.roles import SEE_PERSONAL_DATA
from keys.invalidation import NotYetInForce

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object


ROWS_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Doing:
    """An act being done: with which row, by whom, when; `given` are its form's fields."""

    row: Any
    by: Actor
    now: datetime
    given: Mapping[str, Any]


def _always(_: Any) -> bool:
    return True


def _empty(_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Act:
    """`verb` is its place in the row's address; `sentence` says what it will do, `done` what it did."""

    verb: str
    title: str
    sentence: str
    done: str
    icon: str
    run: Callable[[Doing], None]  # by one service
    is_danger: bool = False
    is_offered: Callable[[Any], bool] = _always
    form: type[forms.Form] = forms.Form
    first: Callable[[Any], dict[str, Any]] = _empty  # what the form says at first
    # Where it leads: by default to the row's own page.
    leads_to: Callable[[Any], str] | None = None


@dataclass(frozen=True, slots=True)
class ActionLink:
    """A button that leads to a page where something is done or shown."""

    title: str
    url: str
    icon: str
    is_danger: bool = False


Bulk = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]


def asks_once(sentence: str) -> Callable[[Bulk], Bulk]:
    """An action of a list that first shows `sentence` and the rows, and is done when that page is answered."""

    def asking(action: Bulk) -> Bulk:
        @wraps(action)
        def asked(desk: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            if "asked" in request.POST:
                return action(desk, request, queryset)
            context = {
                **desk.admin_site.each_context(request),
                "title": sentence,
                "opts": desk.opts,
                "sentence": sentence,
                "rows": [_named(desk, request, row) for row in queryset[:ROWS_NAMED]],
                "count": queryset.order_by()[:COUNT_MAX].count(),
                "action": action.__name__,
                "selected": request.POST.getlist("_selected_action"),
                "select_across": request.POST.get("select_across", "0"),
                "back": request.get_full_path(),
            }
            return TemplateResponse(request, "admin/confirm_action.html", context)

        return asked

    return asking


def _named(desk: Any, request: HttpRequest, row: Any) -> str:
    if desk.personal_fields and not request.user.has_perm(SEE_PERSONAL_DATA):
        return f"#{row.pk}"
    account = getattr(row, "account", None)
    return f"{row}, of {account}" if account else str(row)


class Acting(_Base):
    """A desk whose rows have acts. Who may change the row may do all of them."""

    acts: tuple[Act, ...] = ()

    def actor(self, request: HttpRequest) -> Actor:
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        acts = [
            path(
                f"<int:row_id>/{act.verb}/",
                self.admin_site.admin_view(partial(self.act_view, act=act)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{act.verb}",
            )
            for act in self.acts
        ]
        return [*acts, *super().get_urls()]

    def act_links(self, request: HttpRequest, row: Any) -> list[ActionLink]:
        """Those that this member of staff may do with the row as it is."""
        if not self.has_change_permission(request, row):
            return []
        return [
            ActionLink(act.title, self._url(act.verb, row), act.icon, act.is_danger)
            for act in self.acts
            if act.is_offered(row)
        ]

    def act_view(self, request: HttpRequest, row_id: int, *, act: Act) -> HttpResponse:
        row = get_object_or_404(self.get_queryset(request).select_related("account"), pk=row_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        shown = self.get_object(request, str(row_id)) or row  # without a name for who may not see it
        form = act.form(request.POST) if request.method == "POST" else act.form(initial=act.first(row))
        if request.method == "POST" and form.is_valid():
            return self._do(request, row, act, form.cleaned_data, shown=str(shown))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{act.title}: {shown}?",
            "opts": self.opts,
            "object": shown,
            "act": act,
            "form": form,
            "back": self._url("change", row),
        }
        return TemplateResponse(request, "admin/confirm_act.html", context)

    def _do(self, request: HttpRequest, row: Any, act: Act, given: Mapping[str, Any], *, shown: str) -> HttpResponse:
        back = act.leads_to(row) if act.leads_to else self._url("change", row)
        try:
            act.run(Doing(row, self.actor(request), timezone.now(), given))
            self.message_user(request, f"{shown}: {act.done}")
        except RefusedError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        except NotYetInForce:
            self.message_user(request, "Saved, but not yet in force: Redis does not answer.", messages.WARNING)
        return HttpResponseRedirect(back)

    def _url(self, page: str, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=[row.pk])
