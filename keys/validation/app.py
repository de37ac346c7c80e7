"""The thin ASGI application that answers validate: headers, body, one decision, one reply."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from accounts.credentials import Refusal, access_key_of
from keys.validation import replies
from keys.validation.bodies import BodyReader, BodyTooLarge, ClientGone, Receive
from keys.validation.parsing import BODY_MAX_BYTES, BodyFault, parse_body
from keys.validation.replies import Answer
from keys.validation.store import DecisionStore, StoreUnavailable

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATHS: Final = frozenset({"/v1/validate", "/functions/v1/validate"})
logger = logging.getLogger(__name__)


class ValidateApp:
    def __init__(self, store: DecisionStore) -> None:
        self._store = store
        self._bodies = BodyReader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        except Exception:
            logger.exception("validate failed")
            answer = replies.FAILED
        await send_answer(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return replies.WRONG_METHOD
        headers = scope["headers"]
        match access_key_of(headers):
            case Refusal.ABSENT:
                return replies.ABSENT
            case Refusal.NOT_OF_THE_FORM:
                return replies.NOT_OF_THE_FORM
            case access_key:
                pass
        if not _is_json(headers):
            return replies.WRONG_TYPE
        try:
            body = await self._bodies.read(headers, receive, at_most=BODY_MAX_BYTES)
        except BodyTooLarge:
            return replies.TOO_LARGE
        except TimeoutError:
            return replies.TOO_SLOW
        call = parse_body(body)
        if isinstance(call, BodyFault):
            return replies.answer_fault(call)
        try:
            decision = await self._store.decide(access_key, call)
        except StoreUnavailable as error:
            logger.warning("no decision: %s", error)
            return replies.UNAVAILABLE
        return replies.answer_decision(decision)


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the body says that it is JSON in plain; one that says nothing is taken for it."""
    for name, value in headers:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
            if media_type and media_type != b"application/json":
                return False
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return False
    return True


async def send_answer(send: Send, answer: Answer) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
