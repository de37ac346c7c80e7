"""Arguments that several commands take, and what is wrong with them in a sentence that says what to do."""

import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.models import NAME_LENGTH, AccessKey, Account
from accounts.secrets import digest_of
from accounts.services import AccessKeySettings

UNLIMITED = "unlimited"


def add_budget(parser: CommandParser) -> None:
    parser.add_argument(
        "--requests-per-minute",
        metavar="N|unlimited",
        help="the access key's minute budget (default: the setting's)",
    )


def budget_of(options: dict[str, Any]) -> AccessKeySettings:
    """What was given as --requests-per-minute; empty when nothing was."""
    given = options["requests_per_minute"]
    if given is None:
        return {}
    if given == UNLIMITED:
        return {"requests_per_minute": None}
    if not given.isdecimal() or not 0 < int(given) <= 1_000_000_000:
        raise CommandError(f"--requests-per-minute {given}: give 1 to 1000000000, or {UNLIMITED}.")
    return {"requests_per_minute": int(given)}


def check_name(name: str) -> str:
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise CommandError(f"A name has 1 to {NAME_LENGTH} printable characters.")
    return name


def find_account(text: str) -> Account:
    """By id, slug or name."""
    found = Account.objects.filter(pk=int(text)) if text.isdecimal() else Account.objects.filter(slug=text)
    account = found.first()
    if account is not None:
        return account
    named = list(Account.objects.filter(name=text)[:2])
    if len(named) == 1:
        return named[0]
    if named:
        raise CommandError(f"Several accounts are called {text!r}: give the id or the slug.")
    raise CommandError(f"There is no account {text!r}: `manage.py create_account NAME` makes one.")


def find_access_key(text: str) -> AccessKey:
    """By id; or, for `-`, by the secret on standard input."""
    keys = AccessKey.objects.select_related("account")
    if text == "-":
        found = keys.filter(digest=digest_of(sys.stdin.readline().strip())).first()
    elif text.isdecimal():
        found = keys.filter(pk=int(text)).first()
    else:
        raise CommandError("Give the access key's id, or - (a secret on the command line is seen by everybody).")
    if found is None:
        raise CommandError("There is no such access key: the admin lists those of every account, by id.")
    return found


def moment(text: str) -> datetime:
    """An argument's type: an ISO 8601 time, UTC where it names no zone."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
