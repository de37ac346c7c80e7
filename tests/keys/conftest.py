import pytest

from tests.cast import Tenant
from tests.conftest import Decisions
from tests.decision_script import Script
from tests.store_redis import StoreRedis


@pytest.fixture
def script(stores: StoreRedis, alice: Tenant, decisions: Decisions) -> Script:
    """Of an open bucket that remembers nothing of the key it will be asked about."""
    decisions.decide(alice, "unknown")
    key = alice.key(plan=alice.plan(10, "day"))
    for name in stores.keys("*:a:*"):
        stores.delete(name)
    return Script(stores, alice, key)
