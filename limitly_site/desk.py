"""How the staff's desk looks: its name, colours and what stands at its side (settings.UNFOLD)."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _link(title: str, icon: str, page: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{page}"), **more}


def _lists(title: str, *links: dict[str, Any], is_folded: bool = False) -> dict[str, Any]:
    return {"title": title, "separator": True, "collapsible": is_folded, "items": list(links)}


NAVIGATION = [
    {
        "items": [
            _link("Home", "home", "index"),
            {"title": "Find", "icon": "search", "link": reverse_lazy("desk:find")},
            {"title": "Why refused?", "icon": "help", "link": reverse_lazy("desk:why")},
            {"title": "Analytics", "icon": "monitoring", "link": reverse_lazy("desk:apps")},
            {
                "title": "Requests",
                "icon": "travel_explore",
                "link": reverse_lazy("desk:requests"),
                "permission": lambda request: request.user.has_perm("analytics.view_requestlog"),
            },
        ]
    },
    _lists(
        "Customers",
        _link("Accounts", "domain", "accounts_account_changelist"),
        _link("Users", "group", "accounts_user_changelist"),
        _link("API keys", "key", "keys_apikey_changelist"),
        _link("Access keys", "passkey", "accounts_accesskey_changelist"),
        _link("Near their limit", "speed", "keys_nearlimit_changelist"),
    ),
    _lists(
        "Plans",
        _link("Plans", "sell", "plans_plan_changelist"),
        _link("Subscriptions", "card_membership", "plans_subscription_changelist"),
    ),
    _lists(
        "Observed",
        _link("Apps", "deployed_code", "analytics_app_changelist"),
        _link("Consumers", "person_search", "analytics_consumer_changelist"),
        _link("Endpoints", "route", "analytics_endpoint_changelist"),
        _link("Environments", "dns", "analytics_environment_changelist"),
        _link("Write tokens", "vpn_key", "analytics_writetoken_changelist"),
        _link("Key bindings", "link", "analytics_keybinding_changelist"),
        _link("Consumer groups", "groups", "analytics_consumergroup_changelist"),
        _link("Instances", "memory", "analytics_instance_changelist"),
        _link("Path overrides", "alt_route", "analytics_pathoverride_changelist"),
    ),
    _lists(
        "Reports",
        _link("Inbox", "inbox", "analytics_inboxreport_changelist"),
        _link("Rejected reports", "block", "analytics_rejectedreport_changelist"),
        _link("Dropped items", "filter_alt_off", "analytics_droppeditems_changelist"),
        is_folded=True,
    ),
    _lists(
        "Ledger",
        _link("Decisions", "receipt_long", "keys_decision_changelist"),
        _link("Usage windows", "date_range", "keys_usagewindow_changelist"),
        _link("Adjustments", "tune", "keys_adjustment_changelist"),
        _link("Usage by the hour", "schedule", "keys_usagehour_changelist"),
        _link("Calls by the minute", "timer", "keys_callcount_changelist"),
        _link("Stream positions", "conversion_path", "keys_streamposition_changelist"),
        _link("Pending invalidations", "sync_problem", "keys_pendinginvalidation_changelist"),
        _link("Dead events", "report", "keys_deadevent_changelist"),
        is_folded=True,
    ),
    _lists(
        "Installation",
        _link("Changes", "history", "accounts_auditentry_changelist"),
        _link("Staff", "badge", "accounts_staff_changelist"),
        _link("Roles", "shield_person", "auth_group_changelist"),
    ),
]
UNFOLD = {
    "DASHBOARD_CALLBACK": "analytics.desk.home.home",
    "SITE_TITLE": "Limitly",
    "SITE_HEADER": "Limitly",
    "SITE_SUBHEADER": "Plans, keys, exact quotas",
    "SITE_SYMBOL": "speed",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("limitly/icon.svg")}],
    "STYLES": [lambda _: static("limitly/desk.css"), lambda _: static("limitly/figures.css")],
    "SCRIPTS": [lambda _: static("limitly/desk.js"), lambda _: static("limitly/keyboard.js")],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
            {"title": "Second factor", "link": reverse_lazy("desk:second-factor")},
        ]
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": NAVIGATION},
}
