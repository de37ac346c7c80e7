"""Fixtures for every test: the cast, a client of the whole ASGI application, a server of its own."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis
from anyio.from_thread import BlockingPortal, start_blocking_portal

from keys.models import StreamPosition
from keys.redis import client as redis_client
from tests.cast import Tenant, new_tenant
from tests.live_server import LiveServer, serve


class ApiClient:
    """Speaks to limitly_site.asgi as a server would, in this process; a call returns httpx's response."""

    def __init__(self, portal: BlockingPortal, http: httpx.AsyncClient) -> None:
        self._portal = portal
        self._http = http

    def request(self, method: str, path: str, *, of: Tenant | None = None, **given: Any) -> httpx.Response:
        headers = (of.headers if of else {}) | given.pop("headers", {})
        return self._portal.call(lambda: self._http.request(method, path, headers=headers, **given))

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    def put(self, path: str, **given: Any) -> httpx.Response:
        return self.request("PUT", path, **given)

    def delete(self, path: str, **given: Any) -> httpx.Response:
        return self.request("DELETE", path, **given)

    def validate(self, tenant: Tenant, api_key: str, **given: Any) -> httpx.Response:
        body = {"api_key": api_key, "endpoint": "/orders", "method": "GET"} | given
        return self.post("/v1/validate", of=tenant, json=body)


@pytest.fixture(scope="session")
def _portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def _api(_portal: BlockingPortal, django_db_setup: None) -> Iterator[ApiClient]:
    from limitly_site.asgi import application

    async def open_client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost")

    http = _portal.call(open_client)
    yield ApiClient(_portal, http)
    _portal.call(http.aclose)
    _portal.call(application.aclose)


@pytest.fixture
def stores(transactional_db: None) -> "redis.Redis[str]":
    """Empty stores, on_commit for real; the Redis client of this worker's database."""
    for bucket in range(16):
        StreamPosition.objects.get_or_create(bucket=bucket)
    client = redis_client()
    client.flushdb()
    return client


@pytest.fixture
def api(stores: "redis.Redis[str]", _api: ApiClient) -> ApiClient:
    return _api


@pytest.fixture(scope="session")
def _server(django_db_setup: None) -> Iterator[LiveServer]:
    with serve() as server:
        yield server


@pytest.fixture
def server(stores: "redis.Redis[str]", _server: LiveServer) -> LiveServer:
    """A web process of its own on this test's stores, for official SDKs, races and many processes."""
    return _server


@pytest.fixture
def alice(stores: "redis.Redis[str]") -> Tenant:
    return new_tenant("Alice")


@pytest.fixture
def bob(stores: "redis.Redis[str]") -> Tenant:
    return new_tenant("Bob")
