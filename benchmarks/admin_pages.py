"""Which pages the staff's desk has, with addresses to ask them at; and how many statements one needs.

Lists and rows of every registered model are found in the admin itself. Any other page of the URLconf needs a sample in
SAMPLES, or stands among those that are not measured. Imported once the environment says where the stores are.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import django

django.setup()

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLResolver, get_resolver, reverse

from accounts.models import Staff, User
from analytics.models import RequestLog
from keys.models import ApiKey, Decision, NearLimit
from plans.models import Plan

KINDS = ("changelist", "add", "change", "history", "delete")


class Asked(NamedTuple):
    """One address; `post` is a form that is sent to it."""

    name: str
    path: str
    post: dict[str, str] | None = None


class Facts(NamedTuple):
    """Of the largest account, what samples speak of."""

    account_id: int
    app_id: int
    user: User
    api_key: ApiKey
    request: RequestLog
    plan: Plan  # of the user
    other_plan: Plan


TABS = ("traffic", "endpoints", "consumers", "errors", "performance", "resources")
# What is asked of the explorer: what many requests have, what one in hundreds has, and what none has.
REQUEST_FILTERS = (
    "outcome=denied", "status=5xx", "method=GET&path=/things/7/*", "consumer=customer-77", "at_least_ms=450",
    "ip=10.0.0.7", "consumer=nobody", "path=/nowhere/*&status=404",
)  # fmt: skip
Sample = Callable[[Facts], dict[str, Any]]
# A page's name -> `args` and `kwargs` of its address, the `queries` it is asked with, the form that is sent (`post`).
SAMPLES: dict[str, Sample] = {
    "admin:index": lambda _: {},
    "admin:password_change": lambda _: {},
    "admin:autocomplete": lambda _: {"queries": ["app_label=keys&model_name=apikey&field_name=user&term=customer"]},
    "admin:search": lambda _: {"queries": ["s=keys"]},
    "admin:keys_apikey_regenerate": lambda facts: {"args": [facts.api_key.pk]},
    "admin:keys_apikey_revoke": lambda facts: {"args": [facts.api_key.pk]},
    "admin:keys_apikey_expire": lambda facts: {"args": [facts.api_key.pk]},
    "admin:accounts_user_disable": lambda facts: {"args": [facts.user.pk]},
    **{f"desk:app_{tab}": lambda facts: {"args": [facts.app_id]} for tab in TABS},
    "desk:apps": lambda _: {},
    "desk:find": lambda facts: {"post": {"text": facts.user.email}},
    "desk:requests": lambda facts: {"queries": [f"app={facts.app_id}&{told}" for told in REQUEST_FILTERS]},
    "desk:request": lambda facts: {"args": [facts.app_id, facts.request.uuid]},
    "desk:why": lambda facts: {"queries": [f"key={facts.api_key.pk}"]},
    "desk:adjust": lambda facts: {"args": ["user", facts.user.pk]},
    "desk:change_plan": lambda facts: {"args": ["user", facts.user.pk], "queries": ["", f"plan={facts.other_plan.pk}"]},
    "desk:move": lambda facts: {
        "queries": [f"source={facts.plan.pk}", f"source={facts.plan.pk}&target={facts.other_plan.pk}"]
    },
    "desk:second-factor": lambda _: {},
}
# Pages that tell of a period are asked for each of these.
PERIODS = ("24h", "7d", "30d")
OF_PERIODS = {"admin:index", "desk:requests", *(f"desk:app_{tab}" for tab in TABS)}
# Pages without rows, that end a session, that lead elsewhere, whose cost is a file's, or of which nothing is made up.
NOT_MEASURED = {
    "admin:login", "admin:logout", "admin:password_change_done", "admin:jsi18n", "admin:view_on_site", "admin:app_list",
    "admin:auth_user_password_change", "admin:accounts_staff_second_factor", "admin:accounts_auditentry_export",
    "desk:code", "desk:export-requests", "desk:app_error", "admin:analytics_app_open_analytics",
    # One page asks for all acts with a key or a user; those above stand for it.
    "admin:keys_apikey_activate", "admin:keys_apikey_deactivate", "admin:accounts_user_enable",
    "admin:accounts_user_remove", "admin:accounts_accesskey_revoke",
}  # fmt: skip
# What is typed into a list's search; `{…}` is a fact. A beginning that many rows have, one that few have, and none.
SEARCHES = {
    "accounts_user": ["customer", "{email}", "nobody@example.com"],
    "keys_apikey": ["production", "{email}", "{public_id}", "{last4}", "nothing of the kind"],
    "keys_apikeysecret": ["{last4}", "{public_id}"],
    "plans_subscription": ["{email}", "customer", "gold"],
    "plans_plan": ["gold"],
    "accounts_account": ["simulated"],
    "accounts_auditentry": ["row 77", "nothing of the kind"],
    "analytics_consumer": ["customer-7", "nothing of the kind"],
    "analytics_endpoint": ["/things/7"],
}
# A list's filters, as addresses have them.
FILTERS = {
    "accounts_user": ["is_disabled__exact=1", "account_id={account}", "account_id={account}&is_disabled__exact=1"],
    "keys_apikey": ["status__exact=inactive", "account_id={account}", "account_id={account}&status__exact=inactive"],
    "plans_plan": ["is_active__exact=1&account_id={account}"],
    "plans_subscription": ["account_id={account}"],
    "accounts_accesskey": ["revoked_at__isempty=1"],
    "keys_decision": [
        "account_id={account}", "account_id={account}&outcome__exact=2", "account_id={account}&outcome__exact=5",
        "account_id={account}&api_key_id={key}",
    ],
    "keys_usagewindow": ["account_id={account}", "account_id={account}&subject_kind__exact=k"],
    "keys_usagehour": ["account_id={account}"],
    "analytics_app": ["account_id={account}"],
    "analytics_endpoint": ["is_excluded__exact=1"],
    "accounts_auditentry": [
        "account_id={account}", "actor_kind__exact=staff", "actor_name=staff3", "action_done=user+changed",
        "row_type=keys.ApiKey", "row_type=keys.ApiKey&row_id={key}", "at_from=2020-01-01&at_to=2020-02-01",
        "action_done=user+changed&actor_kind__exact=command&account_id={account}",
    ],
}  # fmt: skip


def facts_of(account_id: int, app_id: int) -> Facts:
    api_key = ApiKey.objects.filter(account_id=account_id).latest("id")
    assert api_key.user is not None
    request = RequestLog.objects.filter(app_id=app_id).order_by("-at", "-uuid")[0]
    plan = api_key.user.subscription.plan
    other_plan = Plan.objects.filter(account_id=account_id, deleted_at=None, is_active=True).exclude(pk=plan.pk)[0]
    return Facts(account_id, app_id, api_key.user, api_key, request, plan, other_plan)


def addresses(facts: Facts) -> tuple[list[Asked], list[str]]:
    """What is asked; and the names of pages that have no sample."""
    of_models = {f"admin:{name}_{kind}" for name in _desks() for kind in KINDS}
    others = {name for name in _names(get_resolver().url_patterns) if name.startswith(("admin:", "desk:"))} - of_models
    asked = [each for name, desk in _desks().items() for each in _of_model(name, desk, facts)]
    asked += [each for name in sorted(others & SAMPLES.keys()) for each in _sampled(name, SAMPLES[name](facts))]
    return asked, sorted(others - SAMPLES.keys() - NOT_MEASURED)


def client_of(username: str, password: str) -> Client:
    """A member of staff who is made, and logged in here; over HTTP the password does it."""
    settings.ALLOWED_HOSTS.append("testserver")
    told = {"password": make_password(password), "is_staff": True, "is_superuser": True}
    staff, _ = Staff.objects.update_or_create(username=username, defaults=told)
    client = Client()
    client.force_login(staff)
    return client


def queries_of(client: Client, asked: Asked) -> int:
    with CaptureQueriesContext(connection) as seen:
        if asked.post is None:
            client.get(asked.path)
        else:
            client.post(asked.path, asked.post)
    return len(seen)


def _desks() -> dict[str, Any]:
    return {f"{model._meta.app_label}_{model._meta.model_name}": desk for model, desk in admin.site._registry.items()}


def _names(patterns: list[Any], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _names(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)
        elif pattern.name:
            yield f"{namespace}{pattern.name}"


def _of_model(name: str, desk: Any, facts: Facts) -> Iterator[Asked]:
    told = _told(facts)
    changelist = reverse(f"admin:{name}_changelist")
    yield Asked(f"{name} list", changelist)
    for query in ("p=2", *FILTERS.get(name, ())):
        yield Asked(f"{name} list ?{query}", f"{changelist}?{query.format(**told)}")
    for text in SEARCHES.get(name, ()):
        yield Asked(f"{name} search {text}", f"{changelist}?{urlencode({'q': text.format(**told)})}")
    row = _row(desk.model, facts)
    if row is not None and desk.model is not NearLimit:  # whose rows come and go each minute
        yield Asked(f"{name} row", reverse(f"admin:{name}_change", args=[row.pk]))
    if name in ("keys_apikey", "accounts_user", "plans_plan", "plans_subscription", "accounts_accesskey"):
        yield Asked(f"{name} add", reverse(f"admin:{name}_add"))


def _row(model: type[Any], facts: Facts) -> Any:
    """The newest; of decisions one of the largest account, since its table is read by account."""
    if model is Decision:
        return Decision.objects.filter(account_id=facts.account_id).order_by("-at", "-id").first()
    return model._base_manager.order_by("-pk").first()


def _told(facts: Facts) -> dict[str, object]:
    (secret, *_) = facts.api_key.secrets.all()
    return {
        "account": facts.account_id,
        "key": facts.api_key.pk,
        "email": facts.user.email,
        "public_id": facts.api_key.public_id,
        "last4": secret.last4,
    }


def _sampled(name: str, sample: dict[str, Any]) -> Iterator[Asked]:
    path = reverse(name, args=sample.get("args"), kwargs=sample.get("kwargs"))
    for query in sample.get("queries", [""]):
        for period in PERIODS if name in OF_PERIODS else ("",):
            told = "&".join(part for part in (query, f"period={period}" if period else "") if part)
            yield Asked(f"{name} {told}".strip(), f"{path}?{told}" if told else path, sample.get("post"))
