"""Which role may open which page of the admin and do what there: a line for each, and none may be missing.

V is Viewer, S Support, O Operator, A Administrator; "" is nobody. A new page needs a line here, or a test fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from accounts.roles import Role

LETTERS = {Role.VIEWER: "V", Role.SUPPORT: "S", Role.OPERATOR: "O", Role.ADMINISTRATOR: "A"}
ALL, SUPPORT, OPERATOR, ADMINISTRATOR, NOBODY = "VSOA", "SOA", "OA", "A", ""
# What a test finds on the stage: a row of each model, by its label, `staff` and an `error_group`.
Stage = SimpleNamespace


def app_id(stage: Stage) -> tuple[object, ...]:
    return (stage.rows["analytics.App"].pk,)


@dataclass(frozen=True, slots=True)
class Model:
    """The five pages of a model: its list, history and a row are for `view`; `add`, `change` and `delete` likewise."""

    view: str
    add: str
    change: str
    delete: str = NOBODY


@dataclass(frozen=True, slots=True)
class Page:
    """Any other page. `arguments` makes those of its address; `query` is asked with it; `post` is what is sent."""

    roles: str
    arguments: Callable[[Stage], tuple[object, ...]] = lambda _: ()
    query: str = ""
    post: dict[str, str] | None = None


MODELS = {
    "accounts_account": Model(ALL, OPERATOR, OPERATOR),
    "accounts_accesskey": Model(ALL, OPERATOR, OPERATOR),
    "accounts_user": Model(ALL, SUPPORT, SUPPORT),
    "accounts_auditentry": Model(ALL, NOBODY, NOBODY),
    "accounts_staff": Model(ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "auth_group": Model(ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "plans_plan": Model(ALL, OPERATOR, OPERATOR),
    "plans_subscription": Model(ALL, SUPPORT, SUPPORT),
    "keys_apikey": Model(ALL, SUPPORT, SUPPORT),
    "keys_apikeysecret": Model(ALL, NOBODY, NOBODY),
    "keys_decision": Model(ALL, NOBODY, NOBODY),
    "keys_usagewindow": Model(ALL, NOBODY, NOBODY),
    "keys_usagehour": Model(ALL, NOBODY, NOBODY),
    "keys_callcount": Model(ALL, NOBODY, NOBODY),
    "keys_nearlimit": Model(ALL, NOBODY, NOBODY),
    "keys_streamposition": Model(ALL, NOBODY, NOBODY),
    "keys_pendinginvalidation": Model(ALL, NOBODY, NOBODY),
    "keys_deadevent": Model(ALL, NOBODY, NOBODY),
    "keys_adjustment": Model(ALL, NOBODY, NOBODY),
    "analytics_app": Model(ALL, OPERATOR, OPERATOR),
    "analytics_writetoken": Model(ALL, OPERATOR, NOBODY),
    "analytics_environment": Model(ALL, NOBODY, OPERATOR),
    "analytics_keybinding": Model(ALL, NOBODY, NOBODY),
    "analytics_consumergroup": Model(ALL, NOBODY, NOBODY),
    "analytics_consumer": Model(ALL, NOBODY, NOBODY),
    "analytics_endpoint": Model(ALL, NOBODY, OPERATOR),
    "analytics_pathoverride": Model(ALL, OPERATOR, OPERATOR),
    "analytics_inboxreport": Model(ALL, NOBODY, NOBODY),
    "analytics_rejectedreport": Model(ALL, NOBODY, NOBODY),
    "analytics_droppeditems": Model(ALL, NOBODY, NOBODY),
    "analytics_instance": Model(ALL, NOBODY, NOBODY),
}
PAGES = {
    # Django's own, and the theme's.
    "admin:index": Page(ALL),
    "admin:app_list": Page(ALL, lambda _: ("keys",)),
    "admin:login": Page(ALL),
    "admin:logout": Page(ALL, post={}),
    "admin:password_change": Page(ALL),
    "admin:password_change_done": Page(ALL),
    "admin:auth_user_password_change": Page(ADMINISTRATOR, lambda stage: (stage.staff.pk,)),
    "admin:autocomplete": Page(ALL, query="app_label=keys&model_name=apikey&field_name=account"),
    "admin:jsi18n": Page(ALL),
    "admin:search": Page(ALL, query="s=keys"),
    # Beside the lists.
    "admin:accounts_auditentry_export": Page(ALL, post={"format": "csv"}),
    "admin:accounts_staff_second_factor": Page(ADMINISTRATOR, lambda stage: (stage.staff.pk,)),
    "admin:analytics_app_open_analytics": Page(ALL, app_id),
    "admin:keys_apikey_regenerate": Page(SUPPORT, lambda stage: (stage.rows["keys.ApiKey"].pk,)),
    "admin:keys_apikey_activate": Page(SUPPORT, lambda stage: (stage.rows["keys.ApiKey"].pk,)),
    "admin:keys_apikey_deactivate": Page(SUPPORT, lambda stage: (stage.rows["keys.ApiKey"].pk,)),
    "admin:keys_apikey_expire": Page(SUPPORT, lambda stage: (stage.rows["keys.ApiKey"].pk,)),
    "admin:keys_apikey_revoke": Page(SUPPORT, lambda stage: (stage.rows["keys.ApiKey"].pk,)),
    "admin:accounts_user_disable": Page(SUPPORT, lambda stage: (stage.rows["accounts.User"].pk,)),
    "admin:accounts_user_enable": Page(SUPPORT, lambda stage: (stage.rows["accounts.User"].pk,)),
    "admin:accounts_user_remove": Page(SUPPORT, lambda stage: (stage.rows["accounts.User"].pk,)),
    "admin:accounts_accesskey_revoke": Page(OPERATOR, lambda stage: (stage.rows["accounts.AccessKey"].pk,)),
    # The desk.
    "desk:find": Page(ALL),
    "desk:requests": Page(ALL),
    "desk:export-requests": Page(SUPPORT, query="app=0", post={"format": "csv"}),  # who exports, sees personal data
    "desk:request": Page(ALL, lambda stage: (stage.request_log.app_id, stage.request_log.uuid)),
    "desk:why": Page(ALL),
    "desk:adjust": Page(SUPPORT, lambda stage: ("user", stage.rows["accounts.User"].pk)),
    "desk:change_plan": Page(SUPPORT, lambda stage: ("key", stage.rows["keys.ApiKey"].pk)),
    "desk:move": Page(SUPPORT),
    "desk:apps": Page(ALL),
    "desk:app_traffic": Page(ALL, app_id),
    "desk:app_endpoints": Page(ALL, app_id),
    "desk:app_consumers": Page(ALL, app_id),
    "desk:app_errors": Page(ALL, app_id),
    "desk:app_error": Page(ALL, lambda stage: (stage.error_group.app_id, stage.error_group.pk)),
    "desk:app_performance": Page(ALL, app_id),
    "desk:app_resources": Page(ALL, app_id),
    "desk:second-factor": Page(ALL),
    "desk:code": Page(ALL),
}
# Addresses that lead to a page of their own kind: there is nothing on them to allow.
NO_PAGES = {"admin:view_on_site"}
