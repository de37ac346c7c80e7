"""`make bench-rollup`: request logs a second from stored OTLP bodies to committed rows, by one worker process.

Bodies are as Apitally's SDK sends them: gzipped protobuf, a thousand spans each, with headers and bodies of both
directions, and the application's log lines in a report beside. Each round fills the inbox, lets one process count it
until it is empty, and then COPYs the very same rows (as PostgreSQL wrote them out, nothing to parse or to convert) into
the same tables, emptied, with the same indexes. Told are both rates, round by round, and the median of their ratios.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import stack
from limitly_site.keeper import hold_stores
from limitly_site.stores import embedded_stores


def main() -> None:
    given = _options()
    folder = Path(tempfile.mkdtemp(prefix="limitly-bench-"))
    folder.chmod(0o755)
    os.environ |= {"LIMITLY_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "limitly_site.settings"}
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        os.environ.pop(name, None)
    size = [f"--{name}={value}" for name, value in vars(given).items()]
    try:
        with hold_stores(embedded_stores(folder)):
            stack.manage("migrate", "--verbosity", "0")
            worker = [sys.executable, "-m", "benchmarks.rollup_worker", *size]
            sys.exit(subprocess.run(worker, cwd=stack.HERE.parent, check=False).returncode)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=40, help="of traces, and as many of logs (default: 40)")
    parser.add_argument("--spans", type=int, default=1_000, help="of each body of traces (default: 1000)")
    parser.add_argument("--children", type=int, default=1, help="spans below each request's own (default: 1)")
    parser.add_argument("--lines", type=int, default=1, help="log lines of each request (default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="after one that warms up (default: 3)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
