"""Who may report: which app a write token or client id stands for, on the primary database's own word."""

import asyncio
from collections.abc import Callable
from typing import Final

from analytics.ingest.arrivals import Credential
from analytics.ingest.line import Line, Unavailable, in_time, note_failure

YES_FOR_S: Final = 5
YESES_AT_MOST: Final = 10_000
ASKED_AT_ONCE: Final = 200

# A server that does not write is a standby: what it does not know, the primary may.
APP_OF_DIGEST: Final = """
SELECT current_setting('transaction_read_only'),
       (SELECT app_id FROM analytics_writetoken WHERE digest = %s AND revoked_at IS NULL)
"""
APP_OF_CLIENT_ID: Final = """
SELECT current_setting('transaction_read_only'),
       (SELECT id FROM analytics_app WHERE client_id = %s AND is_hub_enabled)
"""


class Credentials:
    """A yes is kept for 5 s, so that a revocation holds after as long; a no is asked for each time."""

    def __init__(self, line: Line, *, clock: Callable[[], float]) -> None:
        self._line = line
        self._clock = clock
        self._yeses: dict[Credential, tuple[int, float]] = {}  # app and until when; oldest first
        self._asking: dict[Credential, asyncio.Task[int | None]] = {}

    async def app_of(self, credential: Credential) -> int | None:
        """The app's id; None for who is not, or no longer, one. Cost: one SELECT when cold. Errors: Unavailable."""
        app_id, until = self._yeses.get(credential, (0, 0.0))
        if self._clock() < until:
            return app_id
        return await in_time(self._asking.get(credential) or self._ask(credential))

    def _ask(self, credential: Credential) -> "asyncio.Task[int | None]":
        """Once for all who wait for the same; not for more at once than could be answered in time."""
        if len(self._asking) >= ASKED_AT_ONCE:
            raise Unavailable("too many credentials are being looked up")
        asking = self._asking[credential] = asyncio.create_task(self._look_up(credential))
        asking.add_done_callback(lambda _: self._asking.pop(credential))
        asking.add_done_callback(note_failure)
        return asking

    async def _look_up(self, credential: Credential) -> int | None:
        asked_at = self._clock()
        statement = APP_OF_DIGEST if isinstance(credential, bytes) else APP_OF_CLIENT_ID
        read_only, app_id = await self._line.ask(statement, [credential])
        if read_only == "on":
            raise Unavailable("the database is a standby")
        self._yeses.pop(credential, None)
        if app_id is None:
            return None
        self._yeses[credential] = (app_id, asked_at + YES_FOR_S)
        if len(self._yeses) > YESES_AT_MOST:
            del self._yeses[next(iter(self._yeses))]
        return int(app_id)
