"""System checks of this installation's own settings: `manage.py check`, and before each start by `migrate`.

A value that makes no sense by itself fails as it is read (limitly_site.environment); what is wrong only together with
another, or with the server it meets, is found here.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.db import connections
from maxminddb import InvalidDatabaseError

from analytics.countries import NoCountries, open_database

REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})
# A drain, its partitions' transaction and a command may stand beside the processes counted below.
SPARE_CONNECTIONS = 5


@register(Tags.security)
def check_store_addresses(**_: Any) -> list[CheckMessage]:
    """limitly.E001, E002: addresses of stores that the project does not speak to."""
    found: list[CheckMessage] = []
    if settings.DATABASE_URL and urlsplit(settings.DATABASE_URL).scheme not in POSTGRES_SCHEMES:
        hint = "Give postgresql://user:password@host:5432/name, or leave it out for the embedded PostgreSQL."
        found.append(Error("DATABASE_URL is not of a PostgreSQL.", hint=hint, id="limitly.E001"))
    if urlsplit(settings.REDIS_URL).scheme not in REDIS_SCHEMES:
        hint = "Give redis://, rediss:// or unix://, or leave it out for the embedded Valkey."
        found.append(Error("REDIS_URL is not of a Redis.", hint=hint, id="limitly.E002"))
    return found


@register(Tags.security, deploy=True)
def check_embedded_stores(**_: Any) -> list[CheckMessage]:
    """limitly.W001: one machine's stores under a site that is split over services."""
    if settings.LIMITLY_WEB != "all" and (settings.USES_EMBEDDED_POSTGRES or settings.USES_EMBEDDED_VALKEY):
        hint = "They serve one machine alone: set DATABASE_URL and REDIS_URL."
        return [CheckWarning("LIMITLY_WEB splits the site, yet its stores are embedded.", hint=hint, id="limitly.W001")]
    return []


@register(Tags.files)
def check_country_database(**_: Any) -> list[CheckMessage]:
    """limitly.E004: a database of countries that cannot be read, or is of something else."""
    path = settings.LIMITLY_COUNTRY_DATABASE
    try:
        if path:
            open_database(path)
    except (OSError, InvalidDatabaseError, NoCountries) as fault:
        hint = "Give the path of a .mmdb of countries or cities, or leave it out: then no country is told."
        return [Error(f"LIMITLY_COUNTRY_DATABASE cannot be read: {fault}", hint=hint, id="limitly.E004")]
    return []


@register(Tags.database)
def check_connections(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """limitly.E003: all processes together ask for more connections than the server gives. One SELECT."""
    if "default" not in (databases or ()):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        )
        given = cursor.fetchone()[0]
    needed = connections_needed()
    if needed <= given:
        return []
    hint = "Lower LIMITLY_WEB_POOL, LIMITLY_WEB_PROCESSES or LIMITLY_WORKERS, or raise max_connections."
    message = f"Limitly may open {needed} connections; the database gives {given}."
    return [Error(message, hint=hint, id="limitly.E003")]


def connections_needed() -> int:
    """At most, of one `make run`: web processes with their pools, fills and ingest, workers' children, commands."""
    web = settings.LIMITLY_WEB_POOL + settings.LIMITLY_FILL_CONNECTIONS + settings.LIMITLY_INGEST_CONNECTIONS
    workers = settings.LIMITLY_WORKERS + settings.LIMITLY_REPORT_WORKERS
    return int(settings.LIMITLY_WEB_PROCESSES * web + workers + SPARE_CONNECTIONS)
