"""The quotas of a whole list cost as much as one, and say of each what its own page says."""

from datetime import timedelta

from django.utils import timezone

from keys.ledger.drain import drain_all
from keys.ledger.reading import redis_now
from keys.quotas import quotas_of_keys, quotas_of_users
from keys.usage import quota_of_key, quota_of_user
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries
from tests.store_redis import StoreRedis


def test_each_quota_of_a_list_is_that_of_its_own_page(
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
    now, keys = redis_now(), [each.api_key for each in issued]
    of_keys, of_users = quotas_of_keys(keys, now=now), quotas_of_users(users, now=now)
    assert [of_keys[key.pk].used for key in keys] == [6, 6, 2, 2, 2]
    assert of_keys == {key.pk: quota_of_key(key, now=now) for key in keys}
    assert of_users == {user.pk: quota_of_user(user, now=now) for user in users}
    drain_all(for_s=5)
    stores.delete(*stores.keys("*:c:*"))  # Redis has lost the counters: the ledger knows
    assert quotas_of_keys(keys, now=now) == of_keys
    assert quotas_of_users(users, now=now) == of_users


def test_a_list_costs_two_selects_however_long(alice: Tenant) -> None:
    keys = [alice.key(user=alice.user(alice.plan())).api_key for _ in range(12)]
    with counting_queries() as queries:
        quotas_of_keys(keys, now=redis_now())
    assert len(queries) == 2
