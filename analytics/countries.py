"""The country of a client's address, by a file of the operator's (LIMITLY_COUNTRY_DATABASE); never the network.

The file is opened once a process: what replaces it is read after the next start.
"""

import logging
import re
from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from geoip2.database import Reader
from geoip2.errors import AddressNotFoundError
from geoip2.models import Country
from maxminddb import InvalidDatabaseError

CODE_FORM = re.compile(r"[A-Z]{2}")
NOWHERE = "ZZ"  # as some databases name what is private or reserved
logger = logging.getLogger(__name__)

Ask = Callable[[str], Country]


class NoCountries(ValueError):
    """A file that is well, but tells of something else."""


def country_of(ip: str | None) -> str:
    """Its ISO 3166 code of two letters; '' where it is not known: private, in no list, or without a database file."""
    path = settings.LIMITLY_COUNTRY_DATABASE
    return _country(path, ip) if path and ip else ""


def open_database(path: str) -> Ask:
    """What answers for an address. Errors: OSError, InvalidDatabaseError, NoCountries."""
    reader = Reader(path)
    kind = reader.metadata().database_type
    for word, ask in (("Country", reader.country), ("City", reader.city), ("Enterprise", reader.enterprise)):
        if word in kind:
            return ask
    reader.close()
    raise NoCountries(f"a database of {kind} tells no countries")


@lru_cache(maxsize=65_536)
def _country(path: str, ip: str) -> str:
    ask = _opened(path)
    if ask is None:
        return ""
    try:
        code = ask(ip).country.iso_code or ""
    except (
        AddressNotFoundError,
        InvalidDatabaseError,
        ValueError,
    ):  # ValueError: no address, or IPv6 in a file of IPv4
        return ""
    return code if CODE_FORM.fullmatch(code) and code != NOWHERE else ""


@lru_cache(maxsize=1)
def _opened(path: str) -> Ask | None:
    """None, said once, where the file cannot be read: a system check names it before the start (limitly.E004)."""
    try:
        return open_database(path)
    except (OSError, InvalidDatabaseError, NoCountries) as fault:
        logger.warning("no countries are told: %s: %s", path, fault)
        return None
