"""Consumers: what an app says of them, each word newest by the report's own time; and when they called."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.backends.utils import CursorWrapper

from analytics.models import Consumer
from analytics.observations import ConsumerTold
from analytics.rollup.columns import columns
from analytics.rollup.resolving import Ids

ATTRIBUTE_LIMIT: Final = "attribute_limit"
CONSUMER_LIMIT: Final = "consumer_limit"
# Of one consumer: its name, group and attributes, deleted ones among them, for it has to be known when they were.
WORDS_MAX: Final = 100
NAME, GROUP, ATTRIBUTE = "name", "group", "attribute:"
TOLD = """
UPDATE analytics_consumer AS kept
   SET name = g.name, group_id = g.group_id, attributes = g.attributes::jsonb, told_at = g.told_at::jsonb
  FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[])
    AS g (id, group_id, name, attributes, told_at)
 WHERE kept.id = g.id
"""
CALLED = """
UPDATE analytics_consumer AS kept
   SET first_request_at = least(kept.first_request_at, g.first_at),
       last_request_at = greatest(kept.last_request_at, g.last_at)
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS g (id, first_at, last_at)
 WHERE kept.id = g.id AND (kept.last_request_at IS NULL OR g.last_at > kept.last_request_at
                           OR g.first_at < kept.first_request_at)
"""


@dataclass(slots=True)
class Words:
    """What is known of a consumer, and of each word since when (ISO, to the microsecond). Empty is not there."""

    name: str = ""
    group: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    told_at: dict[str, str] = field(default_factory=dict)

    def learn(self, told: ConsumerTold) -> int:
        """In whichever order the same is told, it ends alike. Returns how many attributes found no room."""
        at = told.at.isoformat(timespec="microseconds")
        if told.name is not None and self._is_newer(NAME, at, told.name, self.name):
            self.name = told.name
        if told.group is not None and self._is_newer(GROUP, at, told.group, self.group):
            self.group = told.group
        return sum(not self._learn_attribute(key, value or "", at) for key, value in told.attributes.items())

    def _learn_attribute(self, key: str, value: str, at: str) -> bool:
        told_as = ATTRIBUTE + key
        if told_as not in self.told_at and len(self.told_at) >= WORDS_MAX:
            return False
        if self._is_newer(told_as, at, value, self.attributes.get(key, "")):
            self.attributes[key] = value
            if not value:
                del self.attributes[key]
        return True

    def _is_newer(self, told_as: str, at: str, value: str, kept: str) -> bool:
        """And if it is, that is noted. Of two words of one instant the greater stands, so that no order decides."""
        if (at, value) <= (self.told_at.get(told_as, ""), kept):
            return False
        self.told_at[told_as] = at
        return True


def update_told(cursor: CursorWrapper, told: Iterable[tuple[ConsumerTold, Counter[str]]], ids: Ids) -> None:
    """The Counter of each takes what of it was left out. The caller holds the app's turn."""
    known = [(word, ids.consumer_of(word.identifier), dropped) for word, dropped in told]
    rows = list(Consumer.objects.filter(pk__in={pk for _, pk, _ in known}).select_related("group")) if known else []
    words, before = {row.pk: _words(row) for row in rows}, {row.pk: _words(row) for row in rows}
    for word, pk, dropped in known:
        if pk:
            dropped[ATTRIBUTE_LIMIT] += words[pk].learn(word)
        else:
            dropped[CONSUMER_LIMIT] += 1
    groups = ids.groups | {row.group.name: row.group.pk for row in rows if row.group}
    _write_told(cursor, {pk: words[pk] for pk in sorted(words) if words[pk] != before[pk]}, groups)


def update_called(cursor: CursorWrapper, calls: Iterable[tuple[int, datetime]]) -> None:
    """Consumers (ids) and when they called. Rows that it tells nothing new are not written."""
    first: dict[int, datetime] = {}
    last: dict[int, datetime] = {}
    for pk, at in calls:
        if pk:
            first[pk] = min(first.get(pk, at), at)
            last[pk] = max(last.get(pk, at), at)
    if first:
        cursor.execute(CALLED, columns((pk, first[pk], last[pk]) for pk in sorted(first)))


def _words(row: Consumer) -> Words:
    return Words(row.name, row.group.name if row.group else "", dict(row.attributes), dict(row.told_at))


def _write_told(cursor: CursorWrapper, changed: dict[int, Words], groups: dict[str, int]) -> None:
    if changed:
        rows = ((pk, groups.get(words.group), *_texts(words)) for pk, words in changed.items())
        cursor.execute(TOLD, columns(rows))


def _texts(words: Words) -> tuple[str, str, str]:
    return words.name, json.dumps(words.attributes), json.dumps(words.told_at)
