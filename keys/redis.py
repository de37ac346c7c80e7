"""The synchronous client for everything beside a decision: drains, invalidations, reading counters."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Protocol, cast

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

ANSWER_WITHIN_S = 2.0


Entry = tuple[str, Mapping[str, str]]


class Pipeline(AbstractContextManager["Pipeline"], Protocol):
    """Commands that leave together; their answers come from execute, in order."""

    def exists(self, name: str) -> object: ...
    def execute(self, *, raise_on_error: bool = True) -> list[Any]: ...
    def hget(self, name: str, key: str) -> object: ...
    def hgetall(self, name: str) -> object: ...
    def hmget(self, name: str, keys: Sequence[str]) -> object: ...
    def time(self) -> object: ...
    def xinfo_stream(self, name: str) -> object: ...
    def xlen(self, name: str) -> object: ...
    def xrange(self, name: str, min: str = "-", max: str = "+", count: int | None = None) -> object: ...  # noqa: A002


class TextRedis(Protocol):
    """What we use of redis-py, with the types that it has when answers are decoded."""

    def close(self) -> None: ...
    def eval(self, script: str, numkeys: int, *keys_and_args: str | int) -> Any: ...
    def eval_ro(self, script: str, numkeys: int, *keys_and_args: str | int) -> Any: ...
    def info(self, section: str) -> Mapping[str, Any]: ...
    def pipeline(self, *, transaction: bool) -> Pipeline: ...
    def scan_iter(self, match: str, count: int) -> Iterator[str]: ...
    def set(self, name: str, value: str, *, ex: int | None = None) -> object: ...
    def time(self) -> tuple[int, int]: ...
    def xlen(self, name: str) -> int: ...
    def xrange(self, name: str, min: str = "-", max: str = "+", count: int | None = None) -> list[Entry]: ...  # noqa: A002
    def xtrim(self, name: str, *, minid: str, approximate: bool) -> int: ...


@lru_cache(maxsize=1)
def client() -> TextRedis:
    """This process's client. A call is sent once: redis-py's own retries would charge a slow call again and again."""
    connected = redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        encoding_errors="backslashreplace",  # one event that is not UTF-8 must not stop a bucket's drain
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return cast(TextRedis, connected)
