"""An answer that is sent part by part, each made when the one before has been taken: what exports are."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

# Where a request's scope says in which of Django's slots a part is made; who serves exports puts it there.
SLOTS: Final = "limitly.slots"
NDJSON: Final = "application/x-ndjson"


def stream(request: HttpRequest, parts: Iterator[bytes], *, content_type: str = NDJSON) -> StreamingHttpResponse:
    """Each part is made in a thread, in one of Django's slots and with a connection of its own for as long."""
    connection.close()  # which the view used
    # Django's own test client knows no slots.
    slots = request.scope[SLOTS] if isinstance(request, ASGIRequest) else nullcontext()
    return StreamingHttpResponse(_parts(parts, slots), content_type=content_type)


async def _parts(parts: Iterator[bytes], slots: AbstractAsyncContextManager[None]) -> AsyncIterator[bytes]:
    part: bytes | None = b""  # the headers leave with it, before the first page is read
    while part is not None:
        yield part
        async with slots:
            part = await sync_to_async(_next)(parts)


def _next(parts: Iterator[bytes]) -> bytes | None:
    try:
        return next(parts, None)
    finally:
        connection.close()
