"""What was decided of requests that others tell of, by their place in the ledger: why, of which key and whose."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from accounts.models import Account, User
from keys.models import ApiKey, Outcome

# A look-up for each place: a join might take the account's days as a whole for the smaller side.
DECIDED = """
SELECT place.id, d.outcome, d.api_key_id, d.user_id
  FROM unnest(%s::timestamptz[], %s::uuid[]) AS place (at, id) CROSS JOIN LATERAL (
       SELECT outcome, api_key_id, user_id FROM keys_decision
        WHERE account_id = %s AND at = place.at AND id = place.id LIMIT 1) AS d
"""


class Decided(NamedTuple):
    """`user` is whose call it was then, deleted or not; None where the key was nobody's."""

    outcome: Outcome
    api_key: ApiKey | None
    user: User | None

    @property
    def reason(self) -> str:
        return self.outcome.name.lower()

    @property
    def words(self) -> str:
        return self.reason.replace("_", " ")


def decided(account: Account, places: Iterable[tuple[datetime, UUID]]) -> dict[UUID, Decided]:
    """By id, those that are decisions of this account's and still kept. Three SELECTs at most, by keys."""
    times_by_id = {id_: at for at, id_ in places}
    if not times_by_id:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(DECIDED, [list(times_by_id.values()), list(times_by_id), account.pk])
        found = cursor.fetchall()
    if not found:
        return {}
    api_keys = ApiKey.objects.filter(account=account).in_bulk({api_key_id for _, _, api_key_id, _ in found})
    users = User.objects.filter(account=account).in_bulk({user_id for _, _, _, user_id in found if user_id})
    return {
        id_: Decided(Outcome(outcome), api_keys.get(api_key_id), users.get(user_id) if user_id else None)
        for id_, outcome, api_key_id, user_id in found
    }
