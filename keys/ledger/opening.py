"""Opening a bucket: what lets a Redis server that was (re)started, restored or emptied decide again."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from accounts.secrets import Bucket
from keys.events import head_name, stream_name
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


def open_bucket_now(bucket: Bucket, *, run: str) -> None:
    """The same without an event loop; the position is locked where the bucket is not open already."""
    with client().pipeline(transaction=False) as pipeline:
        pipeline.hget(head_name(bucket), "run")
        if pipeline.execute() == [run]:
            return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK_POSITION, [bucket])
        row = cursor.fetchone()
        if row is None:
            raise LookupError(f"no StreamPosition of bucket {bucket}: run `manage.py migrate`")
        client().eval(SCRIPT, 2, head_name(bucket), stream_name(bucket), run, row[0], secrets.token_hex(8))
