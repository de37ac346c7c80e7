"""Fixtures for every test: the cast, a client of the whole ASGI application, a server of its own."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client, TransactionTestCase

from accounts.models import Staff
from accounts.roles import Role, sync_roles
from analytics.models import FoldPosition
from keys.models import StreamPosition
from keys.redis import client as redis_client
from keys.validation.parsing import ParsedCall
from keys.validation.store import DecisionStore
from keys.validation.verdicts import Decision
from tests.cast import Tenant, new_tenant
from tests.emptying import empty_tables
from tests.live_server import LiveServer, serve
from tests.store_redis import StoreRedis


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


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_digested_in_no_time() -> None:
    """Half a second for each member of staff is a minute of the suite. (Servers of their own know real ones alone.)"""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture(scope="session", autouse=True)
def _only_filled_tables_are_emptied() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
        yield


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
def stores(transactional_db: None) -> StoreRedis:
    """Empty stores, on_commit for real; the Redis client of this worker's database."""
    StreamPosition.objects.bulk_create([StreamPosition(bucket=bucket) for bucket in range(16)], ignore_conflicts=True)
    FoldPosition.objects.bulk_create([FoldPosition(bucket=bucket) for bucket in range(16)], ignore_conflicts=True)
    client = cast(StoreRedis, redis_client())
    client.flushdb()
    return client


@pytest.fixture
def api(stores: StoreRedis, _api: ApiClient) -> ApiClient:
    return _api


class Decisions:
    """A DecisionStore of this test's own, asked from outside its event loop."""

    def __init__(self, portal: BlockingPortal, store: DecisionStore) -> None:
        self._portal = portal
        self.store = store

    def decide(self, tenant: Tenant, secret: str, *, cost: int = 1, is_dry_run: bool = False) -> Decision:
        call = ParsedCall(secret, "/orders", "GET", "", cost, is_dry_run)
        return self._portal.call(self.store.decide, tenant.secret, call)

    def decide_at_once(self, tenant: Tenant, secrets: list[str]) -> list[Decision]:
        async def all_of_them() -> list[Decision]:
            calls = [ParsedCall(secret, "/orders", "GET", "", 1, False) for secret in secrets]
            return await asyncio.gather(*(self.store.decide(tenant.secret, call) for call in calls))

        return self._portal.call(all_of_them)


@pytest.fixture
def decisions(stores: StoreRedis, _portal: BlockingPortal) -> Iterator[Decisions]:
    from limitly_site.asgi import fill_pool

    async def make() -> DecisionStore:
        store = DecisionStore(settings.REDIS_URL, fill_pool(), stream_max=1_000_000)
        await store.open()
        return store

    store = _portal.call(make)
    yield Decisions(_portal, store)
    _portal.call(store.aclose)


@pytest.fixture(scope="session")
def _server(django_db_setup: None) -> Iterator[LiveServer]:
    with serve() as server:
        yield server


@pytest.fixture
def server(stores: StoreRedis, _server: LiveServer) -> LiveServer:
    """A web process of its own on this test's stores, for official SDKs, races and many processes."""
    return _server


@pytest.fixture
def alice(stores: StoreRedis) -> Tenant:
    return new_tenant("Alice")


@pytest.fixture
def bob(stores: StoreRedis) -> Tenant:
    return new_tenant("Bob")


@pytest.fixture
def desk(stores: StoreRedis) -> Client:
    """A staff member's browser, logged in to the admin."""
    client = Client()
    client.force_login(Staff.objects.create_superuser("sam", password="a long one"))
    return client


@pytest.fixture
def as_role(stores: StoreRedis) -> Callable[[Role], Client]:
    """A browser of somebody who has this role and no other right."""

    def log_in(role: Role) -> Client:
        sync_roles()
        staff = Staff.objects.create_user(f"a {role}", password="a long one", is_staff=True)
        staff.groups.add(Group.objects.get(name=role.value))
        client = Client()
        client.force_login(staff)
        return client

    return log_in
