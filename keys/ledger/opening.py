"""Opening a bucket: what lets a Redis server that was (re)started, restored or emptied decide again."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from django.db import transaction
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from accounts.secrets import Bucket
from keys.events import head_name, stream_name
from keys.models import StreamPosition
from keys.redis import client

SCRIPT = Path(__file__).with_name("open.lua").read_text()
LOCK_POSITION = "SELECT last_id FROM keys_streamposition WHERE bucket = %s FOR UPDATE"


async def open_bucket(
    database: AsyncConnection[TupleRow], redis: Callable[..., Awaitable[Any]], bucket: Bucket, *, run: str
) -> str:
    """Needed once a bucket after any start of Redis; harmless at any other time. Waits for a drain under way.

    Returns 'already', 'whole' (the counters go on) or 'behind' (they begin again, from the ledger).
    """
    async with database.transaction():
        row = await (await database.execute(LOCK_POSITION, [bucket])).fetchone()
        if row is None:
            raise LookupError(f"no StreamPosition of bucket {bucket}: run `manage.py migrate`")
        names = (head_name(bucket), stream_name(bucket))
        found = await redis("EVAL", SCRIPT, 2, *names, run, row[0], secrets.token_hex(8))
    return str(found.decode())


def open_bucket_for_staff(bucket: Bucket, *, run: str) -> None:
    """The same, through Django's connection and the synchronous client."""
    with transaction.atomic():
        position = StreamPosition.objects.select_for_update().get(bucket=bucket)
        names = (head_name(bucket), stream_name(bucket))
        client().eval(SCRIPT, 2, *names, run, position.last_id, secrets.token_hex(8))
