"""What operators type about apps and their credentials."""

import uuid
from io import StringIO

import pytest
from django.core.management.base import CommandError

from accounts.secrets import digest_of
from analytics.models import App, KeyBinding, WriteToken
from analytics.secrets import WRITE_TOKEN_FORM
from tests.cast import Tenant
from tests.keys.test_commands import run, run_json


def test_an_app_is_created_with_both_credentials(alice: Tenant) -> None:
    told = run_json("create_app", "Shop", "--account", alice.account.pk, "--framework", "Express")
    app, token = App.objects.get(pk=told["app_id"]), WriteToken.objects.get(pk=told["write_token_id"])
    assert (app.name, app.framework, app.account_id) == ("Shop", "Express", alice.account.pk)
    assert told["client_id"] == str(app.client_id)
    assert WRITE_TOKEN_FORM.fullmatch(told["write_token"])
    assert bytes(token.digest) == digest_of(told["write_token"])
    assert told["write_token"] not in str(token)


def test_a_write_token_is_revoked_for_good_by_id_or_secret(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    app_id = run_json("create_app", "Shop", "--account", "alice")["app_id"]
    told = run_json("create_write_token", app_id, "--name", "second")
    monkeypatch.setattr("sys.stdin", StringIO(told["write_token"] + "\n"))
    run("revoke_write_token", "-")
    first = WriteToken.objects.get(pk=told["write_token_id"]).revoked_at
    run("revoke_write_token", told["write_token_id"])
    assert first is not None
    assert WriteToken.objects.get(pk=told["write_token_id"]).revoked_at == first


def test_a_client_id_is_renewed(alice: Tenant) -> None:
    told = run_json("create_app", "Shop", "--account", "alice")
    renewed = run_json("renew_client_id", told["client_id"])
    assert renewed["app_id"] == told["app_id"]
    assert uuid.UUID(renewed["client_id"]) == App.objects.get().client_id != uuid.UUID(told["client_id"])


def test_an_access_key_is_bound_and_bound_elsewhere(alice: Tenant) -> None:
    app_id = run_json("create_app", "Shop", "--account", "alice")["app_id"]
    for env in ("dev", "prod"):
        run("bind_access_key", alice.access_key.pk, "--app", app_id, "--env", env)
    binding = KeyBinding.objects.get()
    assert (binding.access_key, binding.environment.name) == (alice.access_key, "prod")


def test_a_neighbours_key_is_not_bound(alice: Tenant, bob: Tenant) -> None:
    app_id = run_json("create_app", "Shop", "--account", "alice")["app_id"]
    with pytest.raises(CommandError, match="different accounts"):
        run("bind_access_key", bob.access_key.pk, "--app", app_id)


@pytest.mark.parametrize(
    "words",
    [
        ("create_app", "Shop", "--account", "nobody"),
        ("create_app", "", "--account", "alice"),
        ("create_write_token", "77"),
        ("create_write_token", "no-uuid"),
        ("revoke_write_token", "77"),
        ("revoke_write_token", "apt_secret"),
        ("renew_client_id", str(2**70)),
    ],
)
def test_what_cannot_be_done_is_said(alice: Tenant, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*words)
