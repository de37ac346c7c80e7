"""What startups say of endpoints: the newest one that says anything of an endpoint is believed."""

from collections.abc import Iterable
from datetime import datetime

from django.db.backends.utils import CursorWrapper

from analytics.observations import EndpointTold, Startup
from analytics.rollup.columns import columns
from analytics.rollup.resolving import Ids

# Of two of the same instant the greater stands, so that no order decides.
UPDATE = """
UPDATE analytics_endpoint AS kept SET told_at = g.at, summary = g.summary, description = g.description
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[]) AS g (id, at, summary, description)
 WHERE kept.id = g.id
   AND (kept.told_at IS NULL OR (g.at, g.summary, g.description) > (kept.told_at, kept.summary, kept.description))
"""
Word = tuple[datetime, str, str]


def update(cursor: CursorWrapper, startups: Iterable[Startup], ids: Ids) -> None:
    words: dict[int, Word] = {}
    for startup in startups:
        for endpoint in startup.endpoints:
            if endpoint.summary or endpoint.description:
                pk, word = ids.endpoint_of(endpoint.method, endpoint.path), _word(startup.at, endpoint)
                words[pk] = max(word, words.get(pk, word))
    if words:
        cursor.execute(UPDATE, columns((pk, *word) for pk, word in sorted(words.items())))


def _word(at: datetime, endpoint: EndpointTold) -> Word:
    return at, endpoint.summary, endpoint.description
