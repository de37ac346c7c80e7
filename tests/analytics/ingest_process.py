"""A worker of its own that ingests what tests pack: `python -m tests.analytics.ingest_process SECONDS`.

As the task does, again and again until the time is up, at least once. It prints a line when it begins, and at its end
how many kilobytes it held at most.
"""

import os
import resource
import sys
import time


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "limitly_site.settings"
    import django

    django.setup()
    from analytics.rollup.ingesting import ingest_reports
    from tests.analytics.reporting import NOW, parse

    print("at work", flush=True)
    ends = time.monotonic() + float(sys.argv[1])
    while True:
        ingest_reports(parse=parse, now=lambda: NOW, for_s=600)
        if time.monotonic() >= ends:
            break
        time.sleep(0.01)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
