"""What of the reports was not used in the last day, by reason. (How many wait is analytics.ingest.backlog's to say.)"""

from collections import Counter
from datetime import datetime, timedelta

from django.db.models import Count, Sum

from analytics.models import DroppedItems, RejectedReport

DAY = timedelta(days=1)


def rejected_reports(now: datetime) -> Counter[str]:
    """Of each app's newest thousand. One SELECT."""
    rows = RejectedReport.objects.filter(created_at__gte=now - DAY).values_list("reason")
    return Counter(dict(rows.annotate(count=Count("pk")).values_list("reason", "count")))


def dropped_items(now: datetime) -> Counter[str]:
    """Of reports that counted otherwise. One SELECT."""
    rows = DroppedItems.objects.filter(hour__gte=now - DAY).values_list("reason")
    return Counter(dict(rows.annotate(count=Sum("items")).values_list("reason", "count")))
