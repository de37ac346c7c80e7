"""What a batch of decisions needs to know: where each is filed, who called, and the routes that fold its path.

Asked of the database for the whole batch at once: six SELECTs, however many decisions.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from accounts.actors import Actor
from accounts.models import Account, User
from analytics import services
from analytics.models import DEFAULT_ENVIRONMENT, App, Endpoint, KeyBinding, PathOverride
from analytics.rollup.translating import Caller, Callers
from analytics.templates import Templates
from keys.models import ApiKey, Decision

BY = Actor.command("fold_decisions")
logger = logging.getLogger(__name__)


class Placed(NamedTuple):
    """A decision and the environment, by its name, in which it is filed."""

    environment: str
    decision: Decision


class Place(NamedTuple):
    app: App
    environment: str


def by_app(decisions: Sequence[Decision]) -> dict[App, list[Placed]]:
    """Where each decision is filed: by its access key's binding as it is now, else in the account's default app.

    Decisions of an account that is no more (rows are deleted by hand alone) are left out, and said.
    """
    bound = _bound({decision.access_key_id for decision in decisions})
    unbound = {decision.account_id for decision in decisions if decision.access_key_id not in bound}
    defaults = _defaults(unbound)
    found: defaultdict[App, list[Placed]] = defaultdict(list)
    for decision in decisions:
        place = bound.get(decision.access_key_id) or defaults.get(decision.account_id)
        if place:
            found[place.app].append(Placed(place.environment, decision))
    if gone := unbound - defaults.keys():
        logger.error("decisions of accounts that are no more are not folded: %s", sorted(gone))
    return dict(found)


def callers_of(decisions: Sequence[Decision]) -> Callers:
    user_ids = {decision.user_id for decision in decisions if decision.user_id is not None}
    key_ids = {decision.api_key_id for decision in decisions if decision.user_id is None}
    users = User.objects.filter(pk__in=user_ids).values_list("pk", "name")
    api_keys = ApiKey.objects.filter(pk__in=key_ids).values_list("pk", "public_id", "name")
    return Callers(
        {pk: Caller(str(pk), name) for pk, name in users},
        {pk: Caller(public_id, name) for pk, public_id, name in api_keys},
    )


def templates_of(apps: Iterable[App]) -> dict[int, Templates]:
    """By app: its overrides, and the routes that it announced or reported. What was only ever folded is no route."""
    overrides, routes = defaultdict[int, list[str]](list), defaultdict[int, list[str]](list)
    app_ids = {app.pk for app in apps}
    active = PathOverride.objects.filter(app__in=app_ids, is_active=True)
    announced = Endpoint.objects.filter(app__in=app_ids, is_announced=True)
    for app_id, template in active.values_list("app_id", "template"):
        overrides[app_id].append(template)
    for app_id, path in announced.values_list("app_id", "path"):
        routes[app_id].append(path)
    return {app_id: Templates(routes[app_id], overrides=overrides[app_id]) for app_id in app_ids}


def _bound(access_key_ids: Iterable[int]) -> dict[int, Place]:
    bindings = KeyBinding.objects.filter(access_key__in=access_key_ids).select_related("app", "environment")
    return {binding.access_key_id: Place(binding.app, binding.environment.name) for binding in bindings}


def _defaults(account_ids: Iterable[int]) -> dict[int, Place]:
    """Those that are lacking are made."""
    apps = {app.account_id: app for app in App.objects.filter(account__in=account_ids, is_default=True)}
    for account in Account.objects.filter(pk__in=set(account_ids) - apps.keys()):
        apps[account.pk] = services.default_app(account, by=BY)
    return {account_id: Place(app, DEFAULT_ENVIRONMENT) for account_id, app in apps.items()}
