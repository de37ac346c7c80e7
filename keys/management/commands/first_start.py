"""`first_start`: makes the database ready, and on the very first start a demo account that can be tried at once."""

import os
import secrets
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts import services as accounts
from accounts.actors import Actor
from accounts.models import Account, Staff
from analytics import partitions
from keys import services as keys
from keys.partitions import DECISIONS
from plans import services as plans

BY = Actor.command("first_start")
WELCOME = """
  Welcome to Limitly. This is shown once; keep it.

  Access key of the account "Demo":  {access_key}
  Staff login at {url}/admin/:  admin  /  {password}

  Ask whether a request may pass:

curl -X POST {url}/v1/validate -H "Authorization: Bearer {access_key}" -H "Content-Type: application/json" \
-d '{{"api_key": "{api_key}", "endpoint": "/orders", "method": "GET"}}'
"""


class Command(BaseCommand):
    help = "Migrates; where there is no account and no staff yet, makes a demo account and a staff login, shown once."

    def handle(self, *_: Any, **__: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        DECISIONS.make_ahead(timezone.now())
        partitions.make_ahead(timezone.now())
        if Account.objects.exists() or Staff.objects.exists():
            return
        self.stdout.write(WELCOME.format(url=_url(), **_make_demo()))


def _make_demo() -> dict[str, str]:
    account = accounts.create_account("Demo", by=BY)
    access_key = accounts.create_access_key(account, name="demo", by=BY, requests_per_minute=None)
    plan = plans.create_plan(account, by=BY, name="Starter", max_requests=1000, request_period="month")
    user = plans.create_user(account, by=BY, name="Ada", email="ada@example.com", plan=plan)
    api_key = keys.issue_api_key(account, by=BY, name="Ada's key", user=user)
    password = secrets.token_urlsafe(12)
    Staff.objects.create_superuser("admin", password=password)
    return {"access_key": access_key.secret, "api_key": api_key.secret, "password": password}


def _url() -> str:
    host = os.environ.get("HOST", "127.0.0.1")
    return f"http://{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT', '8000')}"
