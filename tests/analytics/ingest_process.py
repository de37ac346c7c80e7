"""A worker of its own that ingests what tests pack: `python -m tests.analytics.ingest_process SECONDS`.

As the task does, again and again until the time is up, at least once; with `--real` what SDKs send, by the clock. It
prints a line when it begins, and at its end how many kilobytes it held at most.
"""

import os
import sys
import time
from pathlib import Path


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "limitly_site.settings"
    import django

    django.setup()
    from django.utils import timezone

    from analytics.reports.parsing import parse_report
    from analytics.rollup.ingesting import ingest_reports
    from tests.analytics.reporting import NOW, parse

    is_real = "--real" in sys.argv
    print("at work", flush=True)
    ends = time.monotonic() + float(sys.argv[1])
    while True:
        if is_real:
            ingest_reports(parse=parse_report, now=timezone.now, for_s=600)
        else:
            ingest_reports(parse=parse, now=lambda: NOW, for_s=600)
        if time.monotonic() >= ends:
            break
        time.sleep(0.01)
    print(_most_resident_kb())


def _most_resident_kb() -> int:
    """Of this process alone: ru_maxrss would begin at what its parent held when it was started."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
