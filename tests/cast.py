"""Who plays in the tests: alice's account owns, bob's is the neighbour who must see nothing, staff runs the admin."""

from dataclasses import dataclass
from datetime import datetime

from accounts import services as accounts
from accounts.actors import Actor
from accounts.models import AccessKey, Account, User
from keys import services as keys
from keys.models import ApiKey
from plans import services as plans
from plans.models import Plan

BY = Actor.command("test")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    api_key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account with one access key without minute budget."""

    account: Account
    access_key: AccessKey
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def plan(self, limit: int = 100, period: str = "month", name: str = "Gold") -> Plan:
        return plans.create_plan(self.account, by=BY, name=name, max_requests=limit, request_period=period)

    def user(self, plan: Plan | None = None, *, email: str = "", custom_start: datetime | None = None) -> User:
        return plans.create_user(self.account, by=BY, name="Uma", email=email, plan=plan, custom_start=custom_start)

    def key(self, *, user: User | None = None, plan: Plan | None = None) -> IssuedKey:
        issued = keys.issue_api_key(self.account, by=BY, name="key", user=user, plan=plan)
        return IssuedKey(issued.row, issued.secret)


def new_tenant(name: str, *, requests_per_minute: int | None = None) -> Tenant:
    account = accounts.create_account(name, by=BY)
    issued = accounts.create_access_key(
        account,
        name="backend",
        by=BY,
        requests_per_minute=requests_per_minute,
        analytics_requests_per_minute=None,
    )
    return Tenant(account, issued.row, issued.secret)
