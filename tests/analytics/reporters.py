"""Who reports in the tests of ingest: an app with both of its credentials, and an ingest of a test's own."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal
from django.db import connection

from analytics import services
from analytics.ingest.app import IngestApp
from analytics.models import App, InboxReport, WriteToken
from tests.cast import BY, Tenant
from tests.conftest import ApiClient

PROTOBUF, JSON = "application/x-protobuf", "application/json"
OTLP = ("/v1/traces", "/v1/logs", "/v1/metrics")
HUB = ("startup", "sync", "log", "logpush")


@dataclass(frozen=True, slots=True)
class Reporter:
    app: App
    write_token: WriteToken
    secret: str

    def headers(self, content_type: str = PROTOBUF, **more: str) -> dict[str, str]:
        """Of OTLP; `more` with underscores for dashes."""
        others = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.secret}", "Content-Type": content_type} | others

    def hub(self, kind: str, environment: str = "dev") -> str:
        return f"/v2/{self.app.client_id}/{environment}/{kind}"


def new_reporter(tenant: Tenant, name: str = "shop") -> Reporter:
    app = services.create_app(tenant.account, by=BY, name=name)
    issued = services.create_write_token(app, name="production", by=BY)
    return Reporter(app, issued.row, issued.secret)


class Clock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 120.0

    def __call__(self) -> float:
        return self.now


class Ingest(ApiClient):
    """An IngestApp with a clock, bounds and database of its own, spoken to in this process."""

    def __init__(self, portal: BlockingPortal, **given: Any) -> None:
        self.portal = portal
        self.clock = Clock()
        told: dict[str, Any] = {"export_interval_s": 15, "backlog_bytes": 2**31, "clock": self.clock} | given
        where = told.pop("database", None) or database()

        async def make() -> tuple[IngestApp, httpx.AsyncClient]:
            app = IngestApp(where, **told)
            return app, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")

        self.app, http = portal.call(make)
        super().__init__(portal, http)

    async def send(self, path: str, headers: dict[str, str], body: bytes | AsyncIterator[bytes]) -> httpx.Response:
        """For coroutines that are run by the portal."""
        return await self._http.post(path, headers=headers, content=body)

    def close(self) -> None:
        self._portal.call(self._http.aclose)
        self._portal.call(self.app.aclose)


def database() -> dict[str, Any]:
    """How to connect to this test's database, in libpq's words."""
    from limitly_site.asgi import database_parameters

    return database_parameters()


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    """A body that is sent in chunks, its length untold."""
    for part in parts:
        yield part


def bodies() -> list[bytes]:
    """All that lies in the inbox, in order of receipt."""
    return [bytes(body) for body in InboxReport.objects.order_by("id").values_list("body", flat=True)]


def wait_for_a_blocked_report() -> None:
    """Until a writer of ingest's waits for the lock that a test holds on the inbox."""
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'analytics_inboxreport'::regclass"
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(f"{waits} AND mode = 'RowExclusiveLock'")
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.01)
    raise TimeoutError("no report waits for the inbox")
