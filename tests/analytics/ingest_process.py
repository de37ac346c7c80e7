"""A worker of its own that ingests what tests pack: `python -m tests.analytics.ingest_process SECONDS`.

As the task does, again and again until the time is up, at least once; with `--real` what SDKs send, by the clock. It
prints a line when it begins, and at its end how many kilobytes it held at most.
"""

import os
import resource
import sys
import time


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
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
