"""Who may report: on the primary's word alone, a yes is kept five seconds, a no never; each reaches its own app."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from analytics import services
from analytics.ingest import credentials
from analytics.models import InboxReport
from tests.analytics.reporters import Ingest, Reporter, bodies, database, new_reporter, wait_for_a_blocked_report
from tests.cast import BY, Tenant

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BOTH = pytest.mark.parametrize("generation", ["otlp", "hub"])


def _report(ingest: Ingest, reporter: Reporter, generation: str) -> int:
    if generation == "hub":
        return ingest.post(reporter.hub("sync"), content=b"hub").status_code
    return ingest.post("/v1/traces", headers=reporter.headers(), content=b"otlp").status_code


# --- an end holds -------------------------------------------------------------------------------------------------
def test_a_revoked_token_is_401_within_five_seconds(ingest: Ingest, shop: Reporter) -> None:
    assert _report(ingest, shop, "otlp") == 200
    services.revoke_write_token(shop.write_token, now=NOW, by=BY)
    ingest.clock.now += 4.9
    assert _report(ingest, shop, "otlp") == 200
    ingest.clock.now += 0.1
    assert _report(ingest, shop, "otlp") == 401
    assert _report(ingest, shop, "hub") == 202


def test_a_token_that_was_not_seen_lately_is_401_at_once(ingest: Ingest, shop: Reporter) -> None:
    services.revoke_write_token(shop.write_token, now=NOW, by=BY)
    assert _report(ingest, shop, "otlp") == 401


def test_another_token_of_the_app_goes_on(ingest: Ingest, shop: Reporter) -> None:
    other = services.create_write_token(shop.app, name="staging", by=BY)
    services.revoke_write_token(shop.write_token, now=NOW, by=BY)
    assert _report(ingest, Reporter(shop.app, other.row, other.secret), "otlp") == 200


def test_a_renewed_client_id_is_404_within_five_seconds(ingest: Ingest, shop: Reporter) -> None:
    before = shop.hub("sync")
    assert ingest.post(before, content=b"hub").status_code == 202
    services.renew_client_id(shop.app, by=BY)
    ingest.clock.now += 5
    assert ingest.post(before, content=b"hub").status_code == 404
    assert ingest.post(shop.hub("sync"), content=b"hub").status_code == 202


def test_a_hub_that_is_switched_off_is_404_and_otlp_goes_on(ingest: Ingest, shop: Reporter) -> None:
    assert _report(ingest, shop, "hub") == 202
    services.update_app(shop.app, by=BY, is_hub_enabled=False)
    ingest.clock.now += 5
    assert (_report(ingest, shop, "hub"), _report(ingest, shop, "otlp")) == (404, 200)
    services.update_app(shop.app, by=BY, is_hub_enabled=True)
    assert _report(ingest, shop, "hub") == 202


def test_a_no_is_not_kept(ingest: Ingest, alice: Tenant) -> None:
    """Who reports a moment before his app is there is not told so for longer than that."""
    shop = new_reporter(alice)
    InboxReport.objects.all().delete()
    shop.write_token.delete()
    assert _report(ingest, shop, "otlp") == 401
    shop.write_token.save(force_insert=True)
    assert _report(ingest, shop, "otlp") == 200


def test_yeses_are_kept_of_a_bounded_number(ingest: Ingest, alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "YESES_AT_MOST", 3)
    reporters = [new_reporter(alice) for _ in range(5)]
    assert [_report(ingest, each, "hub") for each in reporters] == [202] * 5
    assert list(ingest.app._credentials._yeses) == [each.app.client_id for each in reporters[2:]]


# --- isolation ----------------------------------------------------------------------------------------------------
def test_a_credential_reaches_its_own_app_alone(ingest: Ingest, alice: Tenant, bob: Tenant) -> None:
    mine, other, theirs = new_reporter(alice), new_reporter(alice, "other"), new_reporter(bob)
    for reporter in (mine, other, theirs):
        _report(ingest, reporter, "otlp")
        _report(ingest, reporter, "hub")
    told = InboxReport.objects.order_by("id").values_list("app_id", "kind")
    assert list(told) == [(reporter.app.pk, kind) for reporter in (mine, other, theirs) for kind in (5, 2)]


# --- the database has no word -------------------------------------------------------------------------------------
@pytest.fixture
def dead_end(tmp_path: Path) -> dict[str, str]:
    """The address of a server that is not there."""
    return {"host": str(tmp_path), "port": "5432", "dbname": "limitly", "user": "limitly"}


@pytest.fixture
def silence(dead_end: dict[str, str]) -> Iterator[dict[str, str]]:
    """The address of a server that takes connections and says nothing."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{dead_end['host']}/.s.PGSQL.5432")
        listener.listen()
        yield dead_end


@BOTH
def test_without_a_database_it_is_503_never_401_or_404(
    new_ingest: Callable[..., Ingest], shop: Reporter, dead_end: dict[str, str], generation: str
) -> None:
    ingest = new_ingest(database=dead_end)
    assert _report(ingest, shop, generation) == 503
    answer = ingest.post(shop.hub("sync"), content=b"x")
    assert (answer.json()["code"], answer.headers["Retry-After"]) == ("SERVICE_UNAVAILABLE", "5")


@BOTH
def test_a_database_that_does_not_answer_is_503(
    new_ingest: Callable[..., Ingest], shop: Reporter, silence: dict[str, str], generation: str
) -> None:
    assert _report(new_ingest(database=silence), shop, generation) == 503


@BOTH
def test_a_standbys_no_is_503(new_ingest: Callable[..., Ingest], shop: Reporter, generation: str) -> None:
    """What a standby does not know, the primary may: a 404 would silence an SDK for good."""
    standby = database() | {"options": "-c default_transaction_read_only=on"}
    services.renew_client_id(shop.app, by=BY)
    services.revoke_write_token(shop.write_token, now=NOW, by=BY)
    assert _report(new_ingest(database=standby), shop, generation) == 503


@BOTH
def test_a_database_that_was_restarted_is_spoken_to_again(ingest: Ingest, shop: Reporter, generation: str) -> None:
    good = 202 if generation == "hub" else 200
    assert _report(ingest, shop, generation) == good
    _end_ingests_connections()
    ingest.clock.now += 6  # all is looked up again
    assert _report(ingest, shop, generation) == good


def test_a_report_whose_commit_is_not_known_is_503(ingest: Ingest, shop: Reporter) -> None:
    assert _report(ingest, shop, "hub") == 202
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE analytics_inboxreport IN ACCESS EXCLUSIVE MODE")
        report = ingest.portal.start_task_soon(ingest.send, shop.hub("sync"), {}, b"cut off")
        wait_for_a_blocked_report()
        _end_ingests_connections()
        assert report.result().status_code == 503
        cursor.execute("ROLLBACK")
    assert _report(ingest, shop, "hub") == 202
    assert bodies() == [b"hub", b"hub"]


def test_a_flood_of_unknown_tokens_does_not_stand_before_reports(
    new_ingest: Callable[..., Ingest], shop: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have a connection of their own, and are refused at a number that could not be answered in time."""
    monkeypatch.setattr(credentials, "ASKED_AT_ONCE", 0)
    ingest = new_ingest()
    assert _report(ingest, shop, "otlp") == 503
    monkeypatch.undo()
    assert _report(ingest, shop, "otlp") == 200
    monkeypatch.setattr(credentials, "ASKED_AT_ONCE", 0)
    assert _report(ingest, shop, "otlp") == 200
    stranger = ingest.post("/v1/traces", headers={**shop.headers(), "Authorization": "Bearer apt_" + "x" * 24})
    assert stranger.status_code == 503


def _end_ingests_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'limitly ingest' AND datname = current_database()"
        )
