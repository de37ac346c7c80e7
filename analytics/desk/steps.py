"""What a fresh installation still needs before the first decision: each step, whether and where it is done."""

from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from accounts.models import AccessKey, Account
from keys.models import ApiKey
from plans.models import Plan


class Step(NamedTuple):
    """`link` is empty where this member of staff may not do it; `command` is to be typed into a shell."""

    title: str
    why: str
    is_done: bool
    link: str = ""
    command: str = ""


def first_steps(request: HttpRequest) -> list[Step]:
    """Four SELECTs."""

    def link(name: str) -> str:
        app, _, model = name.partition("_")
        return reverse(f"admin:{name}_add") if request.user.has_perm(f"{app}.add_{model}") else ""

    return [
        Step(
            "Create an account", "Everything else belongs to one.", Account.objects.exists(), link("accounts_account")
        ),
        Step(
            "Give it an access key",
            "With it the account's backend calls this API. Its secret is shown once.",
            AccessKey.objects.filter(revoked_at=None).exists(),
            link("accounts_accesskey"),
        ),
        Step(
            "Make a plan",
            "How many requests a user may make in a day, week, month or year.",
            Plan.objects.filter(deleted_at=None).exists(),
            link("plans_plan"),
        ),
        Step(
            "Issue an API key",
            "To a user on the plan, or with a plan of its own.",
            ApiKey.objects.filter(deleted_at=None).exists(),
            link("keys_apikey"),
        ),
        Step(
            "Ask for the first decision",
            "Put both secrets in. A moment later it is counted here.",
            is_done=False,
            command=(
                f"curl -X POST {request.build_absolute_uri('/v1/validate')} -H 'Authorization: Bearer ACCESS_KEY' "
                "-H 'Content-Type: application/json' "
                """-d '{"api_key": "API_KEY", "endpoint": "/orders", "method": "GET"}'"""
            ),
        ),
    ]
