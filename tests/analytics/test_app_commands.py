"""What operators type about apps and their credentials."""

import uuid
from io import StringIO

import pytest
from django.conf import LazySettings
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.secrets import digest_of
from analytics.models import App, Environment, KeyBinding, WriteToken
from analytics.secrets import WRITE_TOKEN_FORM
from keys.ledger.drain import drain_all
from tests.analytics.folds import decide
from tests.analytics.reporting import receive
from tests.cast import Tenant
from tests.keys.test_commands import run, run_json
from tests.store_redis import StoreRedis


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


def test_a_binding_makes_no_environment_beyond_the_limit(alice: Tenant, settings: LazySettings) -> None:
    settings.LIMITLY_APP_ENVIRONMENTS_MAX = 2
    app_id = run_json("create_app", "Shop", "--account", "alice")["app_id"]
    for env in ("dev", "prod", "dev"):
        run("bind_access_key", alice.access_key.pk, "--app", app_id, "--env", env)
    with pytest.raises(CommandError, match="LIMITLY_APP_ENVIRONMENTS_MAX"):
        run("bind_access_key", alice.access_key.pk, "--app", app_id, "--env", "qa")
    assert KeyBinding.objects.get().environment.name == "dev"
    assert set(Environment.objects.values_list("name", flat=True)) == {"dev", "prod"}


def test_what_was_done_is_told_as_json(alice: Tenant) -> None:
    told = run_json("create_app", "Shop", "--account", "alice")
    bound = run_json("bind_access_key", alice.access_key.pk, "--app", told["app_id"], "--env", "dev")
    revoked = run_json("revoke_write_token", told["write_token_id"])
    environment, token = Environment.objects.get(), WriteToken.objects.get()
    assert bound == {
        "access_key_id": alice.access_key.pk, "app_id": told["app_id"], "environment_id": environment.pk,
        "environment": "dev",
    }  # fmt: skip
    assert token.revoked_at is not None
    assert revoked == {
        "app_id": told["app_id"], "write_token_id": token.pk, "revoked_at": token.revoked_at.isoformat(),
    }  # fmt: skip


def test_the_tasks_twins_tell_what_they_did_as_json_and_how_far_they_are(
    stores: StoreRedis, alice: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App.objects.get(pk=run_json("create_app", "Shop", "--account", "alice")["app_id"])
    receive(app, b"no JSON")
    decide(stores, alice, timezone.now())
    drain_all(for_s=5)
    assert run_json("ingest_reports") == {"reports": 1}
    assert run_json("fold_decisions") == {"decisions": 1}
    assert run_json("rebuild_traffic") == {"rows": 3}
    assert run_json("rebuild_traffic") == {"rows": 3}
    assert set(run_json("prune_analytics")) == {"partitions", "rows"}
    progress = capsys.readouterr().err
    assert [word in progress for word in ("reports", "decisions", "days")] == [True, True, True]


@pytest.mark.parametrize(
    "words",
    [
        ("create_app", "Shop", "--account", "nobody"),
        ("create_app", "", "--account", "alice"),
        ("create_app", "Shop", "--account", "alice", "--framework", "x" * 51),
        ("create_write_token", "77"),
        ("create_write_token", "no-uuid"),
        ("revoke_write_token", "77"),
        ("revoke_write_token", "apt_secret"),
        ("renew_client_id", str(2**70)),
        ("bind_access_key", "77", "--app", "1"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(alice: Tenant, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"makes one[.]$|those of every |on the command line|Give |has 1 to "):
        run(*words)
