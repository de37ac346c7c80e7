"""What is accepted lies in the inbox byte for byte, in both generations, and the answer is what their SDKs expect."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from analytics.models import InboxReport, ReportKind
from tests.analytics.reporters import (
    JSON,
    PROTOBUF,
    Ingest,
    Reporter,
    bodies,
    database,
    new_reporter,
    wait_for_a_blocked_report,
)
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

BODY = bytes(range(256)) * 12


@contextmanager
def _counting_statements() -> Iterator[list[str]]:
    """First words of what is said over ingest's own connections."""
    seen: list[str] = []
    execute, copy = psycopg.AsyncCursor.execute, psycopg.AsyncCursor.copy

    def counted_execute(self: Any, query: Any, *given: Any, **told: Any) -> Any:
        seen.append(str(query).split()[0])
        return execute(self, query, *given, **told)

    def counted_copy(self: Any, query: Any, *given: Any, **told: Any) -> Any:
        seen.append(str(query).split()[0])
        return copy(self, query, *given, **told)

    with (
        patch.object(psycopg.AsyncCursor, "execute", counted_execute),
        patch.object(psycopg.AsyncCursor, "copy", counted_copy),
    ):
        yield seen


# --- OTLP ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/traces", ReportKind.TRACES), ("/v1/logs", ReportKind.LOGS), ("/v1/metrics", ReportKind.METRICS)],
)
def test_each_signal_is_filed_as_it_came(api: ApiClient, shop: Reporter, path: str, kind: ReportKind) -> None:
    before = timezone.now()
    answer = api.post(path, headers=shop.headers(Apitally_Env="Dev 1", Content_Encoding="gzip"), content=BODY)
    report = InboxReport.objects.get()
    assert answer.status_code == 200
    assert (report.app_id, report.kind, report.environment, report.message_id) == (shop.app.pk, kind, "Dev 1", "")
    assert (bytes(report.body), report.is_json, report.attempts) == (BODY, False, 0)
    assert before <= report.received_at <= timezone.now()


def test_a_protobuf_report_is_answered_by_an_empty_message(api: ApiClient, shop: Reporter) -> None:
    answer = api.post("/v1/traces", headers=shop.headers(), content=BODY)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == PROTOBUF
    assert answer.headers["Apitally-Export-Interval"] == "15"


def test_a_json_report_is_answered_in_json_and_marked(api: ApiClient, shop: Reporter) -> None:
    answer = api.post("/v1/logs", headers=shop.headers("application/json; charset=utf-8"), content=b"{}")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["Content-Type"] == JSON
    assert answer.headers["Apitally-Export-Interval"] == "15"
    assert InboxReport.objects.get().is_json is True


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer%20"])
def test_the_scheme_of_a_token_is_read_in_any_case_and_undecoded(api: ApiClient, shop: Reporter, scheme: str) -> None:
    headers = shop.headers() | {"Authorization": scheme + shop.secret}
    assert api.post("/v1/traces", headers=headers, content=BODY).status_code == 200


def test_an_empty_report_is_one(api: ApiClient, shop: Reporter) -> None:
    assert api.post("/v1/metrics", headers=shop.headers(), content=b"").status_code == 200
    assert bodies() == [b""]


# --- hub ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "number"), [("startup", 1), ("sync", 2), ("log", 3), ("logpush", 4)])
def test_each_kind_of_the_hub_is_filed_as_it_came(api: ApiClient, shop: Reporter, name: str, number: int) -> None:
    answer = api.post(shop.hub(name, "prod-eu"), content=BODY)
    report = InboxReport.objects.get()
    assert (answer.status_code, answer.json(), answer.headers["Content-Type"]) == (202, {}, JSON)
    assert (report.app_id, report.kind, report.environment) == (shop.app.pk, number, "prod-eu")
    assert (bytes(report.body), report.is_json, report.message_id) == (BODY, False, "")
    assert "Apitally-Export-Interval" not in answer.headers


def test_a_log_is_known_by_its_files_uuid(api: ApiClient, shop: Reporter) -> None:
    api.post(f"{shop.hub('log')}?uuid=6dc9f2%2D1&other=1", content=BODY)
    api.post(f"{shop.hub('sync')}?uuid=6dc9f2", content=BODY)
    api.post(f"{shop.hub('log')}?uuid={'x' * 100}", content=BODY)
    assert list(InboxReport.objects.order_by("id").values_list("message_id", flat=True)) == ["6dc9f2-1", "", "x" * 64]


def test_a_client_id_is_read_in_any_case(api: ApiClient, shop: Reporter) -> None:
    assert api.post(f"/v2/{str(shop.app.client_id).upper()}/dev/sync", content=b"{}").status_code == 202


def test_a_base_url_may_end_in_a_slash(server: LiveServer, shop: Reporter) -> None:
    """A 404 would silence the SDK for good."""
    answer = httpx.post(f"{server.url}/{shop.hub('log')}?uuid=a", content=BODY)
    assert (answer.status_code, answer.json()) == (202, {})
    report = InboxReport.objects.get()
    assert (report.kind, report.environment, report.message_id, bytes(report.body)) == (3, "dev", "a", BODY)


def test_what_postgresql_could_not_hold_is_replaced(api: ApiClient, shop: Reporter) -> None:
    api.post(f"{shop.hub('log', 'a%00b')}?uuid=%00%ff", content=BODY)
    long: dict[str, Any] = shop.headers() | {"Apitally-Env": ("é" * 300).encode()}
    api.post("/v1/logs", headers=long, content=BODY)
    told = InboxReport.objects.order_by("id").values_list("environment", "message_id")
    assert list(told) == [("a\ufffdb", "\ufffd\ufffd"), ("é" * 256, "")]


# --- how it comes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0, 1, 3_000, 400_000])
def test_a_body_of_untold_length_is_read_whole(server: LiveServer, shop: Reporter, size: int) -> None:
    body = BODY * 200
    body = body[:size]
    parts = [body[at : at + 70_000] for at in range(0, len(body), 70_000)]
    hub = httpx.post(f"{server.url}{shop.hub('log')}?uuid=a", content=iter(parts))
    otlp = httpx.post(f"{server.url}/v1/traces", headers=shop.headers(), content=iter(parts))
    assert (hub.status_code, otlp.status_code) == (202, 200)
    assert bodies() == [body, body]


def test_a_body_of_told_length_is_read_whole(server: LiveServer, shop: Reporter) -> None:
    sizes = (1, 3_000, 4 * 1024 * 1024)
    sent = [(BODY * 1400)[:size] for size in sizes]
    answers = [httpx.post(f"{server.url}/v1/traces", headers=shop.headers(), content=body) for body in sent]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert bodies() == sent


def test_twenty_senders_at_once_lose_nothing(server: LiveServer, alice: Tenant) -> None:
    """Each of an app of its own, so that none meets its rate."""
    senders = [
        (new_reporter(alice), [f"{number} {each} ".encode() * 200 for each in range(20)]) for number in range(20)
    ]

    def send(reporter: Reporter, mine: list[bytes]) -> list[int]:
        with httpx.Client() as client:
            answers = [
                client.post(f"{server.url}/v1/traces", headers=reporter.headers(), content=body) for body in mine
            ]
        return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(20) as threads:
        statuses = list(threads.map(send, *zip(*senders, strict=True)))
    assert statuses == [[200] * 20] * 20
    for reporter, mine in senders:
        told = InboxReport.objects.filter(app=reporter.app).order_by("id").values_list("body", flat=True)
        assert [bytes(body) for body in told] == mine


# --- what it costs ------------------------------------------------------------------------------------------------
def test_a_warm_report_costs_one_statement(ingest: Ingest, shop: Reporter) -> None:
    ingest.post("/v1/traces", headers=shop.headers(), content=BODY)
    with _counting_statements() as seen:
        assert ingest.post("/v1/traces", headers=shop.headers(), content=BODY).status_code == 200
        assert ingest.post("/v1/logs", headers=shop.headers(), content=BODY).status_code == 200
    assert seen == ["COPY", "COPY"]


def test_a_cold_report_looks_up_its_token_and_the_backlog(ingest: Ingest, shop: Reporter) -> None:
    with _counting_statements() as seen:
        ingest.post("/v1/traces", headers=shop.headers(), content=BODY)
    assert sorted(seen) == ["COPY", "SELECT", "SELECT"]


def test_reports_that_come_at_once_share_a_statement(ingest: Ingest, shop: Reporter) -> None:
    ingest.post("/v1/traces", headers=shop.headers(), content=BODY)

    async def thirty_at_once() -> list[int]:
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(ingest.send("/v1/logs", shop.headers(), BODY)) for _ in range(30)]
        return [each.result().status_code for each in sent]

    with _counting_statements() as seen:
        assert ingest.portal.call(thirty_at_once) == [200] * 30
    assert set(seen) == {"COPY"}
    assert len(seen) <= 3
    assert len(bodies()) == 31


def test_a_commit_is_on_disk_before_the_answer(ingest: Ingest, shop: Reporter) -> None:
    """Whatever the database's own default is: the promise is ingest's."""

    async def setting() -> Any:
        (told,) = await ingest.app._writing.ask("SELECT current_setting('synchronous_commit')")
        return told

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} SET synchronous_commit = off")
        try:
            told = ingest.portal.call(setting)
        finally:
            cursor.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} RESET synchronous_commit")
    assert told == "on"


def test_validate_goes_on_while_the_inbox_is_locked(server: LiveServer, alice: Tenant, shop: Reporter) -> None:
    """Both live on one event loop: a report waits without holding it."""
    body = {"api_key": alice.key().secret, "endpoint": "/", "method": "GET"}
    httpx.post(f"{server.url}/v1/traces", headers=shop.headers(), content=BODY)
    with ThreadPoolExecutor(1) as sender, psycopg.connect(**database()) as lock:
        lock.execute("LOCK TABLE analytics_inboxreport IN ACCESS EXCLUSIVE MODE")
        report = sender.submit(httpx.post, f"{server.url}/v1/traces", headers=shop.headers(), content=BODY)
        wait_for_a_blocked_report()
        answers = [httpx.post(f"{server.url}/v1/validate", headers=alice.headers, json=body) for _ in range(5)]
        is_waiting = not report.done()
        lock.rollback()
        assert report.result().status_code == 200
    assert is_waiting
    assert [answer.status_code for answer in answers] == [200] * 5
