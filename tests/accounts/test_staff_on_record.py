"""What becomes of staff is on record as well: who came and went, what they may, whose password changed."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Staff

LOGIN = {"username": "vera", "password": "a long one"}


@pytest.fixture
def vera(stores: object) -> Staff:
    return Staff.objects.create_user(**LOGIN, is_staff=True)


def _told() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("actor_kind", "actor_name", "action"))


def _edit(desk: Client, staff: Staff, **given: Any) -> AuditEntry:
    joined = f"{staff.date_joined:%Y-%m-%d %H:%M:%S}".split()
    told = {"username": staff.username, "is_active": "on", "is_staff": "on"} | given
    told |= {"date_joined_0": joined[0], "date_joined_1": joined[1]}
    answer = desk.post(reverse("admin:accounts_staff_change", args=[staff.pk]), told)
    assert answer.status_code == 302, answer.content.decode()
    return AuditEntry.objects.latest("id")


def test_logging_in_and_out_is_on_record_with_its_address(vera: Staff) -> None:
    client = Client(REMOTE_ADDR="203.0.113.9")
    client.post(reverse("admin:login"), LOGIN)
    client.post(reverse("admin:logout"))
    assert _told() == [("staff", "vera", "staff member logged in"), ("staff", "vera", "staff member logged out")]
    assert set(AuditEntry.objects.values_list("address", "row_id")) == {("203.0.113.9", vera.pk)}


def test_a_wrong_password_is_nobodys_proven_deed(vera: Staff) -> None:
    Client().post(reverse("admin:login"), LOGIN | {"password": "wrong"}, REMOTE_ADDR="203.0.113.9")
    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.action, entry.row_id) == ("visitor", "staff member log-in failed", vera.pk)
    assert "wrong" not in str(AuditEntry.objects.values())


def test_of_a_name_that_nobody_has_nothing_is_kept(vera: Staff) -> None:
    Client().post(reverse("admin:login"), {"username": "my secret password", "password": "x"})
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.row_type) == ("staff member log-in failed", "")
    assert "my secret" not in str(AuditEntry.objects.values())


def test_a_pause_after_many_is_on_record(vera: Staff, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        Client().post(reverse("admin:login"), LOGIN | {"password": "wrong"})
    assert "staff member log-in locked" in {action for _, _, action in _told()}


def test_new_staff_are_on_record_without_their_password(desk: Client) -> None:
    given = {
        "username": "uli",
        "password1": "a very long one",
        "password2": "a very long one",
        "usable_password": "true",
    }
    answer = desk.post(reverse("admin:accounts_staff_add"), given)
    assert answer.status_code == 302, answer.context["errors"]
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.row_name, entry.after["username"]) == ("staff member created", "uli", "uli")
    assert entry.after["password"] == "•••"


def test_a_role_given_is_on_record_with_both_sides(desk: Client, vera: Staff) -> None:
    viewer, support = (Group.objects.get_or_create(name=name)[0] for name in ("Viewer", "Support"))
    vera.groups.add(viewer)
    entry = _edit(desk, vera, groups=[support.pk], first_name="Vera")
    assert (entry.actor_name, entry.action, entry.row_id) == ("sam", "staff member changed", vera.pk)
    assert (entry.before, entry.after) == (
        {"first_name": "", "groups": ["Viewer"]},
        {"first_name": "Vera", "groups": ["Support"]},
    )


def test_a_password_set_by_an_administrator_is_on_record_masked(desk: Client, vera: Staff) -> None:
    given = {"password1": "another long one", "password2": "another long one", "usable_password": "true"}
    url = reverse("admin:auth_user_password_change", args=[vera.pk])
    assert desk.post(url, given).status_code == 302
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.before, entry.after) == (
        "staff member password set", {"password": "•••"}, {"password": "•••"},
    )  # fmt: skip


def test_ones_own_password_changed_is_on_record_masked(vera: Staff) -> None:
    client = Client()
    client.force_login(vera)
    given = {"old_password": LOGIN["password"], "new_password1": "another long 1", "new_password2": "another long 1"}
    answer = client.post(reverse("admin:password_change"), given)

    assert answer.status_code == 302
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor_name, entry.action, entry.after) == ("vera", "staff member password set", {"password": "•••"})


def test_a_roles_change_is_on_record_by_its_permissions(desk: Client) -> None:
    group = Group.objects.create(name="Readers")
    permission = Permission.objects.get(codename="view_plan")
    desk.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "Readers", "permissions": [permission.pk]})
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.row_type) == ("group changed", "auth.Group")
    assert entry.after == {"permissions": [str(permission)]}


@pytest.mark.parametrize("way", ["page", "action"])
def test_staff_deleted_leave_what_they_were(desk: Client, vera: Staff, way: str) -> None:
    pk = vera.pk
    if way == "page":
        desk.post(reverse("admin:accounts_staff_delete", args=[pk]), {"post": "yes"})
    else:
        told = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        desk.post(reverse("admin:accounts_staff_changelist"), told)
    entry = AuditEntry.objects.latest("id")
    assert not Staff.objects.filter(pk=pk).exists()
    assert (entry.action, entry.row_id, entry.before["username"]) == ("staff member deleted", pk, "vera")
    assert entry.before["password"] == "•••"


def test_saving_staff_unchanged_leaves_nothing(desk: Client, vera: Staff) -> None:
    before = AuditEntry.objects.count()
    _edit(desk, vera)
    assert AuditEntry.objects.count() == before
