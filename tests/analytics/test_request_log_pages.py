"""Request logs page by page: each row once while others arrive, bounded work, and which index is walked."""

import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from analytics import request_logs
from analytics.models import Consumer, Endpoint, Environment, RequestLog
from analytics.partitions import REQUEST_LOGS
from analytics.request_details import REQUEST
from analytics.request_logs import EXAMINED_MAX, FIRST_UUID, STREAMS_MAX, Position, Streams, narrowest, page_of
from analytics.selection import STATUSES_ON_FILE, Chosen, Selection
from tests.analytics.filed import endpoint, file_rows, observe, request, stop_clock
from tests.cast import Tenant
from tests.conftest import ApiClient

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
START = NOW - timedelta(hours=36)
MANY = 100_000
WHOLE = f"start={START:%Y-%m-%dT%H:%M:%SZ}"
FILL = """
INSERT INTO analytics_requestlog
SELECT %(app)s, %(start)s + round(random() * 129599999)::int * interval '1 ms', gen_random_uuid(), %(environment)s,
       (%(routes)s::bigint[])[1 + n %% 20], CASE WHEN n %% 1000 = 0 THEN %(consumer)s END, 2,
       CASE WHEN n %% 999 = 0 THEN 500 WHEN n %% 99 = 0 THEN 404 ELSE 200 END, 'https://shop.example.com/', 0, 66, 12,
       NULL, ''
  FROM generate_series(1, %(rows)s) AS n
"""


@pytest.fixture
def prod(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> Environment:
    stop_clock(monkeypatch, NOW)
    return observe(alice)


def _fill(environment: Environment, rows: int) -> None:
    """Requests over two days of partitions, in no order; one in a thousand is a consumer's, and one failed."""
    routes = [endpoint(environment.app, f"GET /{number}").pk for number in range(20)]
    ann = environment.app.consumers.create(identifier="ann")
    REQUEST_LOGS.make([START, START + timedelta(days=1)])
    names: dict[str, Any] = {
        "app": environment.app_id,
        "environment": environment.pk,
        "routes": routes,
        "consumer": ann.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(FILL, {**names, "start": START, "rows": rows})
        cursor.execute("ANALYZE analytics_requestlog")


def _stored(environment: Environment, **wanted: Any) -> list[str]:
    """Their uuids, in order."""
    rows = RequestLog.objects.filter(app_id=environment.app_id, **wanted).order_by("at", "uuid")
    return [str(uuid) for uuid in rows.values_list("uuid", flat=True)]


def _row(chance: random.Random, environment: Environment, route: Endpoint, consumer: Consumer | None) -> RequestLog:
    return request(
        environment,
        route,
        START + timedelta(milliseconds=chance.randrange(36 * 3_600_000)),
        uuid=UUID(int=chance.getrandbits(128)),
        consumer_id=consumer and consumer.pk,
        status_code=chance.choices((200, 404, 500), (989, 10, 1))[0],
    )


def _page(api: ApiClient, of: Tenant, environment: Environment, query: str) -> dict[str, Any]:
    answer = api.get(f"/v1/apps/{environment.app_id}/request-logs?{query}", of=of)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert page["has_more"] == (page["next_token"] is not None)
    return page


# --- each once ----------------------------------------------------------------------------------------------------
def test_every_row_stored_before_the_first_page_comes_once_while_rows_arrive(
    api: ApiClient, alice: Tenant, prod: Environment
) -> None:
    """Many of those that arrive are older than where the reader is; those that are newer come too, once."""
    _fill(prod, MANY)
    stored, chance, route = _stored(prod), random.Random(8), prod.app.endpoints.all()[0]
    seen: list[str] = []
    ahead: set[str] = set()
    query = f"{WHOLE}&limit=997"
    while query:
        page = _page(api, alice, prod, query)
        seen += [each["request_uuid"] for each in page["data"]]
        late = [_row(chance, prod, route, None) for _ in range(20)]
        file_rows(late)
        if page["has_more"]:
            last = page["data"][-1]["timestamp"]
            ahead |= {str(row.uuid) for row in late if row.at > datetime.fromisoformat(last) + timedelta(seconds=1)}
        repeated = "" if len(seen) % 2 else f"{WHOLE}&"
        query = f"{repeated}limit=1000&next_token={page['next_token']}" if page["has_more"] else ""
    assert len(stored) == MANY
    assert len(seen) == len(set(seen))
    assert set(seen) >= ahead
    assert len(ahead) > 500
    were_stored = set(stored)
    assert [uuid for uuid in seen if uuid in were_stored] == stored


def test_pages_of_a_filter_hold_all_that_it_means_in_order(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    _fill(prod, 20_000)
    ann, app = prod.app.consumers.get(), prod.app
    for query, wanted in (
        (f"consumer_id={ann.pk}", {"consumer_id": ann.pk}),
        ("status_code=5xx,404", {"status_code__in": [404, 500]}),
        ("path=/1*", {"endpoint_id__in": app.endpoints.filter(path__startswith="/1").values("pk")}),
        ("path=/7&status_code=404", {"endpoint_id": app.endpoints.get(path="/7").pk, "status_code": 404}),
    ):
        expected, seen = _stored(prod, **wanted), []
        asked: str | None = f"{WHOLE}&limit=5&{query}"
        while asked:
            page = _page(api, alice, prod, asked)
            seen += [each["request_uuid"] for each in page["data"]]
            asked = page["next_token"] and f"limit=1000&next_token={page['next_token']}"
        assert seen == expected
        assert len(expected) > 9


@pytest.mark.parametrize("name", ["request-logs", "traffic", "consumers"])
def test_a_token_is_good_for_its_own_list_of_its_own_app_alone(
    api: ApiClient, alice: Tenant, bob: Tenant, prod: Environment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(of: Tenant, environment: Environment, query: str, name: str = name) -> int:
        return api.get(f"/v1/apps/{environment.app_id}/{name}?{query}", of=of).status_code

    _fill(prod, 10)
    prod.app.consumers.create(identifier="ben")
    token = api.get(f"/v1/apps/{prod.app_id}/{name}?limit=1", of=alice).json()["next_token"]
    assert status(alice, prod, f"next_token={token}") == 200
    forged = [f"{token}x", token[:-1], f"x{token}", token.swapcase(), token.rpartition(":")[0]]
    assert {status(alice, prod, f"next_token={bad}") for bad in forged} == {422}
    others = {"request-logs": "traffic", "traffic": "consumers", "consumers": "request-logs"}
    assert status(alice, prod, f"next_token={token}", others[name]) == 422
    assert status(alice, observe(alice), f"next_token={token}") == 422
    assert status(bob, observe(bob), f"next_token={token}") == 422
    assert status(bob, prod, f"next_token={token}") == 404
    tomorrow = time.time() + 24 * 3600 + 5
    monkeypatch.setattr("django.core.signing.time.time", lambda: tomorrow)
    assert status(alice, prod, f"next_token={token}") == 422


def test_a_token_takes_its_parameters_repeated_or_left_out(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    _fill(prod, 1_000)
    asked = f"start={START:%Y-%m-%dT05:45:00}&timezone=Asia/Kathmandu&path=/*&method=get,post&status_code=4xx,200"
    token = _page(api, alice, prod, f"{asked}&limit=1")["next_token"]
    rest = _page(api, alice, prod, f"next_token={token}")["data"]
    same = [
        "start=2026-06-14T05:45:00",
        "start=2026-06-14T00:00:00Z",
        "status_code=200,4XX",
        "method=GET,%20POST",
        "method=post,get,GET",
        asked,
    ]
    for repeated in same:
        assert _page(api, alice, prod, f"next_token={token}&{repeated}")["data"] == rest
    assert len(_page(api, alice, prod, f"next_token={token}&limit=7")["data"]) == 7
    different = [
        "start=2026-06-14T00:00:00%2B00:01",
        "timezone=UTC",
        "path=*",
        "method=GET",
        "status_code=200",
        "end=2026-06-15T00:00:00Z",
    ]
    for other in different:
        answer = api.get(f"/v1/apps/{prod.app_id}/request-logs?next_token={token}&{other}", of=alice)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "next_token"])


# --- bounded work -------------------------------------------------------------------------------------------------
def _walk(selection: Selection, *, limit: int, examined_max: int) -> Iterator[list[UUID]]:
    """Page after page."""
    after = None
    while True:
        page = page_of(selection, start=START, end=NOW, after=after, limit=limit, examined_max=examined_max)
        assert after is None or page.end is None or page.end > after
        yield [each.uuid for each in page.requests]
        if page.end is None:
            return
        after = page.end


@pytest.mark.parametrize("by", ["environment", "one_of_two_environments", "endpoints", "statuses", "consumer"])
def test_pages_that_end_early_lose_nothing(prod: Environment, by: str) -> None:
    chance = random.Random(9)
    dev, ann = Environment.objects.create(app=prod.app, name="dev"), prod.app.consumers.create(identifier="ann")
    routes = [endpoint(prod.app, f"GET /{number}") for number in range(4)]
    rows = [_row(chance, prod, chance.choice(routes), ann if number % 3 else None) for number in range(120)]
    file_rows(rows)
    file_rows(_row(chance, dev, chance.choice(routes), ann) for _ in range(60))  # of decisions, which prod has none of
    choices: dict[str, dict[str, Any]] = {
        "environment": {},
        "one_of_two_environments": {"known_environments": 2},
        "endpoints": {"endpoints": Chosen([route.pk for route in routes[:3]], 4)},
        "statuses": {"statuses": Chosen([200, 404, 500], 4)},
        "consumer": {"consumer_id": ann.pk, "endpoints": Chosen([route.pk for route in routes[:3]], 4)},
    }
    selection = Selection(prod.app_id, [prod], **choices[by])
    wanted = [
        row
        for row in sorted(rows, key=lambda row: (row.at, row.uuid))
        if (selection.endpoints is None or row.endpoint_id in selection.endpoints.keys)
        and (selection.consumer_id in (None, row.consumer_id))
    ]
    for limit, examined_max in product((1, 10), (1, 7, 60, 1000)):
        pages = list(_walk(selection, limit=limit, examined_max=examined_max))
        assert [uuid for page in pages for uuid in page] == [row.uuid for row in wanted]
        assert max(map(len, pages)) <= limit


def test_a_filter_that_matches_nothing_ends_its_pages_early_and_then_the_list(
    api: ApiClient, alice: Tenant, prod: Environment
) -> None:
    _fill(prod, EXAMINED_MAX + 1)
    prod.sources.all().delete()  # only decisions are shown now, which these are not
    first = _page(api, alice, prod, WHOLE)
    second = _page(api, alice, prod, f"next_token={first['next_token']}")
    assert (first["data"], first["has_more"]) == ([], True)
    assert (second["data"], second["has_more"]) == ([], False)


def test_a_rare_environments_requests_are_one_page_among_however_many_others(
    api: ApiClient, alice: Tenant, prod: Environment
) -> None:
    _fill(prod, EXAMINED_MAX + 1)
    dev, route = observe(alice, app=prod.app, name="dev"), prod.app.endpoints.all()[0]
    file_rows(request(dev, route, NOW - timedelta(hours=hours)) for hours in (30, 3))
    page = _page(api, alice, prod, f"{WHOLE}&app_env_id={dev.pk}")
    assert [each["request_uuid"] for each in page["data"]] == _stored(prod, environment_id=dev.pk)
    assert (len(page["data"]), page["has_more"]) == (2, False)


def test_the_narrowest_index_is_walked(prod: Environment) -> None:
    def walked(**chosen: Any) -> Streams:
        return narrowest(Selection(prod.app_id, [prod], **chosen))

    few, half, all_of_them = Chosen([1], 10), Chosen([1, 2], 4), Chosen([1, 2], 2)
    too_many = Chosen(list(range(STREAMS_MAX + 1)), 10_000)
    assert walked() == Streams("", [0])
    assert walked(endpoints=few, statuses=half) == Streams("endpoint_id", [1])
    assert walked(endpoints=half, statuses=few) == Streams("status_code", [1])
    assert walked(endpoints=all_of_them) == walked(endpoints=too_many) == Streams("", [0])
    assert walked(endpoints=few, consumer_id=3) == Streams("consumer_id", [3])
    assert walked(known_environments=1) == Streams("", [0])
    assert walked(known_environments=3, endpoints=half) == Streams("environment_id", [prod.pk])
    assert walked(known_environments=3, endpoints=few) == Streams("endpoint_id", [1])
    assert walked(known_environments=3, consumer_id=3) == Streams("consumer_id", [3])


# --- plans --------------------------------------------------------------------------------------------------------
def test_every_filter_is_answered_by_its_index(prod: Environment) -> None:
    _fill(prod, MANY)
    routes = [route.pk for route in prod.app.endpoints.all()]
    by_index: dict[str, dict[str, Any]] = {
        "pkey": {"excluded": (routes[0],)},
        "app_id_consumer_id_at_uuid_idx": {"consumer_id": prod.app.consumers.get().pk},
        "app_id_environment_id_at_uuid_idx": {"known_environments": 2},
        "app_id_status_code_at_uuid_idx": {"statuses": Chosen([200, 404], 3)},
        "app_id_endpoint_id_at_uuid_idx": {"endpoints": Chosen(routes[:9], 20)},
    }
    for index, chosen in by_index.items():
        selection: Selection = replace(Selection(prod.app_id, [prod]), **chosen)
        statement = request_logs.page_statement(
            selection, after=Position(START, FIRST_UUID), end=NOW, rows=101, examined_max=EXAMINED_MAX
        )
        _assert_walks(_plan(*statement), index)
    days = {"app": prod.app_id, "start": START, "end": NOW}
    _assert_walks(_plan(STATUSES_ON_FILE, days), "app_id_status_code_at_uuid_idx", times=2)
    _assert_walks(_plan(REQUEST, [prod.app_id, UUID(int=1)]), "app_id_uuid_idx")


def _plan(statement: str, arguments: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", arguments)
        return [line for (line,) in cursor.fetchall()]


def _assert_walks(plan: list[str], index: str, *, times: int = 1) -> None:
    """Of the days that hold rows; those made by other tests are empty, and may be read as one likes."""
    scans = [line for line in plan if re.search(r" on analytics_requestlog_2026061[45] ", line)]
    assert len(scans) == 2 * times, "\n".join(plan)
    assert all(re.search(rf"Index (Only )?Scan using \w+_{index} on", scan) for scan in scans), plan
