"""The staff's pages of accounts, access keys and users; and what the desks of all apps share.

Staff, roles and the list of changes have theirs in accounts.desk.
"""

from __future__ import annotations  # ModelForm and ModelAdmin take no parameters at run time

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import unfold.admin
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.http import urlencode

from accounts import services
from accounts.actors import Actor
from accounts.api.addresses import address_of
from accounts.desk.access_keys import ACTS as ACCESS_KEY_ACTS
from accounts.desk.access_keys import AccessKeyForm, access_key_page
from accounts.desk.account_filter import AccountFilter
from accounts.desk.acts import Acting, asks_once
from accounts.desk.searching import IndexedChangeList, searched
from accounts.errors import RefusedError
from accounts.models import AccessKey, Account, User
from accounts.roles import SEE_PERSONAL_DATA
from analytics.desk.account_page import account_page
from keys.desk.usage_bar import UsageColumn
from keys.desk.user_acts import ACTS as USER_ACTS
from keys.desk.user_page import user_page
from keys.invalidation import NotYetInForce
from keys.services import delete_user

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = unfold.admin.ModelAdmin

# Lists are counted up to here: staff filter or search long before they turn a hundred pages.
COUNT_MAX = 10_000
VEIL = "•••"
# So many users can be chosen to be moved; more are moved plan by plan.
MOVED_AT_ONCE = 500


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Never counts a large table."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by()[:COUNT_MAX].count()
        return counted


class Desk(Acting, _ModelAdmin):
    """A page of rows that services write: nothing is deleted, nothing saved behind their backs."""

    paginator = BoundedPaginator
    list_before_template = "desk/subtitle.html"  # the theme says it in the page's title alone
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count all rows, filter by filter
    list_per_page = 50
    sortable_by: ClassVar[tuple[str, ...]] = ()  # what an index sorts
    # What tells of a person: shown in clear, and searched, only by who has the permission (accounts.roles).
    personal_fields: tuple[str, ...] = ()

    @property
    def list_filter_submit(self) -> bool:
        """Whether the filters have a button: what is chosen in a field is sent by it, the others are links."""
        return AccountFilter in self.list_filter

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except RefusedError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        except NotYetInForce:
            self.message_user(request, "Saved, but not yet in force: Redis does not answer.", messages.WARNING)
        return HttpResponseRedirect(request.get_full_path())

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._shown_to(request, super().get_list_display(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[IndexedChangeList]:
        return IndexedChangeList

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Lookups of accounts.desk.searching."""
        if request.user.has_perm(SEE_PERSONAL_DATA):
            return list(self.search_fields)
        return [each for each in self.search_fields if each.partition("__")[0] not in self.personal_fields]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text, lookups = search_term.strip(), self.get_search_fields(request)
        return (searched(queryset, text, lookups) if text and lookups else queryset), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return [(name, told | {"fields": self._shown_to(request, told["fields"])}) for name, told in fieldsets]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Titles and breadcrumbs name the row by itself, so that for who may not see it, it has no name."""
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None and not request.user.has_perm(SEE_PERSONAL_DATA):
            for name in self.personal_fields:
                if isinstance(getattr(row, name, None), str):
                    setattr(row, name, VEIL)
        return row

    def _shown_to(self, request: HttpRequest, names: Any) -> list[Any]:
        if request.user.has_perm(SEE_PERSONAL_DATA):
            return list(names)
        return [veiled(name) if name in self.personal_fields else name for name in names]

    def facts(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the row's page shows beside its form, by change_form_outer_before_template and …_after_template."""
        return {}

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        # A form that was refused is shown within its transaction, where the ledger cannot be read: by itself then.
        if obj is not None and request.method == "GET":
            context |= self.facts(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def actor(self, request: HttpRequest) -> Actor:
        return staff_of(request)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """A row's changes, whoever made them: Django's own history knows the admin's alone."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        query = urlencode({"row_type": self.opts.label, "row_id": object_id})
        return HttpResponseRedirect(f"{reverse('admin:accounts_auditentry_changelist')}?{query}")

    def log_addition(self, *_: Any) -> Any:
        """Nothing: services record what they change (accounts.audit), and Django's own log would know half of it."""

    def log_change(self, *_: Any) -> Any:
        """Nothing, likewise."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        secret = getattr(request, "issued_secret", None)
        if secret is None:
            return super().response_add(request, obj, post_url_continue)
        return show_secret(self, request, obj, secret)


class ServiceDesk(Desk):
    """Rows of an account that two services create and update; whose they are is never changed."""

    autocomplete_fields = ("account",)
    service_fields: tuple[str, ...]
    create: Callable[..., Model]
    update: Callable[..., None]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("account", *self.service_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("account",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in self.service_fields}
        if change:
            self.update(obj, by=staff_of(request), **given)
        else:
            made = self.create(obj.account, by=staff_of(request), **given)
            obj.__dict__.update(made.__dict__)


class ReadOnlyDesk(Desk):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AccountFirstDesk(ReadOnlyDesk):
    """A large table, shown for one account at a time: its indexes begin with the account."""

    hint = "Choose an account: this table is too large to be shown as a whole."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if object_id_of(request) or request.GET.get("account_id") else rows.none()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = {} if request.GET.get("account_id") else {"subtitle": self.hint}
        return super().changelist_view(request, (extra_context or {}) | title)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup in ("account_id", "api_key_id", "key_id", "user_id") or super().lookup_allowed(
            lookup, value, request
        )


def object_id_of(request: HttpRequest) -> str | None:
    """Of the one row whose page is asked for; None on a list."""
    return request.resolver_match.kwargs.get("object_id") if request.resolver_match is not None else None


def staff_of(request: HttpRequest) -> Actor:
    return Actor.staff(request.user.get_username(), address=address_of(request))


@lru_cache
def veiled(name: str) -> Callable[[Any], str]:
    """A column in the place of one that tells of a person: whether there is something, no more."""

    @admin.display(description=name.replace("_", " "))
    def veil(row: Any) -> str:
        return VEIL if getattr(row, f"{name}_id", None) or getattr(row, name, None) else ""

    return veil


def show_secret(desk: admin.ModelAdmin[Any], request: HttpRequest, obj: Model, secret: str) -> HttpResponse:
    """In this answer and nowhere else: not in a message, whose cookie would keep it, nor in the history."""
    context = {
        **desk.admin_site.each_context(request),
        "title": "Shown this once",
        "opts": desk.opts,
        "object": obj,
        "secret": secret,
    }
    response = TemplateResponse(request, "admin/secret_once.html", context)
    response["Cache-Control"] = "no-store"
    return response


@admin.register(Account)
class AccountAdmin(Desk):
    list_display = ("name", "slug", "bucket", "created_at")
    search_fields = ("name__icontains", "slug")
    sortable_by = ("name",)
    fields = ("name", "slug", "bucket", "created_at")
    readonly_fields = ("slug", "bucket", "created_at")
    ordering = ("name",)
    change_form_outer_before_template = "desk/account_status.html"
    change_form_outer_after_template = "desk/calls_chart.html"

    def facts(self, request: HttpRequest, row: Account) -> dict[str, Any]:
        return account_page(request, row)

    def save_model(self, request: HttpRequest, obj: Account, form: ModelForm[Account], change: bool) -> None:
        if change:
            services.rename_account(obj, name=obj.name, by=staff_of(request))
        else:
            made = services.create_account(obj.name, by=staff_of(request))
            obj.__dict__.update(made.__dict__)


@admin.register(AccessKey)
class AccessKeyAdmin(Desk):
    form = AccessKeyForm
    list_display = ("name", "account", "masked", "requests_per_minute", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("account",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), AccountFilter)
    search_fields = ("name__icontains", "last4", "account__name__icontains")
    autocomplete_fields = ("account",)
    readonly_fields = ("masked", "revoked_at", "last_used_at", "created_at")
    actions = ("revoke",)
    acts = ACCESS_KEY_ACTS
    change_form_outer_before_template = "desk/access_key_status.html"
    change_form_outer_after_template = "desk/calls_chart.html"
    ordering = ("-id",)

    def facts(self, request: HttpRequest, row: AccessKey) -> dict[str, Any]:
        return access_key_page(request, row, self.act_links(request, row))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "account") if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {
            "requests_per_minute": 1000,
            "analytics_requests_per_minute": 100,
        } | super().get_changeform_initial_data(request)

    def save_model(self, request: HttpRequest, obj: AccessKey, form: ModelForm[AccessKey], change: bool) -> None:
        names = ("scopes", "requests_per_minute", "analytics_requests_per_minute", "expires_at")
        given: Any = {name: form.cleaned_data[name] for name in names}
        if change:
            services.update_access_key(obj, name=obj.name, by=staff_of(request), **given)
            return
        issued = services.create_access_key(obj.account, name=obj.name, by=staff_of(request), **given)
        obj.__dict__.update(issued.row.__dict__)
        request.issued_secret = issued.secret  # type: ignore[attr-defined]  # read by response_add, in this request

    @admin.action(description="Revoke selected access keys (for good)", permissions=["change"])
    @asks_once("These access keys stop at once and for good: the backends that use them are answered 401.")
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessKey]) -> None:
        for access_key in queryset.select_related("account"):
            services.revoke_access_key(access_key, now=timezone.now(), by=staff_of(request))
        self.message_user(request, f"{len(queryset)} access keys revoked: they stopped at once.")


@admin.register(User)
class UserAdmin(UsageColumn, ServiceDesk):
    acts = USER_ACTS
    change_form_outer_before_template = "desk/user_status.html"
    change_form_outer_after_template = "desk/user_calls.html"
    service_fields = ("name", "email", "is_disabled")
    create = staticmethod(services.create_user)
    update = staticmethod(services.update_user)
    list_display = ("name", "email", "account", "plan", "usage", "is_disabled", "created_at")
    list_select_related = ("account", "subscription__plan")
    list_filter = ("is_disabled", AccountFilter)
    search_fields = ("name__istartswith", "email__istartswith")
    personal_fields = ("name", "email")
    actions = ("move_to_plan", "delete_users")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).filter(deleted_at=None)

    def facts(self, request: HttpRequest, row: User) -> dict[str, Any]:
        return user_page(request, row, self.act_links(request, row))

    @admin.display(description="plan")
    def plan(self, user: User) -> str:
        subscription = getattr(user, "subscription", None)
        return str(subscription.plan or "") if subscription else ""

    @admin.action(description="Move selected users to a plan…", permissions=["change"])
    def move_to_plan(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse:
        """Leads to the page that previews it."""
        chosen = ",".join(str(pk) for pk in queryset.order_by("pk").values_list("pk", flat=True)[: MOVED_AT_ONCE + 1])
        return HttpResponseRedirect(f"{reverse('desk:move')}?{urlencode({'users': chosen})}")

    @admin.action(description="Delete selected users (their keys stop at once)", permissions=["change"])
    @asks_once("These users are deleted for good, and all their keys stop at once; their history stays.")
    def delete_users(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users = list(queryset.select_related("account"))  # afterwards they are no longer among those shown
        for user in users:
            delete_user(user, now=timezone.now(), by=staff_of(request))
        self.message_user(request, f"{len(users)} users deleted; their history stays.")
