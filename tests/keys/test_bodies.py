"""A body's time: one timer watches all, and cancels none but the late."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from keys.validation.bodies import BodyReader, BodyTooLarge, Receive

WITHIN_S = 0.05


def _after(*waits_s: float) -> Receive:
    """One byte after each wait; the last ends the body."""
    left = list(waits_s)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(left.pop(0))
        return {"type": "http.request", "body": b"x", "more_body": bool(left)}

    return receive


def _run(check: Callable[[BodyReader], Coroutine[Any, Any, None]]) -> None:
    async def with_reader() -> None:
        await check(BodyReader(WITHIN_S))

    asyncio.run(with_reader())


def test_a_late_body_fails_and_those_in_time_do_not() -> None:
    async def check(reader: BodyReader) -> None:
        bodies = [_after(0), _after(10), _after(0, 0.01), _after(0.04, 0.04)]
        read = [reader.read([], receive, at_most=9) for receive in bodies]
        in_time, late, in_parts, slow_in_parts = await asyncio.gather(*read, return_exceptions=True)
        assert (in_time, in_parts) == (b"x", b"xx")
        assert isinstance(late, TimeoutError)
        assert isinstance(slow_in_parts, TimeoutError)  # the time is the whole body's, not each part's

    _run(check)


def test_the_timer_goes_on_for_those_that_come_later() -> None:
    async def check(reader: BodyReader) -> None:
        for _ in range(2):
            first = asyncio.create_task(reader.read([], _after(10), at_most=9))
            await asyncio.sleep(WITHIN_S / 2)
            second = asyncio.create_task(reader.read([], _after(10), at_most=9))
            results = await asyncio.gather(first, second, return_exceptions=True)
            assert [type(result) for result in results] == [TimeoutError, TimeoutError]

    _run(check)


def test_who_was_late_goes_on_uncancelled() -> None:
    async def check(reader: BodyReader) -> None:
        with pytest.raises(TimeoutError):
            await reader.read([], _after(10), at_most=9)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await reader.read([], _after(0), at_most=9) == b"x"

    _run(check)


def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def check(reader: BodyReader) -> None:
        reading = asyncio.create_task(reader.read([], _after(10), at_most=9))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    _run(check)


@pytest.mark.parametrize("headers", [[(b"content-length", b"2")], []])
def test_a_body_over_its_bound_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    async def check(reader: BodyReader) -> None:
        with pytest.raises(BodyTooLarge):
            await reader.read(headers, _after(0, 0), at_most=1)

    _run(check)
