"""The ASGI application of a web process: validate and reports to their thin apps, all else, bounded, to Django."""

import asyncio
import gc
import multiprocessing
import os
import sys
from typing import cast

from limitly_site.environment import IS_WEB_PROCESS

# A web process keeps its connections; this is set before the settings are read.
os.environ[IS_WEB_PROCESS] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "limitly_site.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()  # loads the apps, whose modules the imports below need

from django.conf import settings
from django.db import connections
from psycopg_pool import AsyncConnectionPool

from analytics.api.streaming import Exports, is_export
from analytics.ingest.app import IngestApp, answer_elsewhere
from analytics.ingest.arrivals import is_ingest_path
from keys.api.admission import Admission, App, error_answer
from keys.validation import PATHS as VALIDATE_PATHS
from keys.validation.app import Scope, Send, ValidateApp, send_answer
from keys.validation.bodies import Receive
from keys.validation.fills import Pool
from keys.validation.replies import Answer
from keys.validation.store import ANSWER_WITHIN_S, DecisionStore
from limitly_site.dialects import Dialect
from limitly_site.holding import hold_embedded_stores
from limitly_site.tether import tether_to_parent

# Django's threads share the interpreter with validate: at Python's 5 ms a page costs every decision 5 ms (DESIGN 4).
SWITCH_INTERVAL_S = 0.0005
HEALTHY = Answer(200, [(b"content-type", b"application/json")], b'{"status":"ok"}')
# What Django's backend adds for itself; the rest of its parameters is how to connect.
DJANGO_ONLY = frozenset({"context", "cursor_factory", "pool", "prepare_threshold", "client_encoding"})


class Application:
    """One per process and event loop; its stores are connected on first use."""

    def __init__(self, site: App, *, role: str) -> None:
        self._site = site
        self._decides = role in ("all", "hot")
        self._serves_site = role in ("all", "site")
        self._store: DecisionStore | None = None
        self.validate: ValidateApp | None = None  # once it is connected, where it is served at all
        self._admission: Admission | None = None
        self._django_slots = asyncio.Semaphore(settings.LIMITLY_DJANGO_CONCURRENCY)
        self._ingest: IngestApp | None = None
        self._exports = Exports(site, self._django_slots, at_once=settings.LIMITLY_EXPORTS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case other:
                raise ValueError(f"{other} is not spoken here")

    async def aclose(self) -> None:
        if self._ingest is not None:
            await self._ingest.aclose()
        if self._store is not None:
            await self._store.aclose()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._admission is None:
            self._admission = await self._connect()
        path = scope["path"]
        if path in VALIDATE_PATHS and self.validate is not None:
            await self.validate(scope, receive, send)
        elif path == "/healthz":
            await send_answer(send, HEALTHY)
        elif is_ingest_path(path) and self._decides:
            await self._ingest_app()(scope, receive, send)
        elif is_ingest_path(path):
            await send_answer(send, answer_elsewhere(scope))
        elif self._serves_site or path == "/readyz":
            await self._admission(scope, receive, send)
        else:
            sentence = "This process serves validate and reports alone"
            await send_answer(send, error_answer(Dialect.of_path(path), 404, sentence, "NOT_FOUND"))

    async def _connect(self) -> Admission:
        if self._store is None:
            self._store = DecisionStore(settings.REDIS_URL, fill_pool(), stream_max=settings.LIMITLY_STREAM_MAX)
            await self._store.open()
        if self._decides:
            self.validate = ValidateApp(self._store)
        return Admission(self._call_django, self._store, body_max_bytes=settings.LIMITLY_BODY_MAX_BYTES)

    def _ingest_app(self) -> IngestApp:
        if self._ingest is None:
            self._ingest = IngestApp(
                database_parameters(),
                export_interval_s=settings.LIMITLY_EXPORT_INTERVAL_S,
                backlog_bytes=settings.LIMITLY_INGEST_BACKLOG_BYTES,
            )
        return self._ingest

    async def _call_django(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A thread of Django's is a request under way; more of them at once would only slow each other."""
        if is_export(scope):
            await self._exports(scope, receive, send)
            return
        async with self._django_slots:
            await self._site(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def database_parameters() -> dict[str, object]:
    """How to connect to Django's database, in libpq's words."""
    parameters = connections["default"].get_connection_params()
    return {name: value for name, value in parameters.items() if name not in DJANGO_ONLY}


def fill_pool() -> Pool:
    """Its connections give up where a fill's time is over, and never wait for Django's."""
    told = database_parameters()
    statement_timeout_ms = int(ANSWER_WITHIN_S * 1000)
    told["options"] = f"-c statement_timeout={statement_timeout_ms} -c TimeZone=UTC"
    told |= {"autocommit": True, "connect_timeout": 2}
    return AsyncConnectionPool(
        kwargs=told,
        min_size=0,
        max_size=settings.LIMITLY_FILL_CONNECTIONS,
        timeout=ANSWER_WITHIN_S,
        open=False,
        name="fills",
    )


if multiprocessing.parent_process() is not None:  # a server's worker process: not to outlive the server
    tether_to_parent()
sys.setswitchinterval(SWITCH_INTERVAL_S)
gc.collect()
gc.freeze()  # what is loaded stays: without this each full collection walks all of Django while decisions wait
_hold = hold_embedded_stores()
_hold.__enter__()  # until the process ends
application = Application(cast(App, django_application), role=settings.LIMITLY_WEB)
