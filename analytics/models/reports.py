"""How an app is told of: reports that were accepted and not yet counted, what could not be used, and where we are."""

from django.db import models

from accounts.secrets import BUCKETS
from analytics.models.observed import App, Environment


class ReportKind(models.IntegerChoices):
    """What a report is, by the path it came in on. The numbers are stored: never renumber."""

    STARTUP = 1, "hub startup"
    SYNC = 2, "hub sync"
    LOG = 3, "hub log"
    LOGPUSH = 4, "hub logpush"
    TRACES = 5, "OTLP traces"
    LOGS = 6, "OTLP logs"
    METRICS = 7, "OTLP metrics"


class InboxReport(models.Model):
    """The inbox: one body as an SDK sent it, accepted and not yet counted. Written by the ingest application alone."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.PositiveSmallIntegerField(choices=ReportKind)
    environment = models.CharField(max_length=256, blank=True, help_text="As the URL or the Apitally-Env header said.")
    message_id = models.CharField(max_length=64, blank=True, help_text="The file's uuid of a hub log.")
    is_json = models.BooleanField(default=False, help_text="OTLP in JSON rather than protobuf.")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    received_at = models.DateTimeField()
    body = models.BinaryField()

    class Meta:
        verbose_name = "report in the inbox"
        verbose_name_plural = "inbox"
        indexes = [
            models.Index(fields=["app", "id"], name="inbox_of_app"),
            models.Index(fields=["received_at"], name="inbox_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class ReportIdentity(models.Model):
    """That a report was counted: who sends it again within 48 hours changes no number."""

    pk = models.CompositePrimaryKey("app_id", "identity")
    app_id = models.BigIntegerField()
    identity = models.BinaryField(max_length=32)
    counted_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["counted_at"], name="report_identity_oldest")]

    def __str__(self) -> str:
        return bytes(self.identity).hex()


class RejectedReport(models.Model):
    """A report that could not be used: why, and its beginning, for a week."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="rejected_reports")
    kind = models.PositiveSmallIntegerField(choices=ReportKind)
    environment = models.CharField(max_length=256, blank=True)
    reason = models.CharField(max_length=32, help_text="A word that does not change: bad_gzip, too_late …")
    explanation = models.CharField(max_length=1000, blank=True)
    size_bytes = models.PositiveIntegerField()
    body = models.BinaryField(max_length=65_536, help_text="Its first 64 KiB.")
    received_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["app", "-id"], name="rejected_of_app"),
            models.Index(fields=["created_at"], name="rejected_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}"


class DroppedItems(models.Model):
    """How many items of otherwise good reports were left out, by reason, in each clock hour of receipt."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="dropped_items")
    kind = models.PositiveSmallIntegerField(choices=ReportKind)
    reason = models.CharField(max_length=32)
    hour = models.DateTimeField()
    items = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "dropped items"
        constraints = [models.UniqueConstraint(fields=["app", "hour", "kind", "reason"], name="dropped_items_unique")]

    def __str__(self) -> str:
        return f"{self.items} × {self.reason}"


class CumulativeStream(models.Model):
    """The last point of a cumulative OTLP stream: the next one counts as the difference. Kept 48 hours."""

    pk = models.CompositePrimaryKey("app_id", "stream")
    app_id = models.BigIntegerField()
    stream = models.BinaryField(max_length=32, help_text="Digest of what makes the stream, its start included.")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="+", db_index=False)
    time_ns = models.BigIntegerField()
    count = models.BigIntegerField()
    sum = models.FloatField()
    histogram = models.BinaryField(help_text="The buckets as they were reported, for the next difference.")

    class Meta:
        indexes = [models.Index(fields=["time_ns"], name="cumulative_stream_oldest")]

    def __str__(self) -> str:
        return bytes(self.stream).hex()


class FoldPosition(models.Model):
    """The last decision of a bucket that is in the request logs and traffic. Its row lock is the fold's only lock."""

    bucket = models.PositiveSmallIntegerField(primary_key=True)
    ms = models.BigIntegerField(default=0)
    seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(bucket__lt=BUCKETS), name="fold_position_bucket")]

    def __str__(self) -> str:
        return f"bucket {self.bucket:x} at {self.ms}-{self.seq}"
