"""How a change in SQL holds at once: its transaction names what validate must forget; on commit Redis forgets it."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.secrets import Bucket
from keys.events import head_name
from keys.models import PendingInvalidation
from keys.redis import client

SCRIPT = Path(__file__).with_name("invalidate.lua").read_text()
# Younger rows belong to a caller who is still at it.
RESEND_AFTER = timedelta(seconds=1)


class NotYetInForce(Exception):
    """The change is saved, but Redis could not be told: validate may go on as before until it can be (a task tries)."""


def api_key_name(account_id: int, digest: bytes) -> str:
    return f"{account_id}:k:{digest.hex()}"


def record_invalidation(*, bucket: Bucket, names: Sequence[str], **_: object) -> None:
    """Receiver of accounts.signals.changed. Must run in the changing transaction."""
    pending = PendingInvalidation.objects.create(bucket=bucket, names=list(names))
    transaction.on_commit(lambda: _invalidate_now(pending))


def resend_invalidations() -> int:
    """Sends what callers could not; returns how many. Errors: RedisError when Redis is still away."""
    left = PendingInvalidation.objects.filter(created_at__lt=timezone.now() - RESEND_AFTER).order_by("id")
    sent = 0
    for pending in left[:1000]:
        _send(pending)
        sent += 1
    return sent


def _invalidate_now(pending: PendingInvalidation) -> None:
    try:
        _send(pending)
    except RedisError as error:
        raise NotYetInForce("saved, not yet in force") from error


def _send(pending: PendingInvalidation) -> None:
    client().eval(SCRIPT, 1, head_name(Bucket(pending.bucket)), *pending.names)
    pending.delete()
