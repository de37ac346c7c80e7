"""Who needs the embedded stores holds them while it lives: manage.py, the web process, the worker."""

import sys
from contextlib import AbstractContextManager, nullcontext

from django.conf import settings

from limitly_site.keeper import hold_stores

STORELESS = frozenset({"help", "version", "--help", "--version", "-h"})


def hold_embedded_stores() -> AbstractContextManager[object]:
    """Of the stores that no URL replaces; nothing where all have one, or where only help is asked for."""
    needless = len(sys.argv) > 1 and STORELESS.intersection(sys.argv[1:])
    if needless or not (settings.USES_EMBEDDED_POSTGRES or settings.USES_EMBEDDED_VALKEY):
        return nullcontext()
    return hold_stores(settings.EMBEDDED_STORES)
