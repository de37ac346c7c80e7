"""Exports under way: how many at once, what they hold while a reader is waited for, and when it is waited for no more.

An export lasts as long as its reader likes. It therefore has a place of its own, and takes one of Django's slots, and a
connection to the database, only while it reads a page. Who does not take what was asked for is let go: the connection
is cut, so that what arrived cannot be mistaken for the whole.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Final

from accounts.api.authentication import ADMITTED
from accounts.api.streaming import SLOTS
from keys.api.admission import App, error_answer
from keys.validation.app import Scope, Send, send_answer
from keys.validation.bodies import Receive
from limitly_site.dialects import Dialect

PATHS: Final = re.compile(
    r"/v1/apps/\d+/(request-logs(/stream)?|metrics)|/admin/(desk/requests|accounts/auditentry)/export/", re.ASCII
)
# The desk has no access key: all staff together are one more reader.
DESK: Final = 0
# For a part of at most 64 KiB (Django cuts them so); and for an export as a whole.
STALLED_AFTER_S: Final = 30
ENDS_AFTER_S: Final = 3 * 3600
RETRY_AFTER_S: Final = b"10"
logger = logging.getLogger(__name__)


class ReaderStalled(Exception):
    """Nobody took what was sent, or not all of it in the time that an export may last."""


def is_export(scope: Scope) -> bool:
    return scope["method"] == "POST" and PATHS.fullmatch(scope["path"]) is not None


class Exports:
    """Wraps Django for the paths of exports. One per event loop."""

    def __init__(
        self,
        site: App,
        slots: asyncio.Semaphore,
        *,
        at_once: int,
        stalled_after_s: float = STALLED_AFTER_S,
        ends_after_s: float = ENDS_AFTER_S,
    ) -> None:
        self._site = site
        self._slots = slots
        self._at_once = at_once
        self._stalled_after_s = stalled_after_s
        self._ends_after_s = ends_after_s
        self._under_way: Counter[int] = Counter()  # by access key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        access_key_id = scope.get(ADMITTED, DESK)
        if refusal := self._refusal(access_key_id):
            answer = error_answer(Dialect.APITALLY, *refusal, [(b"retry-after", RETRY_AFTER_S)])
            await send_answer(send, answer)
            return
        self._under_way[access_key_id] += 1
        try:
            await self._stream(scope, receive, send)
        except ReaderStalled:
            logger.warning("access key %s does not read its export of %s", access_key_id, scope["path"])
        finally:
            self._under_way[access_key_id] -= 1

    def _refusal(self, access_key_id: int) -> tuple[int, str, str] | None:
        if self._under_way.total() >= self._at_once:
            return 503, "As many exports as can be are under way", "SERVICE_UNAVAILABLE"
        if self._under_way[access_key_id] >= max(1, self._at_once // 2):
            whose = "the desk" if access_key_id == DESK else "this access key"
            return 429, f"As many exports of {whose} as may be are under way", "RATE_LIMIT_EXCEEDED"
        return None

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Errors: ReaderStalled."""
        scope[SLOTS] = self._slots
        ends = asyncio.get_running_loop().time() + self._ends_after_s
        async with AsyncExitStack() as slot:

            async def send_in_time(message: MutableMapping[str, Any]) -> None:
                await slot.aclose()  # Django has answered: from here on it works page by page
                now = asyncio.get_running_loop().time()
                try:
                    async with asyncio.timeout_at(min(now + self._stalled_after_s, ends)):
                        await send(message)
                except TimeoutError as error:
                    raise ReaderStalled from error

            await slot.enter_async_context(self._slots)
            await self._site(scope, receive, send_in_time)
