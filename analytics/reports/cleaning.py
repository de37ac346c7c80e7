"""How what SDKs send becomes what may be kept: texts without NUL and half surrogates, times within bounds, slugs."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics.observations import BadReport

TOO_LATE: Final = "too_late"
LATEST_AGE: Final = timedelta(hours=48)
AHEAD_AT_MOST: Final = timedelta(minutes=10)
ENVIRONMENT_LENGTH: Final = 32
DEFAULT_ENVIRONMENT: Final = "prod"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What PostgreSQL's text cannot hold.
UNCLEAN = re.compile("[\x00\ud800-\udfff]")


def clean(text: str, at_most: int) -> str:
    """At most so many characters, what cannot be kept replaced by U+FFFD."""
    text = text[:at_most]
    return text if text.isascii() and "\0" not in text else UNCLEAN.sub("\ufffd", text)


def slug(environment: str) -> str:
    """1 to 32 of [a-z0-9-_] in lower case; `prod` where nothing of it is left. Alike in both generations."""
    kept = re.sub(r"[^a-z0-9_-]+", "-", environment.strip().lower())[:ENVIRONMENT_LENGTH].strip("-")
    return kept or DEFAULT_ENVIRONMENT


def moment(seconds: float, received_at: datetime) -> datetime | None:
    """A time by the reporter's clock: of receipt when over 10 minutes ahead of it, None when over 48 hours old."""
    try:
        at = EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # infinite, or not a number
        return None if not seconds > 0 else received_at
    if at > received_at + AHEAD_AT_MOST:
        return received_at
    return None if at < received_at - LATEST_AGE else at


def moment_ns(nanoseconds: int, received_at: datetime) -> datetime | None:
    """The same of nanoseconds; exact to the microsecond."""
    if nanoseconds >= 2**63:
        return received_at
    at = EPOCH + timedelta(microseconds=nanoseconds // 1000)
    if at > received_at + AHEAD_AT_MOST:
        return received_at
    return None if at < received_at - LATEST_AGE else at


def require_moment(seconds: float, received_at: datetime) -> datetime:
    """Of a report as a whole. Errors: BadReport too_late."""
    at = moment(seconds, received_at)
    if at is None:
        raise BadReport(TOO_LATE, "by its own time it is over 48 hours old")
    return at
