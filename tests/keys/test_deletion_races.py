"""Who is given a plan or a user while it is being deleted: one of the two is refused, whoever was faster."""

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

from django.db import connection
from django.utils import timezone

from accounts.errors import NotFoundError
from keys import services as keys
from keys.models import ApiKey
from keys.services import PlanInUse
from plans import services as plans
from plans.models import Subscription
from tests.cast import BY, Tenant

ROUNDS = 25


def _at_once(**changes: Callable[[], object]) -> str:
    """The names of the changes that were carried out; the others were refused."""
    start, done = threading.Barrier(len(changes)), []

    def carry_out(name: str, change: Callable[[], object]) -> None:
        start.wait()
        try:
            change()
            done.append(name)
        except (NotFoundError, PlanInUse):
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=carry_out, args=change) for change in changes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "+".join(sorted(done))


def _issue(alice: Tenant, **given: object) -> Callable[[], object]:
    return partial(keys.issue_api_key, alice.account, by=BY, name="late", **given)  # type: ignore[arg-type]  # its fields


def test_a_plan_that_is_being_deleted_is_given_to_no_key(alice: Tenant) -> None:
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        plan = alice.plan()
        delete = partial(keys.delete_plan, plan, now=timezone.now(), by=BY)
        outcomes[_at_once(issue=_issue(alice, plan=plan), delete=delete)] += 1
    assert set(outcomes) <= {"issue", "delete"}
    assert not ApiKey.objects.filter(deleted_at=None).exclude(plan__deleted_at=None).exists()


def test_a_plan_that_is_being_deleted_is_given_to_no_user(alice: Tenant) -> None:
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        plan, user = alice.plan(), alice.user()
        delete = partial(keys.delete_plan, plan, now=timezone.now(), by=BY)
        outcomes[_at_once(subscribe=partial(plans.subscribe, user, by=BY, plan=plan), delete=delete)] += 1
    assert set(outcomes) <= {"subscribe", "delete"}
    assert not Subscription.objects.exclude(plan__deleted_at=None).exists()


def test_a_user_who_is_being_deleted_keeps_no_live_key(alice: Tenant) -> None:
    for _ in range(ROUNDS):
        user = alice.user()
        delete = partial(keys.delete_user, user, now=timezone.now(), by=BY)
        assert "delete" in _at_once(issue=_issue(alice, user=user), delete=delete)
    assert not ApiKey.objects.filter(deleted_at=None).exclude(user__deleted_at=None).exists()
