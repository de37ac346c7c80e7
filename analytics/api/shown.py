"""How traffic is shown. Plain dictionaries: a page may hold a thousand."""

from datetime import datetime
from typing import Any

from analytics.traffic import PeriodSum


def instant(moment: datetime, *, timespec: str = "milliseconds") -> str:
    """Of an aware UTC time."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def period_sum(of: PeriodSum) -> dict[str, Any]:
    return {
        "period_start": instant(of.period.start, timespec="seconds"),
        "period_end": instant(of.period.end, timespec="seconds"),
        "requests": of.requests,
        "bytes_received": of.bytes_received,
        "bytes_sent": of.bytes_sent,
    }
