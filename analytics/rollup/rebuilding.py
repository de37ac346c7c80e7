"""Quarter hours reckoned anew from the journal that bears them: by app and day, so that filing waits but a moment."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction

from analytics.models import App
from analytics.partitions import QUARTERS, TRAFFIC_MINUTES
from analytics.rollup.locking import wait_for_turn
from analytics.rollup.merging import SUM_MAX
from analytics.rollup.retention import newest_told, oldest_kept_minute
from keys.partitions import DAY, Span

# Whoever drops a partition locks the table against everybody: from here to the end of the transaction nobody does.
HOLD = "LOCK TABLE ONLY analytics_trafficminute IN ACCESS SHARE MODE"
CLEAR = "DELETE FROM {table} WHERE app_id = %(app)s AND quarter >= %(start)s AND quarter < %(end)s"
SUMS = """sum(requests)::bigint, sum(bytes_received)::bigint, sum(bytes_sent)::bigint,
       analytics_sum_histograms(durations)"""
OF_THE_DAY = "FROM analytics_trafficminute WHERE app_id = %(app)s AND minute >= %(start)s AND minute < %(end)s"
QUARTER = "date_bin('15 minutes', minute, 'epoch')"
SUM_QUARTERS = f"""
INSERT INTO analytics_trafficquarter (app_id, quarter, environment_id, endpoint_id, status_code, consumer_id, source,
                                      requests, bytes_received, bytes_sent, durations)
SELECT app_id, {QUARTER}, environment_id, endpoint_id, status_code, consumer_id, source, {SUMS}
  {OF_THE_DAY} GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
SUM_TOTALS = f"""
INSERT INTO analytics_trafficquartertotal (app_id, quarter, environment_id, endpoint_id, status_code, source,
                                           requests, bytes_received, bytes_sent, durations, request_sizes,
                                           response_sizes)
SELECT app_id, {QUARTER}, environment_id, endpoint_id, status_code, source, {SUMS},
       analytics_sum_histograms(request_sizes), analytics_sum_histograms(response_sizes)
  {OF_THE_DAY} GROUP BY 1, 2, 3, 4, 5, 6
"""
SUM_ENVIRONMENTS = f"""
INSERT INTO analytics_environmentquarter (app_id, quarter, environment_id, status_class, source, requests,
                                          bytes_received, bytes_sent, durations)
SELECT app_id, quarter, environment_id, status_code / 100, source, least(sum(requests), {SUM_MAX})::bigint,
       least(sum(bytes_received), {SUM_MAX})::bigint, least(sum(bytes_sent), {SUM_MAX})::bigint,
       analytics_sum_histograms(durations)
  FROM analytics_trafficquartertotal WHERE app_id = %(app)s AND quarter >= %(start)s AND quarter < %(end)s
 GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608  # constants alone
TABLES = {  # in this order: the last is summed up from the totals
    "analytics_trafficquarter": SUM_QUARTERS,
    "analytics_trafficquartertotal": SUM_TOTALS,
    "analytics_environmentquarter": SUM_ENVIRONMENTS,
}


class AppDay(NamedTuple):
    app_id: int
    day: datetime


def app_days(now: datetime) -> list[AppDay]:
    """Of every app the days whose journal is whole: those that retention keeps, up to tomorrow."""
    since, newest = TRAFFIC_MINUTES.kept_since(), newest_told()
    if since is None:
        return []
    first = max(since, Span.DAY.start_of(oldest_kept_minute(min(now, newest or now))))
    days = [first + number * DAY for number in range((now + DAY - first).days + 1)]
    return [AppDay(app_id, day) for app_id in App.objects.order_by("pk").values_list("pk", flat=True) for day in days]


def rebuild_traffic(days: Iterable[AppDay]) -> int:
    """How many rows of quarter hours it wrote. What is older, whose journal is no longer kept, stays as it is."""
    return sum(rebuild_day(*each) for each in days)


def rebuild_day(app_id: int, day: datetime) -> int:
    """How many rows it wrote; what is filed of the app waits meanwhile.

    A day whose journal was dropped since it was chosen is left as it is.
    """
    for partitions in QUARTERS:
        partitions.make(partitions.lacking_of([day]))
    given: dict[str, int | datetime] = {"app": app_id, "start": day, "end": day + DAY}
    written = 0
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        wait_for_turn(cursor, app_id)
        cursor.execute(HOLD)
        if TRAFFIC_MINUTES.lacking_of([day]):
            return 0
        for table, insert in TABLES.items():
            cursor.execute(CLEAR.format(table=table), given)
            cursor.execute(insert, given)
            written += cursor.rowcount
    return written
