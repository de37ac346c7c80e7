"""What was observed adds up to: traffic by minute and quarter hour, its sources, errors and resources.

Tables that are partitioned name no rows by foreign key. A consumer_id of 0 is "no consumer": no unique key has a null.
A histogram is a sparse, sorted array of packed buckets (analytics.histograms): seconds or bytes, ruling 13.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from analytics.models.observed import App, Endpoint, Environment


class Source(models.IntegerChoices):
    """Who told of traffic, rising in rank. The numbers are stored: never renumber."""

    DECISION = 1, "decisions"
    SPAN = 2, "spans"
    METRIC = 3, "metrics"


class Record(models.IntegerChoices):
    """Of what a source is in force: each is judged by itself (contract, ruling 11)."""

    TRAFFIC = 1, "traffic"
    REQUEST_LOG = 2, "request logs"


def histogram_field() -> "ArrayField[list[int], list[int]]":
    return ArrayField(models.BigIntegerField(), default=list)


class Counted(models.Model):
    """The columns that every table of traffic shares."""

    app_id = models.BigIntegerField()
    environment_id = models.BigIntegerField()
    endpoint_id = models.BigIntegerField()
    status_code = models.PositiveSmallIntegerField()
    source = models.PositiveSmallIntegerField(choices=Source)
    requests = models.BigIntegerField()
    bytes_received = models.BigIntegerField()
    bytes_sent = models.BigIntegerField()
    durations = histogram_field()

    class Meta:
        abstract = True


class TrafficMinute(Counted):
    """The journal: what each batch of reports added, by minute; append-only, by day. All else is rebuilt from it."""

    pk = models.CompositePrimaryKey("app_id", "minute", "id")
    id = models.BigIntegerField()
    minute = models.DateTimeField()
    consumer_id = models.BigIntegerField()
    request_sizes = histogram_field()
    response_sizes = histogram_field()

    def __str__(self) -> str:
        return f"{self.requests} at {self.minute:%Y-%m-%d %H:%M}"


class TrafficQuarter(Counted):
    """Sums by quarter hour and consumer, partitioned by month."""

    pk = models.CompositePrimaryKey(
        "app_id", "quarter", "environment_id", "endpoint_id", "status_code", "consumer_id", "source"
    )
    quarter = models.DateTimeField()
    consumer_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.requests} from {self.quarter:%Y-%m-%d %H:%M}"


class TrafficQuarterTotal(Counted):
    """Sums by quarter hour of all consumers, partitioned by month: what does not ask for consumers reads this one."""

    pk = models.CompositePrimaryKey("app_id", "quarter", "environment_id", "endpoint_id", "status_code", "source")
    quarter = models.DateTimeField()
    request_sizes = histogram_field()
    response_sizes = histogram_field()

    def __str__(self) -> str:
        return f"{self.requests} from {self.quarter:%Y-%m-%d %H:%M}"


class EnvironmentQuarter(models.Model):
    """Sums by quarter hour of an environment and class of status (2 is 2xx; 0 is none told), whatever was called, by
    whom; by month. What asks for neither reads this one."""

    pk = models.CompositePrimaryKey("app_id", "quarter", "environment_id", "status_class", "source")
    app_id = models.BigIntegerField()
    quarter = models.DateTimeField()
    environment_id = models.BigIntegerField()
    status_class = models.PositiveSmallIntegerField()
    source = models.PositiveSmallIntegerField(choices=Source)
    requests = models.BigIntegerField()
    bytes_received = models.BigIntegerField()
    bytes_sent = models.BigIntegerField()
    durations = histogram_field()

    def __str__(self) -> str:
        return f"{self.requests} from {self.quarter:%Y-%m-%d %H:%M}"


class SourceQuarter(models.Model):
    """That a source spoke of an environment in a quarter hour, and whether it told of a request. Sources are judged
    from these rows alone."""

    pk = models.CompositePrimaryKey("environment_id", "record", "quarter", "source")
    environment_id = models.BigIntegerField()
    record = models.PositiveSmallIntegerField(choices=Record)
    quarter = models.DateTimeField()
    source = models.PositiveSmallIntegerField(choices=Source)
    has_requests = models.BooleanField()

    def __str__(self) -> str:
        return f"{self.get_source_display()} at {self.quarter:%Y-%m-%d %H:%M}"


class TrafficSource(models.Model):
    """From when on readers take which source of an environment, until its next row. Before the first: decisions.

    Of request logs, 1 is decisions and 2 reports (RequestSource).
    """

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="sources", db_index=False)
    record = models.PositiveSmallIntegerField(choices=Record)
    source = models.PositiveSmallIntegerField(choices=Source)
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["environment", "record", "since"], name="traffic_source_unique")]

    def __str__(self) -> str:
        return f"{self.get_source_display()} since {self.since:%Y-%m-%d %H:%M}"


class ErrorKind(models.IntegerChoices):
    VALIDATION = 1, "validation"
    SERVER = 2, "server"


class ErrorGroup(models.Model):
    """Errors of one endpoint that are the same: a field that was not valid, or an exception."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="error_groups", db_index=False)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="error_groups")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="error_groups")
    kind = models.PositiveSmallIntegerField(choices=ErrorKind)
    fingerprint = models.BinaryField(max_length=32, editable=False)
    type = models.CharField(max_length=256, blank=True)
    message = models.TextField(blank=True)
    location = models.CharField(max_length=256, blank=True, help_text="Of a field that was not valid: body.qty.")
    stacktrace = models.TextField(blank=True)
    sentry_event_id = models.CharField(max_length=64, blank=True)
    occurrences = models.BigIntegerField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app", "environment", "endpoint", "kind", "fingerprint"], name="error_group_unique"
            )
        ]
        indexes = [models.Index(fields=["app", "kind", "-last_seen_at"], name="error_group_latest")]

    def __str__(self) -> str:
        return self.type or self.message[:80]


class ErrorQuarter(models.Model):
    """How often an error group occurred in a quarter hour, by consumer."""

    pk = models.CompositePrimaryKey("group_id", "quarter", "consumer_id")
    group = models.ForeignKey(ErrorGroup, on_delete=models.PROTECT, related_name="quarters", db_index=False)
    quarter = models.DateTimeField()
    consumer_id = models.BigIntegerField()
    occurrences = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["quarter"], name="error_quarter_oldest")]

    def __str__(self) -> str:
        return f"{self.occurrences} from {self.quarter:%Y-%m-%d %H:%M}"


class ResourceMinute(models.Model):
    """Processor time and memory that an instance told of, by day; the last word of each minute."""

    pk = models.CompositePrimaryKey("app_id", "environment_id", "minute", "instance_id")
    app_id = models.BigIntegerField()
    environment_id = models.BigIntegerField()
    minute = models.DateTimeField()
    instance_id = models.BigIntegerField()
    at = models.DateTimeField(help_text="When it was told; of one minute the last word stays.")
    cpu_percent = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.cpu_percent} % at {self.minute:%Y-%m-%d %H:%M}"
