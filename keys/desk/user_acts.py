"""What staff do with one user, each asked once: refuse all its keys for a while, let them pass again, delete it."""

from django.urls import reverse

from accounts.desk.acts import Act, Doing
from accounts.models import User
from keys.services import delete_user
from plans.services import update_user


def _disable(this: Doing) -> None:
    update_user(this.row, by=this.by, is_disabled=True)


def _enable(this: Doing) -> None:
    update_user(this.row, by=this.by, is_disabled=False)


def _delete(this: Doing) -> None:
    delete_user(this.row, by=this.by, now=this.now)


def _list_url(_: User) -> str:
    return reverse("admin:accounts_user_changelist")


ACTS = (
    Act(
        verb="disable",
        title="Disable",
        sentence="Every call by any of this user's keys is refused, from the next one on: validate answers 403 "
        "USER_DISABLED. It can be enabled again.",
        done="disabled, in force at once.",
        icon="pause",
        run=_disable,
        is_offered=lambda user: not user.is_disabled,
    ),
    Act(
        verb="enable",
        title="Enable",
        sentence="Calls by this user's keys are decided by their plan again, from the next one on.",
        done="enabled, in force at once.",
        icon="play_arrow",
        run=_enable,
        is_offered=lambda user: user.is_disabled,
    ),
    Act(
        verb="remove",  # `delete` is Django's own page, which is closed
        title="Delete",
        sentence="The user is deleted for good and all its keys stop at once: validate answers 404 API_KEY_NOT_FOUND. "
        "It cannot be undone; its history stays.",
        done="deleted; its keys stopped at once.",
        icon="delete",
        run=_delete,
        is_danger=True,
        leads_to=_list_url,
    ),
)
