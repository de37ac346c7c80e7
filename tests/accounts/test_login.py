"""Who may try to log in how often, and what a page of the admin may run."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from accounts.models import Staff

LOGIN = {"username": "sam", "password": "a long one"}


@pytest.fixture
def sam(stores: object) -> Staff:
    return Staff.objects.create_superuser(**LOGIN)


def _try(password: str, *, address: str = "203.0.113.9", username: str = "sam") -> int:
    told = {"username": username, "password": password}
    return Client().post(reverse("admin:login"), told, REMOTE_ADDR=address).status_code


def test_many_wrong_passwords_make_a_pause_for_this_name_from_this_address(sam: Staff) -> None:
    tries = [_try("wrong") for _ in range(settings.AXES_FAILURE_LIMIT)]
    assert tries == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    assert _try(LOGIN["password"]) == 429
    assert _try(LOGIN["password"], address="203.0.113.10") == 302


def test_a_right_password_forgets_the_wrong_ones(sam: Staff) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        _try("wrong")
    assert _try(LOGIN["password"]) == 302
    assert _try("wrong") == 200


def test_no_inline_script_and_no_frame(sam: Staff) -> None:
    policy = Client().get(reverse("admin:login"))["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert "'unsafe-inline'" not in directives["script-src"]
    assert directives["default-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"


def test_the_session_is_a_strict_cookie_that_scripts_cannot_read(sam: Staff) -> None:
    client = Client()
    client.post(reverse("admin:login"), LOGIN)
    cookie = client.cookies["sessionid"]
    assert (cookie["samesite"], bool(cookie["httponly"])) == ("Strict", True)
