"""Traffic's statements: the journal by COPY, quarter hours by upsert, in the caller's transaction."""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from analytics.histograms import Histogram, pack
from analytics.rollup.columns import columns
from analytics.rollup.copying import copying
from analytics.rollup.merging import SUM_MAX, Amounts, Cell, Sums, of_all_endpoints

COPY_MINUTES = """
COPY analytics_trafficminute (app_id, minute, environment_id, endpoint_id, status_code, consumer_id, source, requests,
                              bytes_received, bytes_sent, durations, request_sizes, response_sizes) FROM STDIN
"""
ADD = """requests = kept.requests + excluded.requests,
       bytes_received = kept.bytes_received + excluded.bytes_received,
       bytes_sent = kept.bytes_sent + excluded.bytes_sent,
       durations = analytics_merge_histograms(kept.durations, excluded.durations)"""
UPSERT_QUARTERS = f"""
WITH given AS (
  SELECT * FROM unnest(%s::timestamptz[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::smallint[],
                       %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
    AS g (quarter, environment_id, endpoint_id, status_code, consumer_id, source, requests, received, sent, durations))
INSERT INTO analytics_trafficquarter AS kept (app_id, quarter, environment_id, endpoint_id, status_code, consumer_id,
                                              source, requests, bytes_received, bytes_sent, durations)
SELECT %s, quarter, environment_id, endpoint_id, status_code, consumer_id, source, requests, received, sent,
       durations::bigint[] FROM given
ON CONFLICT (app_id, quarter, environment_id, endpoint_id, status_code, consumer_id, source) DO UPDATE
   SET {ADD}
"""  # noqa: S608  # constants alone
UPSERT_TOTALS = f"""
WITH given AS (
  SELECT * FROM unnest(%s::timestamptz[], %s::bigint[], %s::bigint[], %s::smallint[], %s::smallint[], %s::bigint[],
                       %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[])
    AS g (quarter, environment_id, endpoint_id, status_code, source, requests, received, sent, durations,
          request_sizes, response_sizes))
INSERT INTO analytics_trafficquartertotal AS kept (app_id, quarter, environment_id, endpoint_id, status_code, source,
                                                   requests, bytes_received, bytes_sent, durations, request_sizes,
                                                   response_sizes)
SELECT %s, quarter, environment_id, endpoint_id, status_code, source, requests, received, sent, durations::bigint[],
       request_sizes::bigint[], response_sizes::bigint[] FROM given
ON CONFLICT (app_id, quarter, environment_id, endpoint_id, status_code, source) DO UPDATE
   SET {ADD},
       request_sizes = analytics_merge_histograms(kept.request_sizes, excluded.request_sizes),
       response_sizes = analytics_merge_histograms(kept.response_sizes, excluded.response_sizes)
"""  # noqa: S608  # constants alone
# A sum that hostile reports drive beyond a bigint stays at its highest value.
ADD_SATURATED = f"""requests = least(kept.requests::numeric + excluded.requests, {SUM_MAX}),
       bytes_received = least(kept.bytes_received::numeric + excluded.bytes_received, {SUM_MAX}),
       bytes_sent = least(kept.bytes_sent::numeric + excluded.bytes_sent, {SUM_MAX})"""
UPSERT_ENVIRONMENTS = f"""
WITH given AS (
  SELECT * FROM unnest(%s::timestamptz[], %s::bigint[], %s::smallint[], %s::smallint[], %s::bigint[], %s::bigint[],
                       %s::bigint[], %s::text[])
    AS g (quarter, environment_id, status_class, source, requests, received, sent, durations))
INSERT INTO analytics_environmentquarter AS kept (app_id, quarter, environment_id, status_class, source, requests,
                                                  bytes_received, bytes_sent, durations)
SELECT %s, quarter, environment_id, status_class, source, requests, received, sent, durations::bigint[] FROM given
ON CONFLICT (app_id, quarter, environment_id, status_class, source) DO UPDATE
   SET {ADD_SATURATED},
       durations = analytics_merge_histograms(kept.durations, excluded.durations)
"""  # noqa: S608  # constants alone


class _Packed(dict[int, str]):
    """Histograms as arrays' text, by identity: a minute's is often its quarter hour's and total's too."""

    def of(self, histogram: Histogram | None) -> str:
        if histogram is None:
            return "{}"
        if id(histogram) not in self:
            self[id(histogram)] = "{" + ",".join(map(str, pack(histogram))) + "}"
        return self[id(histogram)]


def write(cursor: CursorWrapper, app_id: int, *, minutes: Sums, quarters: Sums, totals: Sums) -> None:
    """All of one batch, each in the order of its table's key."""
    if not minutes:
        return
    packed = _Packed()
    with copying(cursor, COPY_MINUTES) as copy:
        for cell, sums in minutes.items():
            copy.write_row((app_id, cell.start.isoformat(), *cell[1:], *_amounts(sums), *_histograms(sums, packed)))
    rows: Iterator[tuple[object, ...]]
    rows = ((*cell, *_amounts(sums), packed.of(sums.durations)) for cell, sums in quarters.items())
    cursor.execute(UPSERT_QUARTERS, [*columns(rows), app_id])
    rows = ((*_without_consumer(cell), *_amounts(sums), *_histograms(sums, packed)) for cell, sums in totals.items())
    cursor.execute(UPSERT_TOTALS, [*columns(rows), app_id])
    rows = (_of_environment(cell, sums, packed) for cell, sums in of_all_endpoints(totals).items())
    cursor.execute(UPSERT_ENVIRONMENTS, [*columns(rows), app_id])


def _amounts(sums: Amounts) -> tuple[int, int, int]:
    return sums.requests, sums.bytes_received, sums.bytes_sent


def _histograms(sums: Amounts, packed: _Packed) -> tuple[str, str, str]:
    return packed.of(sums.durations), packed.of(sums.request_sizes), packed.of(sums.response_sizes)


def _without_consumer(cell: Cell) -> tuple[object, ...]:
    return cell.start, cell.environment_id, cell.endpoint_id, cell.status_code, cell.source


def _of_environment(cell: Cell, sums: Amounts, packed: _Packed) -> tuple[object, ...]:
    amounts = (min(amount, SUM_MAX) for amount in _amounts(sums))
    return cell.start, cell.environment_id, cell.status_code, cell.source, *amounts, packed.of(sums.durations)
