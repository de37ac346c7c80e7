"""LIMITLY_WEB: what a process serves that is `hot` or `site` alone."""

from collections.abc import Callable, Iterator
from typing import cast

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from keys.api.admission import App
from tests.analytics.reporters import Reporter, new_reporter
from tests.cast import Tenant
from tests.conftest import ApiClient

OTLP, PROTOBUF = "/v1/traces", "application/x-protobuf"


@pytest.fixture
def in_role(stores: object, _portal: BlockingPortal) -> Iterator[Callable[[str], ApiClient]]:
    from limitly_site.asgi import Application, django_application

    applications: list[Application] = []

    async def open_client(role: str) -> httpx.AsyncClient:
        applications.append(Application(cast(App, django_application), role=role))
        return httpx.AsyncClient(transport=httpx.ASGITransport(applications[-1]), base_url="http://localhost")

    yield lambda role: ApiClient(_portal, _portal.call(open_client, role))
    for application in applications:
        _portal.call(application.aclose)


@pytest.fixture
def shop(alice: Tenant) -> Reporter:
    return new_reporter(alice)


@pytest.mark.parametrize("role", ["all", "hot"])
def test_a_hot_process_takes_reports(in_role: Callable[[str], ApiClient], shop: Reporter, role: str) -> None:
    web = in_role(role)
    assert web.post(OTLP, headers=shop.headers(), content=b"x").status_code == 200
    assert web.post(shop.hub("sync"), content=b"x").status_code == 202


def test_a_hot_process_serves_no_page(in_role: Callable[[str], ApiClient], alice: Tenant) -> None:
    answer = in_role("hot").get("/v1/keys", of=alice)
    assert answer.status_code == 404
    assert answer.json() == {"error": "This process serves validate and reports alone", "code": "NOT_FOUND"}


def test_a_site_process_sends_reports_away_without_silencing_who_sent_them(
    in_role: Callable[[str], ApiClient], shop: Reporter
) -> None:
    """A 404 would end an SDK of 0.x for good, a 401 throw away what one of 1.x has gathered."""
    web = in_role("site")
    otlp = web.post(OTLP, headers=shop.headers(), content=b"x")
    hub = web.post(shop.hub("sync"), content=b"x")
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in (otlp, hub)] == [(503, "15")] * 2
    assert otlp.headers["Content-Type"] == PROTOBUF
    assert hub.json()["code"] == "SERVICE_UNAVAILABLE"


def test_a_site_process_serves_the_rest(in_role: Callable[[str], ApiClient], alice: Tenant) -> None:
    assert in_role("site").get("/v1/keys", of=alice).status_code == 200
