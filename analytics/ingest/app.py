"""The thin ASGI application that takes in reports: path and headers, credential, admission, body, inbox, answer.

It shares an event loop with validate: nothing here waits without awaiting, decompresses, or reads what a body says.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from analytics.ingest import answers
from analytics.ingest.admission import NoRoom, Rates, Room
from analytics.ingest.answers import Refusal, answer_accepted, answer_refused
from analytics.ingest.arrivals import Arrival, read_arrival, tongue_of
from analytics.ingest.backlog import Backlog
from analytics.ingest.bodies import read_body
from analytics.ingest.credentials import Credentials
from analytics.ingest.inbox import Accepted, Inbox
from analytics.ingest.line import ANSWER_WITHIN_S, Line, Unavailable
from keys.validation.app import Scope, Send, send_answer
from keys.validation.bodies import WITHIN_S, BodyTooLarge, ClientGone, Receive
from keys.validation.replies import Answer

# With what the server and COPY hold beside them, bodies shall not cost the process 64 MiB. (Measured at a hundred
# senders of 4 MiB: 47 MiB.)
IN_FLIGHT_BYTES: Final = 32 * 1024 * 1024
ELSEWHERE_INTERVAL_S: Final = 60
logger = logging.getLogger(__name__)


class IngestApp:
    """One per process and event loop. Two connections: one asks, one writes (settings.LIMITLY_INGEST_CONNECTIONS)."""

    def __init__(
        self,
        database: Mapping[str, Any],
        *,
        export_interval_s: int,
        backlog_bytes: int,
        in_flight_bytes: int = IN_FLIGHT_BYTES,
        body_within_s: float = WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._export_interval_s = export_interval_s
        self._body_within_s = body_within_s
        self._asking, self._writing = Line(database), Line(database)
        self._credentials = Credentials(self._asking, clock=clock)
        self._rates = Rates(clock)
        self._backlog = Backlog(self._asking, at_most_bytes=backlog_bytes, clock=clock)
        self._room = Room(in_flight_bytes)
        self._inbox = Inbox(self._writing)
        self._warned_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            refusal = await self._take_in(scope, receive)
        except ClientGone:
            return
        except Unavailable as error:
            self._warn(error)
            refusal = answers.UNREACHABLE
        except Exception:
            logger.exception("taking in a report failed")
            refusal = answers.FAILED
        tongue = tongue_of(scope)
        if refusal is None:
            await send_answer(send, answer_accepted(tongue, self._export_interval_s))
        else:
            await send_answer(send, answer_refused(tongue, refusal, self._export_interval_s))

    async def aclose(self) -> None:
        """Once what was accepted is written, unless the database has nothing to say."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._inbox.aclose()
                await self._asking.aclose()
                await self._writing.aclose()

    async def _take_in(self, scope: Scope, receive: Receive) -> Refusal | None:
        """None once it is in the inbox, committed."""
        arrival = read_arrival(scope)
        if isinstance(arrival, Refusal):
            return arrival
        app_id = await self._credentials.app_of(arrival.credential)
        if app_id is None:
            return arrival.unknown
        wait_s = self._rates.wait_s(app_id, arrival.kind)
        if wait_s:
            return answers.too_many(wait_s)
        if await self._backlog.is_full():
            return answers.BACKLOG
        return await self._store(arrival, app_id, receive)

    async def _store(self, arrival: Arrival, app_id: int, receive: Receive) -> Refusal | None:
        try:
            with self._room.hold() as held:
                body = await read_body(arrival, receive, held, within_s=self._body_within_s)
                await self._inbox.add(Accepted(arrival, app_id, datetime.now(UTC), body))
        except NoRoom:
            return answers.NO_ROOM
        except BodyTooLarge:
            return arrival.too_large
        except TimeoutError:
            return answers.TOO_SLOW
        self._backlog.add(len(body))
        return None

    def _warn(self, error: Unavailable) -> None:
        """Once a second at most: while the database is away every report would say the same."""
        if time.monotonic() - self._warned_at >= 1:
            self._warned_at = time.monotonic()
            logger.warning("no report is taken in: %s", error)


def answer_elsewhere(scope: Scope) -> Answer:
    """Of a process that takes no reports: never 401 or 404, upon which SDKs drop what they have, or stop for good."""
    return answer_refused(tongue_of(scope), answers.ELSEWHERE, ELSEWHERE_INTERVAL_S)
