"""How a whole list stands costs as much as one, and says of each what its own page says."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from keys.ledger.drain import drain_all
from keys.ledger.reading import redis_now
from keys.models import ApiKey
from keys.quotas import quota_of
from keys.standing import standing_of, standings_of
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.keys.adjustments import grant
from tests.queries import counting_queries
from tests.store_redis import StoreRedis


def test_each_of_a_list_stands_as_its_own_page_says(
    api: ApiClient, stores: StoreRedis, alice: Tenant, bob: Tenant
) -> None:
    gold, own = alice.plan(10, "week"), alice.plan(5, "day")
    users = [
        alice.user(gold),
        alice.user(gold, custom_start=timezone.now() - timedelta(days=40)),
        alice.user(),
        bob.user(),
    ]
    issued = [
        alice.key(user=users[0]),
        alice.key(user=users[0]),
        alice.key(user=users[1], plan=own),
        alice.key(user=users[2]),
        alice.key(),
    ]
    for key in (*issued, issued[0]):
        api.validate(alice, key.secret, cost=2)
    grant(users[0], 7)
    now, keys = redis_now(), [each.api_key for each in issued]
    rows: list[ApiKey | User] = [*keys, *users]
    standings = standings_of(rows, now=now)
    assert [each.spent for each in standings] == [6, 6, 2, 2, 2, 6, 0, 2, 0]
    assert [each.granted for each in standings] == [7, 7, 0, 0, 0, 7, 0, 0, 0]
    assert standings == [standing_of(row, now=now) for row in rows]
    assert [each.quota for each in standings] == [quota_of(row, now=now) for row in rows]
    drain_all(for_s=5)
    stores.delete(*stores.keys("*:c:*"))  # Redis has lost the counters: the ledger knows
    assert standings_of(rows, now=now) == standings


def test_a_list_costs_three_selects_however_long(alice: Tenant) -> None:
    keys = [alice.key(user=alice.user(alice.plan())).api_key for _ in range(12)]
    with counting_queries() as queries:
        standings_of(keys, now=redis_now())
    assert len(queries) == 3
