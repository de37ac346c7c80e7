"""A trace tells what validate is about to answer, in every case of its contract, and leaves nothing behind."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts import services as accounts
from accounts.secrets import digest_of
from keys import services as keys
from keys.desk.trace_steps import State, Subject, steps_of
from keys.ledger.drain import drain_all
from keys.models import ApiKey, ApiKeySecret, ApiKeyStatus, Decision, UsageHour, UsageWindow
from keys.tracing import Caller, Trace, trace
from keys.validation import replies
from plans import services as plans
from plans.models import MAX_REQUESTS
from tests.cast import BY, Tenant, new_tenant
from tests.conftest import ApiClient
from tests.store_redis import StoreRedis

HOUR = timedelta(hours=1)


def _trace(tenant: Tenant, secret: str, *, cost: int = 1, stream_max: int = settings.LIMITLY_STREAM_MAX) -> Trace:
    caller = Caller(tenant.account, tenant.access_key)
    return trace(caller, digest_of(secret), stream_max=stream_max, cost=cost)


def _answer(traced: Trace) -> tuple[int, object]:
    return traced.answer.status, json.loads(traced.answer.body)


def _left_behind(stores: StoreRedis) -> object:
    """All that a call could have changed, the keys' times of last use included."""
    rows = [list(model.objects.order_by("pk").values()) for model in (Decision, UsageWindow, UsageHour)]
    used = list(ApiKey.objects.order_by("pk").values_list("pk", "last_used_at"))
    return {name: stores.dump(name) for name in stores.keys("*") if not name.endswith(":head")}, rows, used


def _allowed(api: ApiClient, alice: Tenant) -> str:
    return alice.key(user=alice.user(alice.plan(5))).secret


def _without_plan(api: ApiClient, alice: Tenant) -> str:
    return alice.key(user=alice.user()).secret


def _unlimited(api: ApiClient, alice: Tenant) -> str:
    return alice.key(plan=alice.plan(-1, "year", "Gold “€ ½”")).secret


def _with_the_largest_limit(api: ApiClient, alice: Tenant) -> str:
    secret = alice.key(user=alice.user(alice.plan(MAX_REQUESTS, "week"))).secret
    for _ in range(3):
        api.validate(alice, secret, cost=1_000_000)
    return secret


def _over_the_quota(api: ApiClient, alice: Tenant) -> str:
    secret = alice.key(plan=alice.plan(1)).secret
    api.validate(alice, secret)
    return secret


def _over_an_anchored_quota(api: ApiClient, alice: Tenant) -> str:
    user = alice.user(alice.plan(1, "day"), custom_start=timezone.now() - 5 * HOUR)
    secret = alice.key(user=user).secret
    api.validate(alice, secret)
    return secret


def _unknown(api: ApiClient, alice: Tenant) -> str:
    return "lk_user_" + "0" * 32


def _deleted(api: ApiClient, alice: Tenant) -> str:
    issued = alice.key()
    keys.delete_api_key(issued.api_key, by=BY, now=timezone.now())
    return issued.secret


def _a_neighbours(api: ApiClient, alice: Tenant) -> str:
    return new_tenant("Bob").key().secret


def _after_its_overlap(api: ApiClient, alice: Tenant) -> str:
    issued = alice.key()
    keys.regenerate_api_key(issued.api_key, by=BY, now=timezone.now() - 2 * HOUR, overlap=HOUR)
    return issued.secret


def _inactive(api: ApiClient, alice: Tenant) -> str:
    issued = alice.key()
    keys.update_api_key(issued.api_key, by=BY, status=ApiKeyStatus.INACTIVE)
    return issued.secret


def _expired(api: ApiClient, alice: Tenant) -> str:
    issued = alice.key()
    keys.update_api_key(issued.api_key, by=BY, expires_at=timezone.now() - HOUR)
    return issued.secret


def _of_a_disabled_user(api: ApiClient, alice: Tenant) -> str:
    user = alice.user(alice.plan(0))
    plans.update_user(user, by=BY, is_disabled=True)
    return alice.key(user=user).secret


def _by_a_revoked_access_key(api: ApiClient, alice: Tenant) -> str:
    accounts.revoke_access_key(alice.access_key, by=BY, now=timezone.now())
    return alice.key().secret


def _by_an_expired_access_key(api: ApiClient, alice: Tenant) -> str:
    accounts.update_access_key(alice.access_key, by=BY, expires_at=timezone.now() - HOUR)
    return alice.key().secret


def _by_an_access_key_without_the_scope(api: ApiClient, alice: Tenant) -> str:
    accounts.update_access_key(alice.access_key, by=BY, scopes=["analytics"])
    return alice.key().secret


def _beyond_the_minute(api: ApiClient, alice: Tenant) -> str:
    accounts.update_access_key(alice.access_key, by=BY, requests_per_minute=0)
    return alice.key().secret


CASES = [
    (_allowed, 200), (_without_plan, 200), (_unlimited, 200), (_with_the_largest_limit, 200), (_over_the_quota, 200),
    (_over_an_anchored_quota, 200), (_unknown, 404), (_deleted, 404), (_a_neighbours, 404), (_after_its_overlap, 404),
    (_inactive, 403), (_expired, 403), (_of_a_disabled_user, 403), (_by_a_revoked_access_key, 401),
    (_by_an_expired_access_key, 401), (_by_an_access_key_without_the_scope, 403), (_beyond_the_minute, 429),
]  # fmt: skip


FAILED_STEP: dict[Callable[[ApiClient, Tenant], str], list[str]] = {
    _over_the_quota: ["Is what is used, with this call, within the limit?"],
    _over_an_anchored_quota: ["Is what is used, with this call, within the limit?"],
    _unknown: ["Is the API key known?"],
    _deleted: ["Is the API key known?"],
    _a_neighbours: ["Is it of the access key's account?"],
    _after_its_overlap: ["Is this secret still in force?"],
    _inactive: ["Is the key active?"],
    _expired: ["Has it not expired?"],
    _of_a_disabled_user: ["Is its user enabled?"],
    _by_a_revoked_access_key: ["Is the access key known, and neither revoked nor expired?"],
    _by_an_expired_access_key: ["Is the access key known, and neither revoked nor expired?"],
    _by_an_access_key_without_the_scope: ["Does it allow validating?"],
    _beyond_the_minute: ["Has its minute room for this call?"],
}


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("arrange", "status"), CASES, ids=[case.__name__[1:] for case, _ in CASES])
def test_a_trace_is_what_validate_answers_a_moment_later(
    api: ApiClient,
    stores: StoreRedis,
    alice: Tenant,
    arrange: Callable[[ApiClient, Tenant], str],
    status: int,
    is_warm: bool,
) -> None:
    secret = arrange(api, alice)
    if is_warm:
        api.validate(alice, secret, dry_run=True)
        drain_all(for_s=5)
    before = _left_behind(stores)
    traced = _trace(alice, secret)
    assert _left_behind(stores) == before
    answered = api.validate(alice, secret)
    assert _answer(traced) == (answered.status_code, answered.json())
    assert answered.status_code == status
    assert traced.answer_in_force is None


@pytest.mark.parametrize("cost", [0, 1, 2, 3, 1_000_000])
def test_a_call_of_any_cost_is_traced(api: ApiClient, alice: Tenant, cost: int) -> None:
    secret = alice.key(plan=alice.plan(3)).secret
    api.validate(alice, secret)
    traced = _trace(alice, secret, cost=cost)
    answered = api.validate(alice, secret, cost=cost)
    assert _answer(traced) == (200, answered.json())
    assert answered.json()["success"] is (cost <= 2)


def test_a_trace_leaves_the_minute_of_its_access_key_alone(api: ApiClient) -> None:
    carol = new_tenant("Carol", requests_per_minute=2)
    secret = carol.key().secret
    minutes = [_trace(carol, secret).minute_used for _ in range(4)]
    assert minutes == [0, 0, 0, 0]
    api.validate(carol, secret)
    assert _trace(carol, secret).answer.status == 200
    assert api.validate(carol, secret).status_code == 200
    assert (_trace(carol, secret).answer.status, api.validate(carol, secret).status_code) == (429, 429)


def test_without_an_access_key_the_rest_is_decided_all_the_same(api: ApiClient, alice: Tenant) -> None:
    secret = _over_the_quota(api, alice)
    accounts.revoke_access_key(alice.access_key, by=BY, now=timezone.now())
    traced = trace(Caller(alice.account), digest_of(secret), stream_max=1000)
    assert json.loads(traced.answer.body)["error"] == "Rate limit exceeded"
    assert traced.counter_used == 1


def test_what_is_saved_and_not_yet_in_force_is_told_apart(api: ApiClient, alice: Tenant) -> None:
    issued = alice.key(user=alice.user(alice.plan(5)))
    api.validate(alice, issued.secret)
    ApiKey.objects.filter(pk=issued.api_key.pk).update(status=ApiKeyStatus.INACTIVE)  # and Redis is told nothing
    traced = _trace(alice, issued.secret)
    assert (traced.from_redis, traced.answer.status) == (True, 200)
    assert traced.answer_in_force is not None
    assert json.loads(traced.answer_in_force.body)["code"] == "API_KEY_DISABLED"
    assert traced.facts.key is not None
    assert traced.saved.key is not None
    assert (traced.facts.key.is_active, traced.saved.key.is_active) == (True, False)


def test_what_a_trace_read_is_where_the_answer_came_from(api: ApiClient, alice: Tenant) -> None:
    secret = alice.key(user=alice.user(alice.plan(5))).secret
    assert _trace(alice, secret).from_redis is False
    api.validate(alice, secret)
    warm = _trace(alice, secret)
    assert (warm.from_redis, warm.counter_used, warm.ledger_used) == (True, 1, 0)
    drain_all(for_s=5)
    assert _trace(alice, secret).ledger_used == 1


def test_after_redis_lost_everything_a_trace_still_is_what_validate_answers(
    api: ApiClient, stores: StoreRedis, alice: Tenant
) -> None:
    secret = _over_the_quota(api, alice)
    drain_all(for_s=5)
    stores.flushdb()
    traced = _trace(alice, secret)
    assert traced.answer_in_force is None
    assert _answer(traced) == (200, api.validate(alice, secret).json())


def test_a_full_record_of_decisions_is_503(api: ApiClient, alice: Tenant) -> None:
    secret = alice.key().secret
    api.validate(alice, secret)
    traced = _trace(alice, secret, stream_max=1)
    assert (traced.decision, traced.answer) == (None, replies.UNAVAILABLE)
    assert _trace(alice, secret, stream_max=2).answer.status == 200


@pytest.mark.parametrize(("arrange", "status"), CASES, ids=[case.__name__[1:] for case, _ in CASES])
def test_every_refusal_is_explained_by_exactly_one_failed_step(
    api: ApiClient, alice: Tenant, arrange: Callable[[ApiClient, Tenant], str], status: int
) -> None:
    secret = arrange(api, alice)
    alice.access_key.refresh_from_db()
    known = ApiKeySecret.objects.select_related("api_key").filter(digest=digest_of(secret)).first()
    subject = Subject(known, known.api_key if known else None, access_key=alice.access_key)
    traced = _trace(alice, secret)
    steps = steps_of(traced, subject, cost=1)
    states = [step.state for step in steps]
    is_allowed = json.loads(traced.answer.body)["success"]
    assert [step.question for step in steps if step.state is State.FAILED] == FAILED_STEP.get(arrange, [])
    assert is_allowed is (states == [State.PASSED] * len(states))
    assert states == sorted(states, key=[State.PASSED, State.FAILED, State.NOT_REACHED].index)
