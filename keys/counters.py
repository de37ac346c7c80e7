"""What windows have spent and been granted, of one or of a whole list: their counters, else what the ledger adds up to.

A counter counts only where it is of its bucket's life (DESIGN 5a); the ledger is complete where none does.
"""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from django.db import connection

from accounts.models import Account
from accounts.secrets import Bucket
from keys.events import counter_name, head_name
from keys.models import AdjustmentKind
from keys.redis import client
from keys.subjects import Subject
from plans.windows import Window

WANTED = """
unnest(%s::bigint[], %s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
  WITH ORDINALITY AS wanted (of_account, of_kind, of_subject, first, last, nth)
"""
IS_WANTED = """
account_id = of_account AND subject_kind = of_kind AND subject_id = of_subject AND "end" = last AND start = first
"""
UNITS = f"""
SELECT nth, sum(units_allowed + units_adjusted)::bigint
  FROM {WANTED} JOIN keys_usagewindow ON {IS_WANTED} GROUP BY nth
"""  # noqa: S608  # constants alone
GRANTS = f"""
SELECT nth, -sum(amount)::bigint
  FROM {WANTED} JOIN keys_adjustment ON {IS_WANTED} AND kind <> '{AdjustmentKind.RESET.value}' GROUP BY nth
"""  # noqa: S608  # constants alone


class Counted(NamedTuple):
    """One window of one account's subject."""

    account: Account
    subject: Subject
    window: Window


class Sums(NamedTuple):
    """`net` is what was spent less what staff granted or reset; `granted` is what they granted of it."""

    net: int
    granted: int


class _Told(NamedTuple):
    """By a counter of this life; `granted` is None where nothing was adjusted in this life."""

    net: int
    granted: int | None


def net_units(asked: Collection[Counted]) -> dict[Counted, int]:
    """One round trip, and one SELECT where a counter is absent."""
    told = _told_by_counters(asked)
    filed = filed_units([each for each in asked if each not in told])
    return {each: told[each].net if each in told else filed[each] for each in asked}


def sums_of(asked: Collection[Counted]) -> dict[Counted, Sums]:
    """Of one reading of each counter both its sums; else both of the ledger. One round trip, at most two SELECTs."""
    told = _told_by_counters(asked)
    units = filed_units([each for each in asked if each not in told])
    granted = {each: of.granted for each, of in told.items() if of.granted is not None}
    granted |= filed_grants([each for each in asked if each not in granted])
    return {each: Sums(told[each].net if each in told else units[each], granted.get(each, 0)) for each in asked}


def filed_units(asked: Collection[Counted]) -> Counter[Counted]:
    """The ledger's sum of each window, adjustments included. One SELECT, none for none."""
    return _filed(UNITS, list(asked))


def filed_grants(asked: Collection[Counted]) -> Counter[Counted]:
    """What the ledger knows to have been granted and not taken back: all of it, where no counter of this life says
    otherwise. One SELECT, none for none."""
    return _filed(GRANTS, list(asked))


def _told_by_counters(asked: Collection[Counted]) -> dict[Counted, _Told]:
    with client().pipeline(transaction=True) as pipeline:
        for account, subject, window in asked:
            bucket = Bucket(account.bucket)
            pipeline.hget(head_name(bucket), "life")
            pipeline.hgetall(counter_name(bucket, account.pk, subject, window.start, window.end))
        answers = pipeline.execute()
    told = {}
    for each, life, counter in zip(asked, answers[::2], answers[1::2], strict=True):
        if life is not None and counter.get("life") == life:
            granted = counter.get(f"granted:{life}")
            told[each] = _Told(int(counter["used"]), None if granted is None else int(granted))
    return told


def _filed(sql: str, asked: list[Counted]) -> Counter[Counted]:
    filed: Counter[Counted] = Counter()
    if not asked:
        return filed
    wanted = (
        [each.account.pk for each in asked],
        [each.subject.kind.value for each in asked],
        [each.subject.id for each in asked],
        [each.window.start for each in asked],
        [each.window.end for each in asked],
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, wanted)
        filed.update({asked[nth - 1]: units for nth, units in cursor.fetchall()})
    return filed
