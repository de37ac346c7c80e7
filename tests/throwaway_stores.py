"""A pytest plugin, loaded before the settings are: one pair of throwaway stores a run, never a real one.

Each worker of pytest-xdist gets a Redis database of its own; its PostgreSQL database is pytest-django's doing.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from limitly_site.keeper import hold_stores
from limitly_site.stores import embedded_stores

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
SHARED = "LIMITLY_TEST_DATA_DIR"  # set by the run's first process, inherited by its workers


def _data_dir() -> Path:
    if WORKER:
        return Path(os.environ[SHARED])
    made = Path(tempfile.mkdtemp(prefix="limitly-test-"))
    made.chmod(0o755)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.environ[SHARED] = str(made)
    return made


stores = embedded_stores(_data_dir())
redis_number = 1 + int(WORKER.removeprefix("gw") or -1)
for given in ("DATABASE_URL", "CELERY_BROKER_URL", "LIMITLY_DEBUG", "LIMITLY_HTTPS"):
    os.environ.pop(given, None)
os.environ["LIMITLY_DATA_DIR"] = str(stores.data_dir)
os.environ["REDIS_URL"] = stores.redis_url.replace("db=0", f"db={redis_number}")
os.environ["DJANGO_SETTINGS_MODULE"] = "limitly_site.settings"
hold = hold_stores(stores, durable=False)
