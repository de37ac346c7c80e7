"""Exports of the request explorer: whole, safe to open, streamed, on record; for those alone who may see people."""

import csv
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from django.test import Client

from accounts.models import AuditEntry
from accounts.roles import Role
from analytics.desk.requests import FORMATS
from analytics.exploring import EXPORT_PAGE, EXPORT_PAGE_OF_DETAILS, EXPORTED, Sought, export_of, walk_of
from analytics.exports.writing import csv_lines
from analytics.models import Environment, RequestLog
from tests.analytics.explorers import NOON, PERIOD, as_role, explore
from tests.analytics.filed import detail, endpoint, file_rows, file_whole_request, observe, request
from tests.analytics.test_export_pages import resident_bytes
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer
from tests.queries import counting_queries

MANY = 10_500
URL = "/admin/desk/requests/export/"


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def file_many(prod: Environment, number: int) -> None:
    route = endpoint(prod.app, "GET /things")
    step = timedelta(seconds=1)
    file_rows(request(prod, route, NOON + n * step, url=f"/n/{n}", response_time_ms=n % 100) for n in range(number))


def token_of(client: Client) -> str:
    """Logged in, a browser sends it with each form."""
    return str(client.get("/admin/").cookies["csrftoken"].value)


def export(api: ApiClient, client: Client, prod: Environment, form: str = "csv", **query: Any) -> httpx.Response:
    token, session = token_of(client), client.cookies["sessionid"].value
    address = f"{URL}?{urlencode({'app': prod.app_id} | PERIOD | query)}"
    headers = {"Cookie": f"sessionid={session}; csrftoken={token}", "X-CSRFToken": token}
    return api.post(address, data={"format": form}, headers=headers)


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_thousands_of_rows_come_whole_and_once_in_either_form(api: ApiClient, desk: Client, prod: Environment) -> None:
    file_many(prod, MANY)
    wanted = [f"/n/{n}" for n in range(MANY) if n % 100 >= 50]
    told = export(api, desk, prod, at_least_ms=50)
    assert [row["url"] for row in rows_of(told)] == wanted
    lines = export(api, desk, prod, "ndjson", at_least_ms=50).text.splitlines()
    assert [json.loads(line)["url"] for line in lines] == wanted
    assert told.headers["Content-Type"] == "text/csv; charset=utf-8"
    name = f"requests-{prod.app_id}-20260615T000000Z-20260616T000000Z.csv"
    assert told.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_an_export_reads_pages_in_flat_memory(prod: Environment) -> None:
    file_many(prod, MANY)
    time: dict[str, Any] = {"start": NOON, "end": NOON + timedelta(days=1)}
    walk, resident, size = walk_of(prod.app, Sought(), **time), [], 0
    with counting_queries() as queries:
        for page in export_of(walk, prod.app, **time):
            size = max(size, len(csv_lines(page.rows)))
            resident.append(resident_bytes())
    pages = MANY // EXPORT_PAGE + 1
    assert len(queries) == 2 * pages  # the rows and their decisions; nobody's key or user is asked for
    assert size < EXPORT_PAGE * 300
    assert max(resident[4:]) - resident[4] < 4 * 2**20


def test_headers_and_bodies_come_with_those_that_have_them(api: ApiClient, desk: Client, prod: Environment) -> None:
    whole = file_whole_request(prod, NOON)
    file_rows([request(prod, endpoint(prod.app, "GET /bare"), NOON + timedelta(seconds=1))])
    answer = export(api, desk, prod, "ndjson-with-bodies")
    told, bare = (json.loads(line) for line in answer.text.splitlines())
    assert [*told] == [*EXPORTED, "request_headers", "response_headers", "request_body_json", "response_body_json"]
    assert (told["request_uuid"], told["request_headers"]) == (str(whole.uuid), [["content-type", "application/json"]])
    assert told["response_headers"] == [["x", "1"], ["x", "2"]]
    assert (told["request_body_json"], told["response_body_json"]) == ('{"qty": 1}', "")
    assert [bare[name] for name in [*told][-4:]] == [[], [], None, None]
    assert answer.headers["Content-Disposition"].endswith('.ndjson"')
    assert AuditEntry.objects.latest("id").after["format"] == "ndjson-with-bodies"
    without = export(api, desk, prod, "ndjson").text
    assert "qty" not in without


def test_bodies_are_read_in_flat_memory_a_few_at_once(prod: Environment) -> None:
    """Each captured as large as bodies are kept: a hundred pages of them would be a gigabyte."""
    many, body = 12 * EXPORT_PAGE_OF_DETAILS, "x" * 50_000
    file_many(prod, many)
    for row in RequestLog.objects.filter(app_id=prod.app_id).iterator():
        file_rows([detail(row, request_body=body, response_body=body)])
    time: dict[str, Any] = {"start": NOON, "end": NOON + timedelta(days=1)}
    resident, seen = [], 0
    with counting_queries() as queries:
        for page in export_of(walk_of(prod.app, Sought(), **time), prod.app, with_details=True, **time):
            assert len(page.rows) <= EXPORT_PAGE_OF_DETAILS
            seen += sum(row["response_body_json"] == body for row in page.rows)
            resident.append(resident_bytes())
    assert seen == many
    assert sum("analytics_requestdetail" in query for query in queries) == many // EXPORT_PAGE_OF_DETAILS
    assert max(resident[4:]) - resident[4] < 16 * 2**20


def test_cells_that_a_spreadsheet_would_reckon_are_told_as_text(
    api: ApiClient, desk: Client, prod: Environment
) -> None:
    route = endpoint(prod.app, "GET /a")
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", '=HYPERLINK("http://x","y")', "a,b\r\nc"]
    who = prod.app.consumers.create(identifier="=cmd|'/c calc'!A1")
    file_rows(request(prod, route, NOON + n * timedelta(seconds=1), url=url) for n, url in enumerate(evil))
    file_rows([request(prod, route, NOON + timedelta(hours=1), url="/", consumer_id=who.pk)])
    rows = rows_of(export(api, desk, prod))
    assert [row["url"] for row in rows] == [*(f"'{url}" for url in evil[:-1]), evil[-1], "/"]
    assert rows[-1]["consumer"] == "'=cmd|'/c calc'!A1"


def test_an_export_is_on_record_with_its_filter(api: ApiClient, desk: Client, prod: Environment) -> None:
    file_many(prod, 1)
    export(api, desk, prod, "ndjson", status="404", ip="10.0.0.0/8")
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor_name, entry.action, entry.account, entry.row_id) == (
        "sam", "app requests exported", prod.app.account, prod.app_id,
    )  # fmt: skip
    assert entry.after == {
        "format": "ndjson", "status": "404", "ip": "10.0.0.0/8",
        "from": "2026-06-15T00:00:00+00:00", "to": "2026-06-16T00:00:00+00:00",
    }  # fmt: skip


def test_what_the_page_shows_is_what_its_export_holds(api: ApiClient, desk: Client, prod: Environment) -> None:
    file_many(prod, 3)
    page = explore(desk, prod.app, at_most_ms=1)
    query = page.context["export"].partition("?")[2]
    file_rows([request(prod, prod.app.endpoints.get(), NOON + timedelta(days=2))])
    token, session = token_of(desk), desk.cookies["sessionid"].value
    headers = {"Cookie": f"sessionid={session}; csrftoken={token}", "X-CSRFToken": token}
    rows = rows_of(api.post(f"{URL}?{query}", data={"format": "csv"}, headers=headers))
    assert [row["url"] for row in rows] == ["/n/0", "/n/1"]


def test_nothing_found_is_a_head_alone(api: ApiClient, desk: Client, prod: Environment) -> None:
    answer = export(api, desk, prod, status="404")
    assert (len(answer.text.splitlines()), rows_of(answer)) == (1, [])


def test_a_wrong_filter_leads_back_to_the_page_that_says_so(api: ApiClient, desk: Client, prod: Environment) -> None:
    answer = export(api, desk, prod, status="bad")
    assert answer.status_code == 302
    assert "Give statuses" in desk.get(answer.headers["Location"]).content.decode()
    assert not AuditEntry.objects.filter(action="app requests exported").exists()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("form", FORMATS)
def test_a_viewer_exports_nothing_and_all_others_do(api: ApiClient, prod: Environment, role: Role, form: str) -> None:
    file_many(prod, 1)
    answer = export(api, as_role(role), prod, form)
    assert answer.status_code == (403 if role is Role.VIEWER else 200)
    assert AuditEntry.objects.filter(action="app requests exported").exists() is (role is not Role.VIEWER)


def test_an_export_is_asked_for_by_a_form_of_ours_alone(api: ApiClient, desk: Client, prod: Environment) -> None:
    assert desk.get(URL).status_code == 405
    session = desk.cookies["sessionid"].value
    forged = api.post(URL, data={"format": "csv"}, headers={"Cookie": f"sessionid={session}"})
    assert forged.status_code == 403
    assert api.post(URL, data={"format": "csv"}).status_code in (302, 403)  # nobody's


def test_an_export_streams_from_a_real_server(server: LiveServer, desk: Client, prod: Environment) -> None:
    file_many(prod, MANY)
    token, session = token_of(desk), desk.cookies["sessionid"].value
    address = f"{server.url}{URL}?{urlencode({'app': prod.app_id} | PERIOD)}"
    headers = {"Cookie": f"sessionid={session}; csrftoken={token}", "X-CSRFToken": token}
    with httpx.stream("POST", address, headers=headers, data={"format": "ndjson"}, timeout=60) as answer:
        assert "content-length" not in answer.headers
        assert sum(1 for _ in answer.iter_lines()) == MANY == RequestLog.objects.count()
