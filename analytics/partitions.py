"""Which tables of analytics are partitioned, and for how long."""

from datetime import datetime

from keys.partitions import Partitions, Span

REQUEST_LOGS = Partitions("analytics_requestlog")
REQUEST_DETAILS = Partitions("analytics_requestdetail")
SPANS = Partitions("analytics_span")
APP_LOGS = Partitions("analytics_applog")
TRAFFIC_MINUTES = Partitions("analytics_trafficminute")
RESOURCE_MINUTES = Partitions("analytics_resourceminute")
TRAFFIC_QUARTERS = Partitions("analytics_trafficquarter", Span.MONTH)
TRAFFIC_QUARTER_TOTALS = Partitions("analytics_trafficquartertotal", Span.MONTH)
ENVIRONMENT_QUARTERS = Partitions("analytics_environmentquarter", Span.MONTH)

REQUESTS = (REQUEST_LOGS, REQUEST_DETAILS, SPANS, APP_LOGS)
MINUTES = (TRAFFIC_MINUTES, RESOURCE_MINUTES)
QUARTERS = (TRAFFIC_QUARTERS, TRAFFIC_QUARTER_TOTALS, ENVIRONMENT_QUARTERS)
ALL = (*REQUESTS, *MINUTES, *QUARTERS)


def make_ahead(now: datetime) -> int:
    """Today's and the next week's of all of them; how many it made."""
    return sum(partitions.make_ahead(now) for partitions in ALL)


def traffic_kept_since(now: datetime, *, months: int) -> datetime:
    """The oldest quarter hour that is kept: the start of the month that many months ago."""
    month = now.year * 12 + now.month - 1 - months
    return Span.MONTH.start_of(now).replace(year=month // 12, month=month % 12 + 1)
