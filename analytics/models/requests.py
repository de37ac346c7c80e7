"""Single requests: what was logged of them, by day, with their details, spans and application logs.

No foreign keys, for the days are dropped whole. `uuid` (or `id`) alone is declared to Django as the key; the tables'
own keys begin with the app.
"""

from django.db import models


class RequestSource(models.IntegerChoices):
    """Who told of a request. The numbers are stored: never renumber."""

    DECISION = 1, "decision"
    REPORT = 2, "report"


class RequestLog(models.Model):
    """One observed request: of an SDK's log, of a SERVER span, or a decision that was folded in."""

    uuid = models.UUIDField(primary_key=True, editable=False)
    app_id = models.BigIntegerField()
    at = models.DateTimeField()
    environment_id = models.BigIntegerField()
    endpoint_id = models.BigIntegerField()
    consumer_id = models.BigIntegerField(null=True)
    source = models.PositiveSmallIntegerField(choices=RequestSource)
    status_code = models.PositiveSmallIntegerField()
    url = models.TextField()
    request_size_bytes = models.BigIntegerField()
    response_size_bytes = models.BigIntegerField()
    response_time_ms = models.PositiveIntegerField()
    client_ip = models.GenericIPAddressField(null=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO code of the client's country.")

    class Meta:
        ordering = ["at", "uuid"]

    def __str__(self) -> str:
        return self.url


class RequestDetail(models.Model):
    """Headers, bodies and exception of a request, where any of it was captured."""

    uuid = models.UUIDField(primary_key=True, editable=False)
    app_id = models.BigIntegerField()
    at = models.DateTimeField()
    request_headers = models.JSONField(help_text="[[name, value], …]")
    response_headers = models.JSONField(help_text="[[name, value], …]")
    request_body = models.TextField(null=True)  # noqa: DJ001  # absent and empty differ
    response_body = models.TextField(null=True)  # noqa: DJ001
    exception_type = models.TextField(null=True)  # noqa: DJ001
    exception_message = models.TextField(null=True)  # noqa: DJ001
    exception_stacktrace = models.TextField(null=True)  # noqa: DJ001
    sentry_event_id = models.TextField(null=True)  # noqa: DJ001
    trace_id = models.UUIDField(null=True)
    server_span_id = models.CharField(max_length=16, blank=True, help_text="Of a request that came as a span.")

    def __str__(self) -> str:
        return str(self.uuid)


class Span(models.Model):
    """A span of a trace, joined to its request when that is read. A hub's request without trace is its own trace."""

    span_id = models.CharField(max_length=16, primary_key=True)
    app_id = models.BigIntegerField()
    at = models.DateTimeField(help_text="Its start.")
    trace_id = models.UUIDField()
    parent_span_id = models.CharField(max_length=16, blank=True)
    request_uuid = models.UUIDField(null=True, help_text="Where the report itself said of which request it is.")
    name = models.TextField()
    kind = models.CharField(max_length=8)
    start_ns = models.BigIntegerField()
    end_ns = models.BigIntegerField()
    status = models.CharField(max_length=5)
    attributes = models.JSONField()

    def __str__(self) -> str:
        return self.name


class AppLog(models.Model):
    """A line that the application logged while it answered a request."""

    id = models.UUIDField(primary_key=True, editable=False)
    app_id = models.BigIntegerField()
    at = models.DateTimeField()
    trace_id = models.UUIDField(help_text="Of a hub's request without trace: the request's own.")
    server_span_id = models.CharField(max_length=16, blank=True, help_text="Of which request of the trace it is.")
    request_uuid = models.UUIDField(null=True)
    message = models.TextField()
    level = models.CharField(max_length=16, blank=True)
    logger = models.TextField(blank=True)
    file = models.TextField(blank=True)
    line = models.IntegerField(null=True)
    attributes = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.message
