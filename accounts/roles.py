"""What the staff's roles may do: groups of Django's permissions, kept in step with the models by each `migrate`.

A permission that staff gave or took by hand in one of these groups is put back: make a group of your own instead.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from django.contrib.auth.models import Group, Permission

APPS: Final = frozenset({"accounts", "plans", "keys", "analytics"})
SEE_PERSONAL_DATA: Final = "accounts.see_personal_data"
# What only an administrator sees or touches: who may log in here, and as what.
STAFF_MODELS: Final = frozenset({"staff", "group"})
# What support works with every day; the rest it may read.
SUPPORTED: Final = frozenset({"user", "subscription", "apikey", "adjustment"})


class Role(StrEnum):
    """Rising: each may do what those before it may."""

    VIEWER = "Viewer"
    SUPPORT = "Support"
    OPERATOR = "Operator"
    ADMINISTRATOR = "Administrator"


def sync_roles() -> None:
    """Gives each role's group exactly its permissions."""
    known = list(Permission.objects.select_related("content_type"))
    for role in Role:
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.set(permissions_of(role, known))


def permissions_of(role: Role, known: Iterable[Permission]) -> list[Permission]:
    return [permission for permission in known if _may(role, permission)]


def _may(role: Role, permission: Permission) -> bool:
    model, app = permission.content_type.model, permission.content_type.app_label
    if model in STAFF_MODELS:
        return role is Role.ADMINISTRATOR
    if app not in APPS:
        return False
    match role:
        case Role.VIEWER:
            return permission.codename.startswith("view_")
        case Role.SUPPORT:
            return permission.codename.startswith("view_") or (
                model in SUPPORTED and not permission.codename.startswith("delete_")
            )
        case _:
            return True
