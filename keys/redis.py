"""The synchronous client for everything beside a decision: drains, invalidations, reading counters."""

from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

ANSWER_WITHIN_S = 2.0


@lru_cache(maxsize=1)
def client() -> "redis.Redis[str]":
    """This process's client. A call is sent once: redis-py's own retries would charge a slow call again and again."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        encoding_errors="backslashreplace",  # one event that is not UTF-8 must not stop a bucket's drain
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
