"""What stands before the REST API: its access key, the minute budget of that key, and the bound of the body.

Here and not in Django, because it is the same script call that validate makes, on the same event loop; a flood of
refused calls never reaches a thread. Django finds the id of the admitted access key in the scope.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from accounts.api.authentication import ADMITTED
from accounts.credentials import Refusal, access_key_of
from accounts.models import Scope as AccessScope
from keys.validation.app import Scope, Send, send_answer
from keys.validation.bodies import BodyReader, BodyTooLarge, ClientGone, Receive
from keys.validation.replies import JSON, REFUSALS, Answer, Headers, budget_headers
from keys.validation.store import DecisionStore, StoreUnavailable
from keys.validation.verdicts import Decision, Verdict
from limitly_site.dialects import Dialect, error_shape

App = Callable[[Scope, Receive, Send], Awaitable[None]]
PUBLIC_PATHS: Final = frozenset({"/v1/schema", "/v1/docs"})
logger = logging.getLogger(__name__)


class Admission:
    """Wraps Django: paths of the API pass with an admitted access key, all others pass as they are."""

    def __init__(self, site: App, store: DecisionStore, *, body_max_bytes: int) -> None:
        self._site = site
        self._store = store
        self._body_max_bytes = body_max_bytes
        self._bodies = BodyReader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = Dialect.of_path(scope["path"])
        headers: Headers = []
        if dialect is not None and scope["path"] not in PUBLIC_PATHS:
            decision = await self._admit(scope)
            if isinstance(decision, Answer):
                await send_answer(send, decision)
                return
            if decision.budget is not None:
                headers = budget_headers(decision.budget)
            if decision.verdict is not Verdict.ADMITTED:
                await send_answer(send, _refusal(dialect, decision, headers))
                return
            scope[ADMITTED] = decision.access_key_id
        await self._pass_on(scope, receive, _with_headers(send, headers), dialect)

    async def _admit(self, scope: Scope) -> Decision | Answer:
        dialect = Dialect.of_path(scope["path"])
        match access_key_of(scope["headers"]):
            case Refusal.ABSENT:
                return error_answer(dialect, 401, "Give an access key: Authorization: Bearer lk_…", "UNAUTHORIZED")
            case Refusal.NOT_OF_THE_FORM:
                return error_answer(dialect, *REFUSALS[Verdict.UNAUTHORIZED])
            case access_key:
                pass
        try:
            is_analytics = dialect is Dialect.APITALLY
            return await self._store.admit(access_key, AccessScope.ANALYTICS if is_analytics else AccessScope.LIMITLY)
        except StoreUnavailable as error:
            logger.warning("no admission: %s", error)
            sentence = "The stores cannot be reached"
            return error_answer(dialect, 503, sentence, "SERVICE_UNAVAILABLE", [(b"retry-after", b"1")])

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, dialect: Dialect | None) -> None:
        """The body as a whole, its length known: a chunked one would be dropped by DRF."""
        try:
            body = await self._bodies.read(scope["headers"], receive, at_most=self._body_max_bytes)
        except ClientGone:
            return
        except BodyTooLarge:
            sentence = f"The body is larger than {self._body_max_bytes} bytes"
            await send_answer(send, error_answer(dialect, 413, sentence, "PAYLOAD_TOO_LARGE"))
            return
        except TimeoutError:
            await send_answer(send, error_answer(dialect, 400, "The body did not arrive in time", "VALIDATION_ERROR"))
            return
        scope["headers"] = [
            *(
                (name, value)
                for name, value in scope["headers"]
                if name not in (b"content-length", b"transfer-encoding")
            ),
            (b"content-length", b"%d" % len(body)),
        ]
        await self._site(scope, _replay(body, receive), send)


def error_answer(
    dialect: Dialect | None, status: int, sentence: str, code: str, headers: Headers | None = None
) -> Answer:
    body = msgspec.json.encode(error_shape(dialect, error=sentence, code=code))
    return Answer(status, [JSON, *(headers or ())], body)


def _refusal(dialect: Dialect, decision: Decision, headers: Headers) -> Answer:
    if decision.verdict is Verdict.BUSY and decision.budget is not None:
        headers = [*headers, (b"retry-after", b"%d" % decision.budget.seconds_left)]
    return error_answer(dialect, *REFUSALS[decision.verdict], headers)


def _with_headers(send: Send, headers: Headers) -> Send:
    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_with_headers if headers else send


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once; then whatever the server says (a disconnect)."""
    unread: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return unread.pop() if unread else await receive()

    return replay
