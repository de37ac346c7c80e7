"""The thin ASGI application that answers validate: headers, body, one decision, one reply."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from accounts.credentials import Refusal, access_key_of
from keys.validation import replies
from keys.validation.bodies import BodyReader, BodyTooLarge, ClientGone, Receive
from keys.validation.parsing import BODY_MAX_BYTES, BodyFault, parse_body
from keys.validation.replies import Answer, Headers, SendAnswer
from keys.validation.store import DecisionStore, Outcome, StoreUnavailable

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

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

    def answer_soon(self, headers: Headers, body: bytes, send: SendAnswer) -> None:
        """The same for a POST whose body is here: `send` is called once; a warm call costs no task and no future."""
        try:
            access_key = _read_head(headers)
            if isinstance(access_key, Answer):
                send(access_key)
            else:
                self._decide_soon(access_key, body, send)
        except Exception:
            logger.exception("validate failed")
            send(replies.FAILED)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return replies.WRONG_METHOD
        headers = scope["headers"]
        access_key = _read_head(headers)
        if isinstance(access_key, Answer):
            return access_key
        try:
            body = await self._bodies.read(headers, receive, at_most=BODY_MAX_BYTES)
        except BodyTooLarge:
            return replies.TOO_LARGE
        except TimeoutError:
            return replies.TOO_SLOW
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._decide_soon(access_key, body, lambda given: None if answer.done() else answer.set_result(given))
        return await answer

    def _decide_soon(self, access_key: str, body: bytes, send: SendAnswer) -> None:
        call = parse_body(body)
        if isinstance(call, BodyFault):
            send(replies.answer_fault(call))
        else:
            self._store.decide_soon(access_key, call, lambda outcome: send(_answer_outcome(outcome)))


def _read_head(headers: Headers) -> str | Answer:
    """Whose call it is, or why its body is not looked at."""
    match access_key_of(headers):
        case Refusal.ABSENT:
            return replies.ABSENT
        case Refusal.NOT_OF_THE_FORM:
            return replies.NOT_OF_THE_FORM
        case access_key:
            return access_key if _is_json(headers) else replies.WRONG_TYPE


def _answer_outcome(outcome: Outcome) -> Answer:
    try:
        if isinstance(outcome, BaseException):
            raise outcome
        return replies.answer_decision(outcome)
    except StoreUnavailable as error:
        logger.warning("no decision: %s", error)
        return replies.UNAVAILABLE
    except Exception:
        logger.exception("validate failed")
        return replies.FAILED


def _is_json(headers: Headers) -> bool:
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
