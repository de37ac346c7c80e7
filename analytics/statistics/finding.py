"""Which apps a few letters mean: of the beginning of their name, or of their account's."""

from typing import Final

from django.db.models import Q, QuerySet

from accounts.models import Account
from analytics.models import App

ACCOUNTS_MAX: Final = 50


def apps_named(text: str) -> QuerySet[App]:
    """The newest first, with their accounts. One SELECT at once, and one when it is read; each by an index."""
    accounts = Account.objects.filter(name__istartswith=text).order_by("pk").values_list("pk", flat=True)
    named = Q(name__istartswith=text) | Q(account__in=list(accounts[:ACCOUNTS_MAX]))
    return App.objects.select_related("account").filter(named).order_by("-pk")
