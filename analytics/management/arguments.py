"""Arguments that several commands of analytics take."""

import uuid

from django.core.management.base import CommandError

from analytics.models import App


def find_app(text: str) -> App:
    """By id or client id."""
    try:
        named = {"pk": int(text)} if text.isdecimal() else {"client_id": uuid.UUID(text)}
        return App.objects.select_related("account").get(**named)
    except (App.DoesNotExist, ValueError, OverflowError) as error:
        raise CommandError(
            f"There is no app {text!r}: `manage.py create_app NAME --account NAME` makes one."
        ) from error
